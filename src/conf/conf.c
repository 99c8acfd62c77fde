/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The table of options, and the life of a struct conf.
 */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "conf/conf_priv.h"
#include "conf/cpus.h"

static const char *const application_send_after_disconnect_names[] = {
	[CONF_LOST_RAISE] = "raise",
	[CONF_LOST_IGNORE] = "ignore",
	NULL
};

static const char *const lifespan_names[] = {
	[CONF_LIFESPAN_AUTO] = "auto",
	[CONF_LIFESPAN_ON] = "on",
	[CONF_LIFESPAN_OFF] = "off",
	NULL
};

static const char *const interface_names[] = {
	[CONF_ASGI_AUTO] = "auto",
	[CONF_ASGI3] = "asgi3",
	[CONF_ASGI2] = "asgi2",
	NULL
};

const char *const conf_log_formats[] = {
	"uvicorn", "common", "combined", NULL
};

#define ERRORS_MAX	1000	/* that are told */

#define DEFAULT_string(d)	{ .text = (d) }
#define DEFAULT_bool(d)		{ .number = (d) }
#define DEFAULT_int(d)		{ .number = (d) }
#define DEFAULT_size(d)		{ .number = (d) }
#define DEFAULT_duration(d)	{ .number = (d) }
#define DEFAULT_mode(d)		{ .number = (d) }
#define DEFAULT_enum(d)		{ .number = (d) }
#define DEFAULT_count(d)	{ .number = (d) }
#define DEFAULT_list(d)		{ .text = (d) }

#define NAMES_string(member)	NULL
#define NAMES_bool(member)	NULL
#define NAMES_int(member)	NULL
#define NAMES_size(member)	NULL
#define NAMES_duration(member)	NULL
#define NAMES_mode(member)	NULL
#define NAMES_enum(member)	member##_names
#define NAMES_count(member)	NULL
#define NAMES_list(member)	NULL

const struct conf_option conf_options[CONF_NOPTIONS] = {
#define OPTION(k, member, t, d, lo, hi, c, cmd, doc)			\
	[OPT_##member] = {						\
		.key = k, .type = CONF_T_##t,				\
		.offset = offsetof(struct conf, member),		\
		.def = DEFAULT_##t(d), .min = lo, .max = hi,		\
		.names = NAMES_##t(member), .class = CONF_##c,		\
		.cmdline = cmd, .text = doc,				\
	},
#include "conf/options.def"
#undef OPTION
};

int
conf_set_default(struct conf *c, const struct conf_option *o)
{
	void *member = conf_member(c, o);

	switch (o->type) {
	case CONF_T_string:
		free(*(char **)member);
		*(char **)member = strdup(o->def.text);
		return *(char **)member != NULL ? 0 : -1;
	case CONF_T_bool:
		*(conf_bool_t *)member = o->def.number != 0;
		break;
	case CONF_T_int:
	case CONF_T_count:
	case CONF_T_duration:
		*(int64_t *)member = o->def.number;
		break;
	case CONF_T_size:
		*(conf_size_t *)member = (uint64_t)o->def.number;
		break;
	case CONF_T_mode:
		*(conf_mode_t *)member = (unsigned)o->def.number;
		break;
	case CONF_T_enum:
		*(conf_enum_t *)member = (int)o->def.number;
		break;
	case CONF_T_list:
		conf_list_clear(member);
		return conf_list_split(member, o->def.text);
	}
	return 0;
}

static struct conf *
conf_new(void)
{
	struct conf *c = calloc(1, sizeof(*c));
	size_t i;

	if (c == NULL)
		return NULL;
	c->sources = calloc(CONF_NOPTIONS, sizeof(*c->sources));
	if (c->sources == NULL || (c->file = strdup("")) == NULL)
		goto fail;
	for (i = 0; i < CONF_NOPTIONS; i++)
		if (conf_set_default(c, &conf_options[i]) == -1)
			goto fail;
	return c;
fail:
	conf_free(&c);
	return NULL;
}

void
conf_free(struct conf **cp)
{
	const struct conf_option *o;
	struct conf *c = *cp;

	if (c == NULL)
		return;
	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++)
		if (o->type == CONF_T_string)
			free(*(char **)conf_member(c, o));
		else if (o->type == CONF_T_list)
			conf_list_clear(conf_member(c, o));
	conf_listen_clear(c);
	conf_list_clear(&c->names);
	free(c->sources);
	free(c->file);
	free(c);
	*cp = NULL;
}

unsigned
conf_workers(const struct conf *c)
{
	return c->workers_count > 0 ? (unsigned)c->workers_count :
	    cpus_usable();
}

/* "blog" of /etc/asgid/blog.conf; "asgid" without a file. */
static struct str
instance(const struct conf *c)
{
	const char *slash = strrchr(c->file, '/');
	const char *name = slash != NULL ? slash + 1 : c->file;
	const char *dot = strrchr(name, '.');

	if (*name == '\0')
		return STR("asgid");
	return dot == NULL || dot == name ? str_of(name) :
	    (struct str){ name, (size_t)(dot - name) };
}

char *
conf_control_socket(const struct conf *c)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct str name = instance(c);
	bool usual = str_eq(name, STR("asgid"));
	char *path;

	if (strcmp(c->control_socket, "auto") != 0)
		return strdup(c->control_socket);
	if (geteuid() == 0)
		dir = "/run";
	else if (dir == NULL || *dir != '/')
		return strdup("");
	if (asprintf(&path, "%s/asgid/control%s" STR_FMT ".sock", dir,
	    usual ? "" : "-", usual ? 0 : (int)name.n, name.p) == -1)
		return NULL;
	if (strlen(path) > CONF_UNIX_PATH_MAX)
		*path = '\0';
	return path;
}

const struct conf_option *
conf_option_by_key(const char *key)
{
	size_t i;

	for (i = 0; i < CONF_NOPTIONS; i++)
		if (strcmp(conf_options[i].key, key) == 0)
			return &conf_options[i];
	return NULL;
}

int
conf_parse_init(struct conf_parse *p, struct buf *errors)
{
	memset(p, 0, sizeof(*p));
	p->errors = errors;
	if ((p->conf = conf_new()) == NULL) {
		p->nomem = true;
		conf_error(p, NULL, NULL, "out of memory");
		return -1;
	}
	return 0;
}

void
conf_parse_fini(struct conf_parse *p)
{
	if (p->nerrors > ERRORS_MAX)
		buf_printf(p->errors, "%u more errors\n",
		    p->nerrors - ERRORS_MAX);
	conf_free(&p->conf);
}

struct conf *
conf_parse_finish(struct conf_parse *p)
{
	struct conf *c = p->conf;

	if (!p->nomem)
		conf_check(p);
	if (p->nomem)
		conf_error(p, NULL, NULL, "out of memory");
	if (p->nerrors > 0)
		return NULL;
	p->conf = NULL;
	return c;
}

const struct conf_source *
conf_source(const struct conf *c, const char *key)
{
	const struct conf_option *o = conf_option_by_key(key);

	return o != NULL ? &c->sources[o - conf_options] : NULL;
}

struct conf_source
conf_keep_source(struct conf_parse *p, const struct conf_source *s)
{
	struct conf_list *names = &p->conf->names;
	struct conf_source kept = *s;
	size_t i;

	for (i = 0; i < names->n && strcmp(names->at[i], s->name) != 0; i++)
		;
	if (i == names->n && conf_list_add(names, s->name) == -1) {
		p->nomem = true;
		kept.name = "";
	} else
		kept.name = names->at[i];
	return kept;
}

void
conf_source_text(const struct conf_source *s, struct buf *b)
{
	switch (s->origin) {
	case CONF_BY_FILE:
		buf_puts(b, s->name);
		if (s->line > 0)
			buf_printf(b, ":%u", s->line);
		break;
	case CONF_BY_ENVIRONMENT:
		buf_printf(b, "$%s", s->name);
		break;
	case CONF_BY_CMDLINE:
		buf_puts(b, s->name);
		break;
	case CONF_BY_DEFAULT:
		break;
	}
}

void
conf_complain(struct buf *b, const struct conf_source *where,
    const char *key, const char *fmt, ...)
{
	size_t before = b->len;
	va_list ap;

	if (where != NULL)
		conf_source_text(where, b);
	if (b->len > before)
		buf_puts(b, ": ");
	if (key != NULL)
		buf_printf(b, "%s: ", key);
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
	buf_putc(b, '\n');
}

void
conf_error(struct conf_parse *p, const struct conf_source *where,
    const char *key, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (where != NULL && where->origin == CONF_BY_CMDLINE)
		p->usage = true;
	if (++p->nerrors > ERRORS_MAX)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	conf_complain(p->errors, where, key, "%s", buf_str(&text));
	if (text.failed)
		p->nomem = true;
	buf_fini(&text);
}

char *
conf_strdup(struct conf_parse *p, const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		p->nomem = true;
	return copy;
}

struct conf *
conf_from_text(const char *text, const char *name, struct buf *errors)
{
	struct conf *c = NULL;
	struct conf_parse p;

	if (conf_parse_init(&p, errors) == -1)
		return NULL;
	if (conf_load_text(&p, text, name) == 0)
		c = conf_parse_finish(&p);
	conf_parse_fini(&p);
	return c;
}
