/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lists of strings, the values of options of type list.
 */
#include "conf/conf_priv.h"

#include <stdlib.h>
#include <string.h>

static int
add(struct conf_list *l, const char *s, size_t len)
{
	char **at = reallocarray(l->at, l->n + 1, sizeof(*at));

	if (at == NULL)
		return -1;
	l->at = at;
	if ((at[l->n] = strndup(s, len)) == NULL)
		return -1;
	l->n++;
	return 0;
}

int
conf_list_add(struct conf_list *l, const char *s)
{
	return add(l, s, strlen(s));
}

int
conf_list_split(struct conf_list *l, const char *s)
{
	size_t len;

	for (; *s != '\0'; s += len + (s[len] == ',')) {
		len = strcspn(s, ",");
		if (len > 0 && add(l, s, len) == -1)
			return -1;
	}
	return 0;
}

int
conf_list_copy(struct conf_list *to, const struct conf_list *from)
{
	struct conf_list copy = { 0 };
	size_t i;

	for (i = 0; i < from->n; i++)
		if (conf_list_add(&copy, from->at[i]) == -1) {
			conf_list_clear(&copy);
			return -1;
		}
	conf_list_clear(to);
	*to = copy;
	return 0;
}

bool
conf_list_same(const struct conf_list *a, const struct conf_list *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->at[i], b->at[i]) != 0)
			return false;
	return true;
}

void
conf_list_clear(struct conf_list *l)
{
	while (l->n > 0)
		free(l->at[--l->n]);
	free(l->at);
	l->at = NULL;
}
