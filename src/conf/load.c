/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A file in libconfig's syntax into a configuration in the making.  The only
 * includer of <libconfig.h>; version 1.5 is enough.
 */
#include "conf/conf_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "base/str.h"

struct load {
	struct conf_parse	*p;
	const char		*name;	/* of the outermost text */
};

static struct conf_source
source_of(const struct load *l, const config_setting_t *s)
{
	const char *file = config_setting_source_file(s);

	return (struct conf_source){ CONF_BY_FILE,
	    file != NULL ? file : l->name,
	    (unsigned)config_setting_source_line(s) };
}

static void
value_of(const config_setting_t *s, struct conf_value *v)
{
	memset(v, 0, sizeof(*v));
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		v->kind = CONF_K_INT;
		v->number = config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_FLOAT:
		v->kind = CONF_K_FLOAT;
		v->real = config_setting_get_float(s);
		break;
	case CONFIG_TYPE_STRING:
		v->kind = CONF_K_STRING;
		v->text = config_setting_get_string(s);
		break;
	case CONFIG_TYPE_BOOL:
		v->kind = CONF_K_BOOL;
		v->number = config_setting_get_bool(s);
		break;
	case CONFIG_TYPE_GROUP:
		v->kind = CONF_K_GROUP;
		break;
	default:
		v->kind = CONF_K_LIST;
		break;
	}
	if (v->kind == CONF_K_STRING && v->text == NULL)
		v->text = "";
}

static void
wrong_type(struct load *l, const config_setting_t *s, const char *key,
    const char *expected)
{
	struct conf_source where = source_of(l, s);
	char given[128];
	struct conf_value v;

	value_of(s, &v);
	conf_describe(&v, given, sizeof(given));
	conf_error(l->p, &where, key, "expected %s, given %s", expected, given);
}

/* ---- listen ------------------------------------------------------------- */

static int
get_string(struct load *l, const config_setting_t *s, const char *key,
    char **string)
{
	const char *text = config_setting_get_string(s);
	char *copy;

	if (text == NULL) {
		wrong_type(l, s, key, "a string");
		return -1;
	}
	if ((copy = conf_strdup(l->p, text)) == NULL)
		return -1;
	free(*string);
	*string = copy;
	return 0;
}

static int
get_int(struct load *l, const config_setting_t *s, const char *key, int min,
    int max, int *number)
{
	struct conf_value v;
	char expected[64];

	value_of(s, &v);
	if (v.kind != CONF_K_INT || v.number < min || v.number > max) {
		snprintf(expected, sizeof(expected), "an integer, %d to %d",
		    min, max);
		wrong_type(l, s, key, expected);
		return -1;
	}
	*number = (int)v.number;
	return 0;
}

typedef void listen_member_f(struct load *, const config_setting_t *,
    struct conf_listen *);

static void
set_address(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	const char *text = config_setting_get_string(s);

	to->kind = CONF_LISTEN_TCP;
	if (text == NULL)
		wrong_type(l, s, "listen.address", "a string");
	else
		(void)conf_listen_address(l->p, to, "listen", text);
}

static void
set_unix(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	to->kind = CONF_LISTEN_UNIX;
	(void)get_string(l, s, "listen.unix", &to->path);
}

static void
set_fd(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	to->kind = CONF_LISTEN_FD;
	(void)get_int(l, s, "listen.fd", 0, INT_MAX, &to->fd);
}

static void
set_mode(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	const char *text = config_setting_get_string(s);
	unsigned mode;

	if (text == NULL || conf_to_mode(text, &mode) == -1 || mode > 0777)
		wrong_type(l, s, "listen.mode",
		    "an octal string, \"0000\" to \"0777\"");
	else
		to->mode = (mode_t)mode;
}

static void
set_owner(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	(void)get_string(l, s, "listen.owner", &to->owner);
}

static void
set_group(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	(void)get_string(l, s, "listen.group", &to->group);
}

static void
set_backlog(struct load *l, const config_setting_t *s, struct conf_listen *to)
{
	(void)get_int(l, s, "listen.backlog", 1, CONF_BACKLOG_MAX,
	    &to->backlog);
}

enum { M_KIND, M_UNIX_ONLY, M_ANY };

static const struct {
	const char	*name;
	listen_member_f	*set;
	int		 use;
} listen_members[] = {
	{ "address", set_address, M_KIND },
	{ "unix", set_unix, M_KIND },
	{ "fd", set_fd, M_KIND },
	{ "mode", set_mode, M_UNIX_ONLY },
	{ "owner", set_owner, M_UNIX_ONLY },
	{ "group", set_group, M_UNIX_ONLY },
	{ "backlog", set_backlog, M_ANY },
};

static void
listen_unknown(struct load *l, const config_setting_t *s)
{
	const char *name = config_setting_name(s);
	struct conf_nearest near = conf_nearest_to(l->p,
	    name);
	struct conf_source where = source_of(l, s);
	char hint[64];
	size_t i;

	for (i = 0; i < countof(listen_members); i++)
		conf_nearest(&near, listen_members[i].name);
	conf_hint(&near, hint, sizeof(hint));
	conf_error(l->p, &where, NULL, "listen.%s: unknown option%s", name,
	    hint);
}

static void
listen_group(struct load *l, config_setting_t *group, struct conf_listen *to)
{
	unsigned i, n = (unsigned)config_setting_length(group), kinds = 0;
	config_setting_t *s, *unix_only = NULL;
	unsigned before = l->p->nerrors;
	size_t m;

	for (i = 0; i < n; i++) {
		s = config_setting_get_elem(group, i);
		for (m = 0; m < countof(listen_members); m++)
			if (strcmp(config_setting_name(s),
			    listen_members[m].name) == 0)
				break;
		if (m == countof(listen_members)) {
			listen_unknown(l, s);
			continue;
		}
		kinds += listen_members[m].use == M_KIND;
		if (listen_members[m].use == M_UNIX_ONLY)
			unix_only = s;
		listen_members[m].set(l, s, to);
	}
	if (l->p->nerrors > before)
		return;		/* what follows may be its consequence */
	if (kinds != 1)
		conf_error(l->p, &to->source, "listen",
		    "expected exactly one of address, unix and fd");
	else if (unix_only != NULL && to->kind != CONF_LISTEN_UNIX)
		conf_error(l->p, &to->source, "listen",
		    "%s is for UNIX sockets only",
		    config_setting_name(unix_only));
}

static void
listen_element(struct load *l, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	struct conf_source where = source_of(l, s);
	unsigned before = l->p->nerrors;
	struct conf_listen *to;

	if (text == NULL && !config_setting_is_group(s)) {
		wrong_type(l, s, "listen", "an address or a group { }");
		return;
	}
	if ((to = conf_listen_add(l->p, &where)) == NULL)
		return;
	if (text != NULL)
		(void)conf_listen_address(l->p, to, "listen", text);
	else
		listen_group(l, s, to);
	if (l->p->nerrors > before)
		conf_listen_drop(l->p->conf);
}

static void
load_listen(struct load *l, config_setting_t *s)
{
	unsigned i, n;

	if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
		listen_element(l, s);
		return;
	}
	n = (unsigned)config_setting_length(s);
	for (i = 0; i < n; i++)
		listen_element(l, config_setting_get_elem(s, i));
}

/* ---- all other options -------------------------------------------------- */

/* Is it the name of a group, "limits"? */
static bool
is_group_key(const char *key)
{
	size_t i, n = strlen(key);

	for (i = 0; i < CONF_NOPTIONS; i++)
		if (strncmp(conf_options[i].key, key, n) == 0 &&
		    conf_options[i].key[n] == '.')
			return true;
	return false;
}

/* Each element of a list of strings, with its own line in the message. */
static int
load_strings(struct load *l, const config_setting_t *s, const char *key,
    struct conf_list *list)
{
	unsigned i, n = (unsigned)config_setting_length(s);
	config_setting_t *element;
	const char *text;
	int result = 0;

	for (i = 0; i < n; i++) {
		element = config_setting_get_elem(s, i);
		if ((text = config_setting_get_string(element)) == NULL) {
			wrong_type(l, element, key, "a string");
			result = -1;
		} else if (conf_list_add(list, text) == -1) {
			l->p->nomem = true;
			result = -1;
		}
	}
	return result;
}

static void
load_option(struct load *l, const config_setting_t *s,
    const struct conf_option *o)
{
	struct conf_list list = { 0 };
	struct conf_value v;
	struct conf_source where = source_of(l, s);

	value_of(s, &v);
	if (o->type == CONF_T_list && v.kind == CONF_K_LIST) {
		v.list = &list;
		if (load_strings(l, s, o->key, &list) == 0)
			(void)conf_set(l->p, o, &v, &where);
		conf_list_clear(&list);
	} else {
		(void)conf_set(l->p, o, &v, &where);
	}
}

static void
unknown(struct load *l, const config_setting_t *s, const char *key)
{
	struct conf_nearest near = conf_nearest_to(l->p,
	    key);
	struct conf_source where = source_of(l, s);
	char hint[64], group[32];
	const struct conf_option *o;
	const char *dot;

	conf_nearest(&near, "listen");
	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++) {
		dot = strchr(o->key, '.');
		if (dot != NULL && config_setting_is_group(s)) {
			snprintf(group, sizeof(group), "%.*s",
			    (int)(dot - o->key), o->key);
			conf_nearest(&near, group);
		}
		conf_nearest(&near, o->key);
	}
	conf_hint(&near, hint, sizeof(hint));
	conf_error(l->p, &where, key, "unknown option%s", hint);
}

/* `prefix` is "" or "limits."; groups are one level deep in the table, yet
 * nothing here depends on it */
static void
load_group(struct load *l, config_setting_t *group, const char *prefix)
{
	unsigned i, n = (unsigned)config_setting_length(group);
	const struct conf_option *o;
	char key[256];
	config_setting_t *s;

	for (i = 0; i < n; i++) {
		s = config_setting_get_elem(group, i);
		snprintf(key, sizeof(key) - 1, "%s%s", prefix,
		    config_setting_name(s));
		if ((o = conf_option_by_key(key)) != NULL) {
			load_option(l, s, o);
		} else if (strcmp(key, "listen") == 0) {
			load_listen(l, s);
		} else if (!is_group_key(key)) {
			unknown(l, s, key);
		} else if (!config_setting_is_group(s)) {
			wrong_type(l, s, key, "a group { }");
		} else {
			strcat(key, ".");
			load_group(l, s, key);
		}
	}
}

/* ---- text and file ------------------------------------------------------ */

/* libconfig has failed: say more than it does, if we can. */
static void
explain(struct conf_parse *p, const config_t *config, const char *text,
    const char *name)
{
	const char *what = config_error_text(config);
	const char *file = config_error_file(config);
	struct conf_source where = { CONF_BY_FILE, file != NULL ? file : name,
	    (unsigned)config_error_line(config) };
	bool duplicate = strstr(what, "duplicate") != NULL;
	char *included = NULL;
	struct buf why = BUF_INIT;
	unsigned line = where.line;

	if (file != NULL && strcmp(file, name) != 0)
		text = included = conf_read_file(file);
	if (text != NULL &&
	    (duplicate || strstr(what, "syntax error") != NULL) &&
	    conf_syntax_look(text, duplicate, &line, &why)) {
		where.line = line;
		conf_error(p, &where, NULL, "%s: %s", what, buf_str(&why));
	} else
		conf_error(p, &where, NULL, "%s", what);
	buf_fini(&why);
	free(included);
}

int
conf_load_text(struct conf_parse *p, const char *text, const char *name)
{
	struct load l = { .p = p, .name = name };
	config_t config;
	int result = -1;
	char *copy;

	if ((copy = conf_strdup(p, name)) == NULL)
		return -1;
	free(p->conf->file);
	p->conf->file = copy;
	if (conf_scan(p, text, name) == -1)
		return -1;
	config_init(&config);
	if (config_read_string(&config, text) == CONFIG_TRUE) {
		load_group(&l, config_root_setting(&config), "");
		result = 0;
	} else
		explain(p, &config, text, name);
	config_destroy(&config);
	return result;
}

int
conf_load_file(struct conf_parse *p, const char *path)
{
	char *text;
	int result;

	if ((text = conf_read_file(path)) == NULL) {
		conf_error(p, NULL, path, "%s", conf_file_error(errno));
		return -1;
	}
	result = conf_load_text(p, text, path);
	free(text);
	return result;
}
