/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The command line: asgid's few options, uvicorn's names (a column of the
 * table of options) and the application.  Read completely first, applied
 * after the file.
 */
#include "conf/conf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct cmdline;

/* An option as the source of a value; ON_THE_WHOLE, the command line. */
#define BY_OPTION(name)	(&(struct conf_source){ CONF_BY_CMDLINE, (name), 0 })
#define ON_THE_WHOLE	BY_OPTION("")

/* `value` is NULL for flags; `name` is the option as it was written */
typedef void cmdline_f(struct cmdline *, const char *name, const char *value);

struct cmdline_option {
	char		 letter;	/* '\0' is none */
	const char	*name;		/* "" is none */
	const char	*metavar;	/* NULL: takes no value */
	cmdline_f	*apply;
	const char	*text;
};

/* One option to be set after the file was read. */
struct assignment {
	const struct conf_option	*option;
	const char			*value;
	struct conf_source		 where;
};

struct cmdline {
	struct conf_parse	 parse;
	enum conf_action	 action;
	const char		*file, *app;
	const char		*host, *port, *uds, *fd, *backlog;
	int			 access_log, server_header;	/* -1: unsaid */
	struct assignment	*set;
	size_t			 nset;
	const char		**listen;	/* -o listen=ADDRESS */
	size_t			 nlisten;
	bool			 lost;	/* an option was unknown */
};

static void
take_action(struct cmdline *c, enum conf_action action)
{
	/* help and version win over what was asked besides */
	if (c->action < CONF_VERSION)
		c->action = action;
}

static void
on_file(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->file = value;
}

static void
on_check(struct cmdline *c, UNUSED const char *name, UNUSED const char *value)
{
	if (c->action != CONF_PRINT)
		take_action(c, CONF_CHECK);
}

static void
on_print(struct cmdline *c, UNUSED const char *name, UNUSED const char *value)
{
	take_action(c, CONF_PRINT);
}

static void
on_version(struct cmdline *c, UNUSED const char *name,
    UNUSED const char *value)
{
	take_action(c, CONF_VERSION);
}

static void
on_help(struct cmdline *c, UNUSED const char *name, UNUSED const char *value)
{
	take_action(c, CONF_HELP);
}

static void
on_host(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->host = value;
}

static void
on_port(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->port = value;
}

static void
on_uds(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->uds = value;
}

static void
on_fd(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->fd = value;
}

static void
on_backlog(struct cmdline *c, UNUSED const char *name, const char *value)
{
	c->backlog = value;
}

static void
on_access_log(struct cmdline *c, const char *name, UNUSED const char *value)
{
	c->access_log = strncmp(name, "--no-", 5) != 0;
}

static void
on_server_header(struct cmdline *c, const char *name,
    UNUSED const char *value)
{
	c->server_header = strncmp(name, "--no-", 5) != 0;
}

static void
assign(struct cmdline *c, const struct conf_option *o, const char *value,
    const char *name)
{
	/* room for one an argument was made by the caller */
	c->set[c->nset++] = (struct assignment){ o, value,
	    conf_keep_source(&c->parse, BY_OPTION(name)) };
}

static void
on_option(struct cmdline *c, const char *name, const char *value)
{
	struct conf_nearest near;
	const char *eq = strchr(value, '=');
	const struct conf_option *o;
	char key[64], hint[64];

	if (eq == NULL) {
		conf_error(&c->parse, BY_OPTION(name), NULL,
		    "expected KEY=VALUE, given \"%s\"", value);
		return;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(eq - value), value);
	if (strcmp(key, "listen") == 0) {
		c->listen[c->nlisten++] = eq + 1;
		return;
	}
	if ((o = conf_option_by_key(key)) != NULL) {
		assign(c, o, eq + 1, name);
		return;
	}
	near = conf_nearest_to(&c->parse, key);
	conf_nearest(&near, "listen");
	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++)
		conf_nearest(&near, o->key);
	conf_hint(&near, hint, sizeof(hint));
	conf_error(&c->parse, BY_OPTION(name), key, "unknown option%s", hint);
}

static const struct cmdline_option options[] = {
	{ 'c', "", "FILE", on_file, "read this configuration file" },
	{ 't', "", NULL, on_check, "check the configuration and exit" },
	{ 'T', "", NULL, on_print,
	    "print the effective configuration and exit" },
	{ 'o', "", "KEY=VALUE", on_option,
	    "set an option of the file by its key" },
	{ 0, "--host", "TEXT", on_host, "address to listen on (127.0.0.1)" },
	{ 0, "--port", "INTEGER", on_port,
	    "port to listen on, 0: any free one (8000)" },
	{ 0, "--uds", "PATH", on_uds, "listen on a UNIX socket instead" },
	{ 0, "--fd", "INTEGER", on_fd,
	    "listen on an inherited descriptor instead" },
	{ 0, "--backlog", "INTEGER", on_backlog,
	    "connections the kernel may hold for us (2048)" },
	{ 0, "--access-log", NULL, on_access_log, "write an access log" },
	{ 0, "--no-access-log", NULL, on_access_log, "write none" },
	{ 0, "--server-header", NULL, on_server_header,
	    "send a Server header" },
	{ 0, "--no-server-header", NULL, on_server_header, "send none" },
	{ 0, "--version", NULL, on_version, "print versions and exit" },
	{ 'h', "", NULL, on_help, "print this and exit" },
	{ 0, "--help", NULL, on_help, "the same" },
};

/* uvicorn has them, this version has not.  Saying so beats ignoring them. */
static const struct {
	const char	*name;
	bool		 takes_value;
} unsupported[] = {
	{ "--loop", true },
	{ "--http", true },
	{ "--ws", true },
	{ "--ws-max-size", true },
	{ "--ws-max-queue", true },
	{ "--ws-ping-interval", true },
	{ "--ws-ping-timeout", true },
	{ "--ws-per-message-deflate", true },
	{ "--env-file", true },
	{ "--log-config", true },
	{ "--use-colors", false },
	{ "--no-use-colors", false },
	{ "--proxy-headers", false },
	{ "--no-proxy-headers", false },
	{ "--forwarded-allow-ips", true },
	{ "--date-header", false },
	{ "--no-date-header", false },
	{ "--header", true },
	{ "--h11-max-incomplete-event-size", true },
	{ "--reset-contextvars", false },
	{ "--ssl-keyfile", true },
	{ "--ssl-certfile", true },
	{ "--ssl-keyfile-password", true },
	{ "--ssl-version", true },
	{ "--ssl-cert-reqs", true },
	{ "--ssl-ca-certs", true },
	{ "--ssl-ciphers", true },
};

/* ---- reading argv ------------------------------------------------------- */

/* The option of the table whose uvicorn name this is. */
static const struct conf_option *
option_by_name(const char *name)
{
	const struct conf_option *o;

	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++)
		if (o->cmdline[0] == '-' && strcmp(o->cmdline, name) == 0)
			return o;
	return NULL;
}

static const struct cmdline_option *
find_letter(char letter)
{
	size_t i;

	for (i = 0; i < countof(options); i++)
		if (options[i].letter == letter)
			return &options[i];
	return NULL;
}

static const struct cmdline_option *
find_name(const char *name)
{
	size_t i;

	for (i = 0; i < countof(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

static int
find_unsupported(const char *name)
{
	size_t i;

	for (i = 0; i < countof(unsupported); i++)
		if (strcmp(unsupported[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void
no_such_option(struct cmdline *c, const char *name)
{
	/* compared without the dashes, which would make all look alike */
	struct conf_nearest near = conf_nearest_to(&c->parse,
	    name + 2);
	const struct conf_option *o;
	size_t i;

	for (i = 0; i < countof(options); i++)
		if (options[i].name[0] != '\0')
			conf_nearest(&near, options[i].name + 2);
	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++)
		if (o->cmdline[0] == '-')
			conf_nearest(&near, o->cmdline + 2);
	if (near.best[0] != '\0')
		conf_error(&c->parse, BY_OPTION(name), NULL,
		    "no such option, did you mean --%s?", near.best);
	else
		conf_error(&c->parse, BY_OPTION(name), NULL, "no such option");
	c->lost = true;
}

/* The value behind '=' or the next argument; NULL after an error. */
static const char *
value_for(struct cmdline *c, const char *name, const char *attached,
    char *const **next)
{
	if (attached != NULL)
		return attached;
	if (**next != NULL)
		return *(*next)++;
	conf_error(&c->parse, BY_OPTION(name), NULL, "requires an argument");
	return NULL;
}

static void
read_long(struct cmdline *c, const char *arg, char *const **next)
{
	const char *eq = strchr(arg, '='), *value = eq != NULL ? eq + 1 : NULL;
	const struct cmdline_option *special;
	const struct conf_option *o;
	bool takes_value;
	char name[64];
	int other;

	snprintf(name, sizeof(name), "%.*s",
	    (int)(eq != NULL ? (size_t)(eq - arg) : strlen(arg)), arg);
	special = find_name(name);
	o = special == NULL ? option_by_name(name) : NULL;
	other = find_unsupported(name);
	if (special == NULL && o == NULL && other == -1) {
		no_such_option(c, name);
		return;
	}
	takes_value = special != NULL ? special->metavar != NULL :
	    o != NULL ? o->type != CONF_T_bool :
	    unsupported[other].takes_value;
	if (!takes_value && value != NULL) {
		conf_error(&c->parse, BY_OPTION(name), NULL, "takes no value");
		return;
	}
	if (takes_value && (value = value_for(c, name, value, next)) == NULL)
		return;
	if (special != NULL)
		special->apply(c, name, value);
	else if (o != NULL)
		assign(c, o, takes_value ? value : "true", name);
	else
		conf_error(&c->parse, BY_OPTION(name), NULL,
		    "not supported by this version");
}

/* "-t", "-tc FILE", "-cFILE" */
static void
read_short(struct cmdline *c, const char *arg, char *const **next)
{
	const struct cmdline_option *o;
	const char *value;
	char name[3] = "-?";

	for (arg++; *arg != '\0'; arg++) {
		name[1] = *arg;
		if ((o = find_letter(*arg)) == NULL) {
			conf_error(&c->parse, BY_OPTION(name), NULL,
			    "no such option");
			return;
		}
		if (o->metavar == NULL) {
			o->apply(c, name, NULL);
			continue;
		}
		value = value_for(c, name, arg[1] != '\0' ? arg + 1 : NULL,
		    next);
		if (value != NULL)
			o->apply(c, name, value);
		return;
	}
}

static void
read_argv(struct cmdline *c, char *const *argv)
{
	bool only_words = false;
	const char *arg;

	while ((arg = *argv) != NULL) {
		argv++;
		if (only_words || arg[0] != '-' || arg[1] == '\0') {
			if (c->app != NULL && !c->lost)
				conf_error(&c->parse, ON_THE_WHOLE, arg,
				    "unexpected extra argument");
			else
				c->app = arg;
		} else if (strcmp(arg, "--") == 0) {
			only_words = true;
		} else if (arg[1] == '-') {
			read_long(c, arg, &argv);
		} else {
			read_short(c, arg, &argv);
		}
	}
	if (c->file == NULL && c->app == NULL && c->parse.nerrors == 0 &&
	    c->action < CONF_VERSION)
		conf_error(&c->parse, ON_THE_WHOLE, NULL, "neither a "
		    "configuration file (-c FILE) nor an application "
		    "(module:attribute) is given");
}

/* ---- applying ----------------------------------------------------------- */

static int
number_of(struct cmdline *c, const char *name, const char *text,
    unsigned min, unsigned max, unsigned *number)
{
	uint64_t n;

	if (str_to_uint(str_of(text), &n) == -1 || n < min || n > max) {
		conf_error(&c->parse, BY_OPTION(name), NULL,
		    "expected an integer, %u to %u, given \"%s\"", min, max,
		    text);
		return -1;
	}
	*number = (unsigned)n;
	return 0;
}

static void
listen_tcp(struct cmdline *c)
{
	const char *host = c->host != NULL ? c->host : "127.0.0.1";
	struct conf_listen *l;
	size_t n = strlen(host);

	l = conf_listen_add(&c->parse,
	    BY_OPTION(c->port != NULL ? "--port" : "--host"));
	if (l == NULL)
		return;
	l->port = 8000;
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']')
		host++, n -= 2;
	if (conf_listen_host(&c->parse, l, host, n) == -1)
		conf_error(&c->parse, BY_OPTION("--host"), NULL,
		    "\"%s\": not a host name or an address", c->host);
	if (c->port != NULL)
		(void)number_of(c, "--port", c->port, 0, 65535, &l->port);
}

static void
listen_unix(struct cmdline *c)
{
	struct conf_listen *l = conf_listen_add(&c->parse, BY_OPTION("--uds"));
	char *path;

	if (l == NULL || (path = conf_strdup(&c->parse, c->uds)) == NULL)
		return;
	l->kind = CONF_LISTEN_UNIX;
	l->mode = 0666;		/* uvicorn's */
	free(l->path);
	l->path = path;
}

static void
listen_fd(struct cmdline *c)
{
	struct conf_listen *l = conf_listen_add(&c->parse, BY_OPTION("--fd"));
	unsigned fd;

	if (l == NULL)
		return;
	l->kind = CONF_LISTEN_FD;
	if (number_of(c, "--fd", c->fd, 0, INT32_MAX, &fd) == 0)
		l->fd = (int)fd;
}

/* What the command line says replaces what the file says. */
static void
apply_listeners(struct cmdline *c)
{
	int kinds = (c->host != NULL || c->port != NULL) + (c->uds != NULL) +
	    (c->fd != NULL) + (c->nlisten > 0);
	struct conf *conf = c->parse.conf;
	struct conf_listen *l;
	unsigned backlog;
	size_t i;

	if (kinds > 1) {
		conf_error(&c->parse, ON_THE_WHOLE, NULL, "--host and "
		    "--port, --uds, --fd and -o listen exclude one another");
		return;
	}
	if (kinds > 0)
		conf_listen_clear(conf);
	if (c->host != NULL || c->port != NULL)
		listen_tcp(c);
	else if (c->uds != NULL)
		listen_unix(c);
	else if (c->fd != NULL)
		listen_fd(c);
	for (i = 0; i < c->nlisten; i++)
		if ((l = conf_listen_add(&c->parse,
		    BY_OPTION("-o"))) != NULL)
			(void)conf_listen_address(&c->parse, l, "listen",
			    c->listen[i]);
	if (c->backlog == NULL || number_of(c, "--backlog", c->backlog, 1,
	    CONF_BACKLOG_MAX, &backlog) == -1)
		return;
	if (conf->nlisten == 0)
		listen_tcp(c);
	for (i = 0; i < conf->nlisten; i++)
		conf->listen[i].backlog = (int)backlog;
}

/* What uvicorn takes for something else than the option's key does: no
 * workers are one, and no time for idle connections is none, not no limit. */
static const struct {
	enum conf_origin origin;
	const char	*name, *value, *meaning;
} special_values[] = {
	{ CONF_BY_ENVIRONMENT, "WEB_CONCURRENCY", "0", "1" },
	{ CONF_BY_CMDLINE, "--workers", "0", "1" },
	{ CONF_BY_CMDLINE, "--timeout-keep-alive", "0", "1ns" },
};

static bool
is_by(const struct conf_source *s, enum conf_origin origin, const char *name)
{
	return s->origin == origin && strcmp(s->name, name) == 0;
}

/* Lists grow with every mention: by all of a name, by the parts of -o's. */
static void
extend(struct cmdline *c, const struct conf_option *o, const char *value,
    const struct conf_source *where)
{
	struct conf_list list = { 0 };
	struct conf_value v = { .kind = CONF_K_LIST, .list = &list };

	if (conf_list_copy(&list, conf_member(c->parse.conf, o)) == -1 ||
	    (is_by(where, CONF_BY_CMDLINE, "-o") ?
	    conf_list_split(&list, value) :
	    conf_list_add(&list, value)) == -1)
		c->parse.nomem = true;
	else
		(void)conf_set(&c->parse, o, &v, where);
	conf_list_clear(&list);
}

/* What is said here replaces what the file says.  uvicorn's names add to the
 * default, as they do there, -o begins with nothing. */
static void
begin_lists(struct cmdline *c)
{
	const struct assignment *a;

	for (a = c->set; a < c->set + c->nset; a++)
		if (a->option->type != CONF_T_list)
			continue;
		else if (is_by(&a->where, CONF_BY_CMDLINE, "-o"))
			conf_list_clear(conf_member(c->parse.conf, a->option));
		else if (conf_set_default(c->parse.conf, a->option) == -1)
			c->parse.nomem = true;
}

static void
set(struct cmdline *c, const struct conf_option *o, const char *value,
    const struct conf_source *where)
{
	size_t i;

	for (i = 0; i < countof(special_values); i++)
		if (is_by(where, special_values[i].origin,
		    special_values[i].name) &&
		    strcmp(value, special_values[i].value) == 0)
			value = special_values[i].meaning;
	if (o->type == CONF_T_list)
		extend(c, o, value, where);
	else
		(void)conf_set_text(&c->parse, o, value, where);
}

static void
apply_environment(struct cmdline *c)
{
	static const struct conf_source where = { CONF_BY_ENVIRONMENT,
	    "WEB_CONCURRENCY", 0 };
	const char *value = getenv(where.name);
	size_t i;

	if (value == NULL || *value == '\0')
		return;
	for (i = 0; i < c->nset; i++)
		if (c->set[i].option == &conf_options[OPT_workers_count])
			return;
	set(c, &conf_options[OPT_workers_count], value, &where);
}

static void
apply_switches(struct cmdline *c)
{
	struct conf_parse *p = &c->parse;

	if (c->access_log == 0)
		conf_set_text(p, &conf_options[OPT_log_access], "off",
		    BY_OPTION("--no-access-log"));
	else if (c->access_log == 1 && strcmp(p->conf->log_access, "off") == 0)
		conf_set_text(p, &conf_options[OPT_log_access], "stdout",
		    BY_OPTION("--access-log"));
	if (c->server_header == 0)
		conf_set_text(p, &conf_options[OPT_server_header], "",
		    BY_OPTION("--no-server-header"));
	else if (c->server_header == 1 && p->conf->server_header[0] == '\0')
		conf_set_text(p, &conf_options[OPT_server_header],
		    conf_options[OPT_server_header].def.text,
		    BY_OPTION("--server-header"));
}

static void
apply(struct cmdline *c)
{
	struct conf_parse *p = &c->parse;
	const struct assignment *a;

	apply_environment(c);
	begin_lists(c);
	for (a = c->set; a < c->set + c->nset; a++)
		set(c, a->option, a->value, &a->where);
	apply_switches(c);
	apply_listeners(c);
	if (c->app != NULL)
		conf_set_text(p, &conf_options[OPT_app], c->app,
		    BY_OPTION("APP"));
}

static void
cmdline_fini(struct cmdline *c)
{
	free(c->set);
	free(c->listen);
}

struct conf *
conf_from_argv(int argc, char *const argv[], enum conf_action *action,
    struct buf *errors, bool *usage)
{
	static const struct conf_source by_default = { CONF_BY_DEFAULT, "",
	    0 };
	struct cmdline c = { .action = CONF_RUN, .access_log = -1,
	    .server_header = -1 };
	struct conf *conf = NULL;
	int loaded = 0;

	*usage = false;
	if (conf_parse_init(&c.parse, errors) == -1)
		return NULL;
	c.parse.outside = true;
	/* no argument makes more than one of each */
	c.set = calloc((size_t)argc + 1, sizeof(*c.set));
	c.listen = calloc((size_t)argc + 1, sizeof(*c.listen));
	if (c.set == NULL || c.listen == NULL) {
		conf_error(&c.parse, NULL, NULL, "out of memory");
		goto done;
	}
	read_argv(&c, argv + (argc > 0));
	*action = c.action;
	if (c.action >= CONF_VERSION) {
		buf_reset(errors);
		c.parse.usage = false;
		conf = c.parse.conf;
		c.parse.conf = NULL;
		goto done;
	}
	if (c.parse.nerrors > 0)
		goto done;
	if (c.file != NULL)
		loaded = conf_load_file(&c.parse, c.file);
	else
		/* a developer at a terminal expects uvicorn's lines */
		conf_set_text(&c.parse, &conf_options[OPT_log_format],
		    "uvicorn", &by_default);
	apply(&c);
	if (loaded == 0)
		conf = conf_parse_finish(&c.parse);
done:
	if ((*usage = c.parse.usage))
		buf_puts(errors, "Try 'asgid --help' for help.\n");
	conf_parse_fini(&c.parse);
	cmdline_fini(&c);
	return conf;
}

/* ---- help --------------------------------------------------------------- */

static void
usage_line(struct buf *b, const char *name, const char *metavar,
    const char *text)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", name,
	    metavar != NULL ? " " : "", metavar != NULL ? metavar : "");
	if (strlen(left) > 28)
		buf_printf(b, "  %s\n  %-28s  %s\n", left, "", text);
	else
		buf_printf(b, "  %-28s  %s\n", left, text);
}

void
conf_usage(struct buf *b)
{
	static const char *const metavars[] = {
		[CONF_T_string] = "TEXT",
		[CONF_T_bool] = NULL,
		[CONF_T_int] = "INTEGER",
		[CONF_T_size] = "SIZE",
		[CONF_T_duration] = "SECONDS",
		[CONF_T_mode] = "MODE",
		[CONF_T_enum] = "NAME",
		[CONF_T_count] = "INTEGER",
		[CONF_T_list] = "TEXT",
	};
	const struct conf_option *o;
	char letter[3] = "-?";
	size_t i;

	buf_puts(b, "Usage: asgid [-tT] [-c FILE] [-o KEY=VALUE] "
	    "[OPTIONS] [APP]\n\n"
	    "Serve the ASGI application APP (module:attribute), or what the "
	    "file says.\n\nOptions:\n");
	for (i = 0; i < countof(options); i++) {
		letter[1] = options[i].letter;
		usage_line(b, options[i].letter != '\0' ? letter :
		    options[i].name, options[i].metavar, options[i].text);
	}
	buf_puts(b, "\nuvicorn's names for options of the file:\n");
	for (o = conf_options; o < conf_options + CONF_NOPTIONS; o++)
		if (o->cmdline[0] == '-' && find_name(o->cmdline) == NULL)
			usage_line(b, o->cmdline, metavars[o->type], o->text);
	buf_puts(b, "\nSee asgid(8) and asgid.conf(5).\n");
}
