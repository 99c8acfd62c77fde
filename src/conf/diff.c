/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What differs between two configurations, and how it takes effect.
 */
#include "conf/conf_priv.h"

#include <stdlib.h>
#include <string.h>

static bool
same_value(const struct conf *a, const struct conf *b,
    const struct conf_option *o)
{
	const void *x = conf_const_member(a, o), *y = conf_const_member(b, o);

	switch (o->type) {
	case CONF_T_string:
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	case CONF_T_bool:
		return *(const conf_bool_t *)x == *(const conf_bool_t *)y;
	case CONF_T_mode:
		return *(const conf_mode_t *)x == *(const conf_mode_t *)y;
	case CONF_T_enum:
		return *(const conf_enum_t *)x == *(const conf_enum_t *)y;
	case CONF_T_size:
		return *(const conf_size_t *)x == *(const conf_size_t *)y;
	case CONF_T_int:
	case CONF_T_duration:
		return *(const int64_t *)x == *(const int64_t *)y;
	case CONF_T_count:		/* whatever is not positive is auto */
		return *(const int64_t *)x == *(const int64_t *)y ||
		    (*(const int64_t *)x <= 0 && *(const int64_t *)y <= 0);
	case CONF_T_list:
		return conf_list_same(x, y);
	}
	return false;
}

static bool
same_listen(const struct conf_listen *a, const struct conf_listen *b)
{
	return a->kind == b->kind && strcmp(a->host, b->host) == 0 &&
	    a->port == b->port && strcmp(a->path, b->path) == 0 &&
	    a->mode == b->mode && strcmp(a->owner, b->owner) == 0 &&
	    strcmp(a->group, b->group) == 0 && a->fd == b->fd &&
	    a->backlog == b->backlog;
}

static bool
same_listeners(const struct conf *a, const struct conf *b)
{
	size_t i;

	if (a->nlisten != b->nlisten)
		return false;
	for (i = 0; i < a->nlisten; i++)
		if (!same_listen(&a->listen[i], &b->listen[i]))
			return false;
	return true;
}

enum conf_class
conf_diff(const struct conf *from, const struct conf *to, conf_diff_f *cb,
    void *arg)
{
	enum conf_class highest = CONF_SAME;
	const struct conf_option *o;
	size_t i;

	for (i = 0; i < CONF_NOPTIONS; i++) {
		o = &conf_options[i];
		if (same_value(from, to, o))
			continue;
		cb(o->key, o->class, arg);
		if (o->class > highest)
			highest = o->class;
	}
	if (!same_listeners(from, to)) {
		cb("listen", CONF_WORKER, arg);
		if (highest < CONF_WORKER)
			highest = CONF_WORKER;
	}
	return highest;
}

static int
keep_value(struct conf *to, const struct conf *from,
    const struct conf_option *o)
{
	const void *old = conf_const_member(from, o);
	void *member = conf_member(to, o);
	char *copy;

	switch (o->type) {
	case CONF_T_string:
		if ((copy = strdup(*(char *const *)old)) == NULL)
			return -1;
		free(*(char **)member);
		*(char **)member = copy;
		break;
	case CONF_T_bool:
		*(conf_bool_t *)member = *(const conf_bool_t *)old;
		break;
	case CONF_T_mode:
		*(conf_mode_t *)member = *(const conf_mode_t *)old;
		break;
	case CONF_T_enum:
		*(conf_enum_t *)member = *(const conf_enum_t *)old;
		break;
	case CONF_T_size:
		*(conf_size_t *)member = *(const conf_size_t *)old;
		break;
	case CONF_T_int:
	case CONF_T_duration:
	case CONF_T_count:
		*(int64_t *)member = *(const int64_t *)old;
		break;
	case CONF_T_list:
		return conf_list_copy(member, old);
	}
	return 0;
}

int
conf_keep_fixed(struct conf *to, const struct conf *from)
{
	const struct conf_option *o;
	size_t i;

	for (i = 0; i < CONF_NOPTIONS; i++) {
		o = &conf_options[i];
		if (o->class == CONF_RESTART && !same_value(from, to, o) &&
		    keep_value(to, from, o) == -1)
			return -1;
	}
	return 0;
}
