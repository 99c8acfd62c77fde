/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A file in libconfig's syntax into a configuration in the making.  The only
 * includer of <libconfig.h>; version 1.5 is enough.
 */
#include "conf/conf_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libconfig.h>

#include "base/fd.h"
#include "base/str.h"

#define INCLUDE_DEPTH	10	/* libconfig's own limit */

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
	struct conf_nearest near = { .wrong = name };
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
	struct conf_nearest near = { .wrong = key };
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

/*
 * Before libconfig sees a text, a scan of ours looks for what it does badly.
 * An included file that opens but cannot be read (a directory) makes its
 * scanner end the whole process, and a device would be read for ever.  An
 * integer of more than 32 bits without an L is silently cut (before 1.7).
 * A string or comment that is not closed is reported at the end of the file,
 * or not at all, and leaks.
 */
struct scan {
	struct conf_parse	*p;
	const char		*name;	/* of this text */
	unsigned		 line;
	int			 depth;	/* of includes */
	int			 result;
};

static void scan_text(struct scan *, const char *);

static void
scan_error(struct scan *sc, struct str token, const char *why)
{
	struct conf_source where = { CONF_BY_FILE, sc->name, sc->line };

	conf_error(sc->p, &where, NULL, STR_FMT "%s%s", STR_ARG(token),
	    token.n > 0 ? ": " : "", why);
	sc->result = -1;
}

static const char *
file_error(int error)
{
	switch (error) {
	case EINVAL:
		return "not a regular file";
	case EILSEQ:
		return "not a text file, it holds a NUL";
	default:
		return strerror(error);
	}
}

/* NULL with errno, whose text is file_error()'s. */
static char *
read_file(const char *path)
{
	struct stat st;
	char *text = NULL;
	int fd, saved;
	size_t len;

	/* a FIFO must not hang us */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto done;
	if (S_ISDIR(st.st_mode))
		errno = EISDIR;
	else if (!S_ISREG(st.st_mode))
		errno = EINVAL;
	else if ((text = fd_read_all(fd, &len)) != NULL &&
	    memchr(text, '\0', len) != NULL) {
		free(text);
		text = NULL;
		errno = EILSEQ;
	}
done:
	saved = errno;
	fd_close(&fd);
	errno = saved;
	return text;
}

/* Behind the string; lines are counted. */
static const char *
skip_string(struct scan *sc, const char *t)
{
	struct scan at = *sc;

	for (t++; *t != '\0' && *t != '"'; t++) {
		if (*t == '\\' && t[1] != '\0')
			t++;
		sc->line += *t == '\n';
	}
	if (*t == '"')
		return t + 1;
	scan_error(&at, STR(""), "a string is not closed");
	sc->result = -1;
	return t;
}

static const char *
skip_comment(struct scan *sc, const char *t)
{
	struct scan at = *sc;

	if (t[0] != '/' || t[1] != '*')
		return strchrnul(t, '\n');
	for (t += 2; *t != '\0' && !(t[0] == '*' && t[1] == '/'); t++)
		sc->line += *t == '\n';
	if (*t != '\0')
		return t + 2;
	scan_error(&at, STR(""), "a comment is not closed");
	sc->result = -1;
	return t;
}

/* The name between the quotes; NULL after an error, else what is behind. */
static const char *
include_name(struct scan *sc, const char *t, char path[PATH_MAX])
{
	size_t n = 0;

	for (t++; *t != '"'; path[n++] = *t++) {
		if (*t == '\\' && (t[1] == '\\' || t[1] == '"'))
			t++;
		if (*t == '\0' || *t == '\n' || n + 1 == PATH_MAX) {
			scan_error(sc, STR("@include"),
			    "the file's name is not closed");
			return NULL;
		}
	}
	path[n] = '\0';
	return t + 1;
}

/* Behind "@include": the file is tried and scanned.  Missing ones are left to
 * libconfig, which reports them with their line. */
static const char *
scan_include(struct scan *sc, const char *t)
{
	struct scan inner = { .p = sc->p, .line = 1, .depth = sc->depth + 1 };
	char path[PATH_MAX], *text;
	const char *end;

	t += strspn(t, " \t");
	if (*t != '"')
		return t;
	if ((end = include_name(sc, t, path)) == NULL)
		return t + strlen(t);
	text = read_file(path);
	if (text == NULL && errno != ENOENT) {
		scan_error(sc, (struct str){ t, (size_t)(end - t) },
		    file_error(errno));
	} else if (text != NULL && sc->depth < INCLUDE_DEPTH) {
		inner.name = path;
		scan_text(&inner, text);
		if (inner.result == -1)
			sc->result = -1;
	}
	free(text);
	return end;
}

static const char *
scan_number(struct scan *sc, const char *t)
{
	size_t n = strcspn(t, " \t\r\n\f,;(){}[]=:#/\"");
	char digits[32], *end;
	long long number;

	snprintf(digits, sizeof(digits), "%.*s", (int)n, t);
	errno = 0;
	/* "010" is ten there */
	number = strtoll(digits, &end, strncmp(digits, "0x", 2) == 0 ||
	    strncmp(digits, "0X", 2) == 0 ? 16 : 10);
	if (errno == ERANGE && (*end == '\0' || *end == 'L'))
		scan_error(sc, (struct str){ t, n },
		    "more than 64 bits");
	else if (*end == '\0' && (number > INT32_MAX || number < INT32_MIN))
		scan_error(sc, (struct str){ t, n },
		    "more than 32 bits, an L is needed at the end");
	return t + n;
}

static void
scan_text(struct scan *sc, const char *t)
{
	bool line_start = true;
	const char *p;

	while (*t != '\0') {
		p = t;
		if (*t == '\n') {
			sc->line++;
			line_start = true;
			t++;
			continue;
		}
		if (*t == '"')
			t = skip_string(sc, t);
		else if (*t == '#' || (*t == '/' &&
		    (t[1] == '/' || t[1] == '*')))
			t = skip_comment(sc, t);
		else if (line_start && strncmp(t, "@include", 8) == 0)
			t = scan_include(sc, t + 8);
		else if (strchr("+-0123456789", *t) != NULL)
			t = scan_number(sc, t);
		else if ((*t >= 'a' && *t <= 'z') || (*t >= 'A' && *t <= 'Z'))
			t += strcspn(t, " \t\r\n\f,;(){}[]=:#/\"");
		else
			t++;
		line_start = line_start && (*p == ' ' || *p == '\t');
	}
}

int
conf_load_text(struct conf_parse *p, const char *text, const char *name)
{
	struct scan sc = { .p = p, .name = name, .line = 1 };
	struct load l = { .p = p, .name = name };
	struct conf_source where;
	const char *file;
	config_t config;
	int result = -1;
	char *copy;

	if ((copy = conf_strdup(p, name)) == NULL)
		return -1;
	free(p->conf->file);
	p->conf->file = copy;
	scan_text(&sc, text);
	if (sc.result == -1)
		return -1;
	config_init(&config);
	if (config_read_string(&config, text) == CONFIG_TRUE) {
		load_group(&l, config_root_setting(&config), "");
		result = 0;
	} else {
		file = config_error_file(&config);
		where = (struct conf_source){ CONF_BY_FILE,
		    file != NULL ? file : name,
		    (unsigned)config_error_line(&config) };
		conf_error(p, &where, NULL, "%s", config_error_text(&config));
	}
	config_destroy(&config);
	return result;
}

int
conf_load_file(struct conf_parse *p, const char *path)
{
	char *text;
	int result;

	if ((text = read_file(path)) == NULL) {
		conf_error(p, NULL, path, "%s", file_error(errno));
		return -1;
	}
	result = conf_load_text(p, text, path);
	free(text);
	return result;
}
