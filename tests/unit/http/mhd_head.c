/* SPDX-License-Identifier: BSD-3-Clause */
#include "mhd_head.h"

#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

struct reader {
	struct mhd_head	*m;
	size_t		 pos;
	char		*name, *value;	/* of the field not yet added */
};

/* The next line and its length; NULL: it is not complete. */
static char *
next_line(struct reader *r, size_t *len)
{
	char *line = r->m->text + r->pos, *lf;
	size_t left = r->m->size - r->pos;

	if (left == 0 || (lf = memchr(line, '\n', left)) == NULL)
		return NULL;
	r->pos += (size_t)(lf - line) + 1;
	*lf = '\0';
	if (lf > line && lf[-1] == '\r')
		*--lf = '\0';
	*len = (size_t)(lf - line);
	return line;
}

static bool
known_version(const char *v, size_t n)
{
	return n == 8 && memcmp(v, "HTTP/1.", 7) == 0 && v[7] >= '0' &&
	    v[7] <= '9';
}

static bool
request_line(struct reader *r, char *line, size_t len)
{
	struct check_head *head = &r->m->head;
	char *uri = memchr(line, ' ', len), *version;

	if (uri == NULL || uri == line)
		return false;
	*uri++ = '\0';
	while (*uri == ' ' && uri < line + len)
		uri++;
	if (uri == line + len)
		return false;
	/* from the back, so that blanks become a part of the target */
	version = line + len - 1;
	while (*version == ' ' && version > uri)
		version--;
	while (*version != ' ' && version > uri)
		version--;
	if (version == uri ||
	    !known_version(version + 1, (size_t)(line + len - version - 1)))
		return false;
	*version++ = '\0';
	head->method = str_of(line);
	head->target = str_of(uri);
	head->version = str_of(version);
	r->m->skipped = (size_t)(line - r->m->text);
	return true;
}

static bool
begin_field(struct reader *r, char *line)
{
	char *colon = strchr(line, ':');

	if (colon == NULL)
		return false;
	*colon++ = '\0';
	r->name = line;
	r->value = colon + strspn(colon, " \t");
	return true;
}

static void
add_field(struct reader *r)
{
	struct mhd_head *m = r->m;

	if (r->name == NULL)
		return;
	if (m->head.nfields == m->cap) {
		m->cap = m->cap > 0 ? 2 * m->cap : 8;
		m->fields = realloc(m->fields, m->cap * sizeof(*m->fields));
		if (m->fields == NULL)
			abort();
	}
	m->fields[m->head.nfields++] = (struct http_field){
	    str_of(r->name), str_of(r->value) };
}

/* Really: to the name, as the text after it has been cut off by a NUL. */
static bool
fold(struct reader *r, const char *line)
{
	struct mhd_head *m = r->m;
	size_t n = strlen(r->name);
	char *name;

	if (m->nfolded == countof(m->folded))
		return false;		/* its pool has an end, too */
	line += strspn(line, " \t");
	if ((name = malloc(n + strlen(line) + 1)) == NULL)
		abort();
	memcpy(name, r->name, n);
	strcpy(name + n, line);
	m->folded[m->nfolded++] = r->name = name;
	return true;
}

static bool
parse(struct reader *r)
{
	struct check_head *head = &r->m->head;
	size_t len;
	char *line;

	do
		if ((line = next_line(r, &len)) == NULL)
			return false;
	while (*line == '\0');
	if (!request_line(r, line, len))
		return false;
	while ((line = next_line(r, &len)) != NULL) {
		if (r->name != NULL && (*line == ' ' || *line == '\t')) {
			if (!fold(r, line))
				return false;
			continue;
		}
		add_field(r);
		if (*line == '\0') {
			head->fields = r->m->fields;
			head->header_size = r->pos - r->m->skipped;
			return true;
		}
		if (!begin_field(r, line))
			return false;
	}
	return false;
}

bool
mhd_head_parse(struct mhd_head *m, const char *text, size_t n)
{
	struct reader r = { .m = m };

	*m = (struct mhd_head){ .size = n };
	if ((m->text = malloc(n > 0 ? n : 1)) == NULL)
		abort();
	if (n > 0)
		memcpy(m->text, text, n);
	return parse(&r);
}

void
mhd_head_trim(struct mhd_head *m)
{
	size_t i;

	for (i = 0; i < m->head.nfields; i++)
		m->fields[i].value = str_trim(m->fields[i].value);
}

void
mhd_head_fini(struct mhd_head *m)
{
	while (m->nfolded > 0)
		free(m->folded[--m->nfolded]);
	free(m->fields);
	free(m->text);
	*m = (struct mhd_head){ 0 };
}
