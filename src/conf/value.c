/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One value into one option: what was given against what is expected.
 */
#include "conf/conf_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* A file of wrong names only is no slip: it takes no search for each. */
#define HINTS_MAX	50

/* what a message says of a type when the given value is of another */
static const char *const expectations[] = {
	[CONF_T_string] = "a string",
	[CONF_T_bool] = "true or false",
	[CONF_T_int] = "an integer",
	[CONF_T_size] = "a size such as 16384, \"16K\", \"1M\" or \"2G\"",
	[CONF_T_duration] =
	    "a duration such as 10, 2.5, \"250ms\", \"10s\", \"5m\" or \"1h\"",
	[CONF_T_mode] = "an octal string such as \"0660\"",
	[CONF_T_enum] = "",		/* its names are listed */
	[CONF_T_count] = "an integer or \"auto\"",
	[CONF_T_list] = "a list of strings such as [ \"a\", \"b\" ]",
};

void
conf_describe(const struct conf_value *v, char *text, size_t size)
{
	switch (v->kind) {
	case CONF_K_INT:
		snprintf(text, size, "the integer %" PRId64, v->number);
		break;
	case CONF_K_FLOAT:
		snprintf(text, size, "the number %g", v->real);
		break;
	case CONF_K_STRING:
		snprintf(text, size, "the string \"%.80s\"", v->text);
		break;
	case CONF_K_BOOL:
		snprintf(text, size, "%s", v->number ? "true" : "false");
		break;
	case CONF_K_GROUP:
		snprintf(text, size, "a group { }");
		break;
	case CONF_K_LIST:
		snprintf(text, size, "a list");
		break;
	case CONF_K_TEXT:
		snprintf(text, size, "\"%.80s\"", v->text);
		break;
	}
}

static bool
has_text(const struct conf_value *v)
{
	return v->kind == CONF_K_STRING || v->kind == CONF_K_TEXT;
}

static int
text_to_int(const char *text, int64_t *number)
{
	long long n;
	char *end;

	if (text[strspn(text, "+-0123456789")] != '\0' || *text == '\0')
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	/* out of range saturates: the bounds refuse it and say what they are */
	if (*end != '\0' || end == text)
		return -1;
	*number = n;
	return 0;
}

static int
to_int(const struct conf_value *v, int64_t *number)
{
	if (v->kind == CONF_K_TEXT)
		return text_to_int(v->text, number);
	*number = v->number;
	return v->kind == CONF_K_INT ? 0 : -1;
}

static int
to_count(const struct conf_value *v, int64_t *number)
{
	if (has_text(v) && strcasecmp(v->text, "auto") == 0) {
		*number = 0;
		return 0;
	}
	return to_int(v, number);
}

static int
to_bool(const struct conf_value *v, bool *flag)
{
	if (v->kind == CONF_K_TEXT) {
		*flag = strcasecmp(v->text, "true") == 0;
		return *flag || strcasecmp(v->text, "false") == 0 ? 0 : -1;
	}
	*flag = v->number != 0;
	return v->kind == CONF_K_BOOL ? 0 : -1;
}

static int
to_size(const struct conf_value *v, uint64_t *size)
{
	if (has_text(v))
		return str_to_size(v->text, size);
	*size = (uint64_t)v->number;
	return v->kind == CONF_K_INT && v->number >= 0 ? 0 : -1;
}

static int
to_duration(const struct conf_value *v, int64_t *duration)
{
	const double most = (double)(INT64_MAX / NSEC_PER_SEC);

	switch (v->kind) {
	case CONF_K_STRING:
	case CONF_K_TEXT:
		return str_to_duration(v->text, duration);
	case CONF_K_INT:
		if (v->number < 0)
			return -1;
		/* what is out of range is refused with the bounds */
		if (__builtin_mul_overflow(v->number, NSEC_PER_SEC, duration))
			*duration = INT64_MAX;
		return 0;
	case CONF_K_FLOAT:
		if (!(v->real >= 0))
			return -1;
		*duration = v->real < most ? (int64_t)(v->real *
		    (double)NSEC_PER_SEC + 0.5) : INT64_MAX;
		return 0;
	default:
		return -1;
	}
}

int
conf_to_mode(const char *text, unsigned *mode)
{
	size_t n = strlen(text);

	if (n == 0 || n > 8 || text[strspn(text, "01234567")] != '\0')
		return -1;
	*mode = (unsigned)strtoul(text, NULL, 8);
	return 0;
}

static int
to_mode(const struct conf_value *v, unsigned *mode)
{
	return has_text(v) ? conf_to_mode(v->text, mode) : -1;
}

static int
to_enum(const struct conf_value *v, const char *const *names, int *number)
{
	int i;

	if (!has_text(v))
		return -1;
	for (i = 0; names[i] != NULL; i++)
		if (strcasecmp(v->text, names[i]) == 0) {
			*number = i;
			return 0;
		}
	return -1;
}

static int
to_string(struct conf_parse *p, const struct conf_value *v, char **string)
{
	char *copy;

	if (!has_text(v))
		return -1;
	if ((copy = conf_strdup(p, v->text)) == NULL)
		return 0;
	free(*string);
	*string = copy;
	return 0;
}

static int
to_list(struct conf_parse *p, const struct conf_value *v,
    struct conf_list *list)
{
	if (v->list == NULL)
		return -1;
	if (conf_list_copy(list, v->list) == -1)
		p->nomem = true;
	return 0;
}

static int
convert(struct conf_parse *p, const struct conf_option *o,
    const struct conf_value *v)
{
	void *member = conf_member(p->conf, o);

	switch (o->type) {
	case CONF_T_string:
		return to_string(p, v, member);
	case CONF_T_bool:
		return to_bool(v, member);
	case CONF_T_int:
		return to_int(v, member);
	case CONF_T_count:
		return to_count(v, member);
	case CONF_T_size:
		return to_size(v, member);
	case CONF_T_duration:
		return to_duration(v, member);
	case CONF_T_mode:
		return to_mode(v, member);
	case CONF_T_enum:
		return to_enum(v, o->names, member);
	case CONF_T_list:
		return to_list(p, v, member);
	}
	return -1;
}

static void
expected(struct conf_parse *p, const struct conf_option *o,
    const struct conf_value *v, const struct conf_source *where)
{
	struct conf_nearest near = conf_nearest_to(p,
	    has_text(v) ? v->text : "");
	char given[128], hint[64];
	struct buf names = BUF_INIT;
	size_t i;

	conf_describe(v, given, sizeof(given));
	for (i = 0; o->names != NULL && o->names[i] != NULL; i++) {
		buf_puts(&names, i == 0 ? "" :
		    o->names[i + 1] == NULL ? " or " : ", ");
		buf_printf(&names, "\"%s\"", o->names[i]);
		conf_nearest(&near, o->names[i]);
	}
	conf_hint(&near, hint, sizeof(hint));
	conf_error(p, where, o->key, "expected %s, given %s%s",
	    o->names != NULL ? buf_str(&names) : expectations[o->type], given,
	    hint);
	buf_fini(&names);
}

/* The value is stored; is it within the bounds? */
static bool
within(const struct conf *c, const struct conf_option *o)
{
	const void *member = conf_const_member(c, o);
	int64_t n;

	if (o->max == 0)
		return true;
	switch (o->type) {
	case CONF_T_int:
		n = *(const int64_t *)member;
		break;
	case CONF_T_count:
		n = *(const int64_t *)member;
		break;
	case CONF_T_mode:
		n = *(const conf_mode_t *)member;
		break;
	case CONF_T_duration:
		n = *(const conf_duration_t *)member;
		break;
	case CONF_T_size:
		return *(const conf_size_t *)member >= (uint64_t)o->min &&
		    *(const conf_size_t *)member <= (uint64_t)o->max;
	default:
		return true;
	}
	return n >= o->min && n <= o->max;
}

static void
out_of_bounds(struct conf_parse *p, const struct conf_option *o,
    const struct conf_value *v, const struct conf_source *where)
{
	char low[32], high[32], given[128];

	if (o->type == CONF_T_mode) {
		snprintf(low, sizeof(low), "\"%04o\"", (unsigned)o->min);
		snprintf(high, sizeof(high), "\"%04o\"", (unsigned)o->max);
	} else if (o->type == CONF_T_size) {
		str_from_size((uint64_t)o->min, low);
		str_from_size((uint64_t)o->max, high);
	} else if (o->type == CONF_T_duration) {
		str_from_duration(o->min, low);
		str_from_duration(o->max, high);
	} else {
		snprintf(low, sizeof(low), "%" PRId64, o->min);
		snprintf(high, sizeof(high), "%" PRId64, o->max);
	}
	conf_describe(v, given, sizeof(given));
	conf_error(p, where, o->key, "expected %s to %s, given %s", low, high,
	    given);
}

int
conf_set(struct conf_parse *p, const struct conf_option *o,
    const struct conf_value *v, const struct conf_source *where)
{
	size_t id = (size_t)(o - conf_options);

	p->bad[id] = true;
	if (convert(p, o, v) == -1) {
		expected(p, o, v, where);
		return -1;
	}
	/* 0 is how "auto" is stored; as a number it is out of bounds */
	if (!within(p->conf, o) && !(o->type == CONF_T_count &&
	    has_text(v) && strcasecmp(v->text, "auto") == 0)) {
		out_of_bounds(p, o, v, where);
		return -1;
	}
	p->bad[id] = false;
	p->conf->sources[id] = conf_keep_source(p, where);
	return 0;
}

int
conf_set_text(struct conf_parse *p, const struct conf_option *o,
    const char *text, const struct conf_source *where)
{
	struct conf_value v = { .kind = CONF_K_TEXT, .text = text };

	return conf_set(p, o, &v, where);
}

static const char *
leaf(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot != NULL ? dot + 1 : key;
}

/* One begins with the other: "graceful_shutdown" and "graceful" */
static bool
begins(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), n = na < nb ? na : nb;

	return n >= 3 && strncmp(a, b, n) == 0;
}

struct conf_nearest
conf_nearest_to(struct conf_parse *p, const char *wrong)
{
	return (struct conf_nearest){
		.wrong = p->nhints++ < HINTS_MAX ? wrong : NULL,
	};
}

void
conf_nearest(struct conf_nearest *n, const char *name)
{
	unsigned d, e;

	if (n->wrong == NULL)
		return;
	d = str_distance(n->wrong, name);
	/* right name, wrong group: "keep_alive" for "timeouts.keep_alive" */
	e = str_distance(leaf(n->wrong), leaf(name)) + 1;
	if (e < d)
		d = e;
	if (d > 2 && begins(leaf(n->wrong), leaf(name)))
		d = 2;
	if (2 * d > strlen(leaf(n->wrong)))
		return;
	if (n->best[0] == '\0' || d < n->distance) {
		snprintf(n->best, sizeof(n->best), "%s", name);
		n->distance = d;
	}
}

void
conf_hint(const struct conf_nearest *n, char *text, size_t size)
{
	if (n->best[0] != '\0')
		snprintf(text, size, ", did you mean %s?", n->best);
	else
		snprintf(text, size, "%s", "");
}
