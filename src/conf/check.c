/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What can only be said of the finished configuration: checks of contents
 * and across options.  All of them run, each reports.
 */
#include "conf/conf_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/ctl.h"

/* Who set it, for messages. */
#define WHERE(p, member)	(&(p)->conf->sources[OPT_##member])

static void
check_app(struct conf_parse *p)
{
	const struct conf_source *where = WHERE(p, app);
	struct conf_source file = { CONF_BY_FILE, p->conf->file, 0 };

	if (where->origin == CONF_BY_DEFAULT && p->conf->file[0] != '\0')
		where = &file;
	if (p->conf->app[0] == '\0' && !p->bad[OPT_app])
		conf_error(p, where, "app", "no application is named "
		    "(app = \"module:attribute\";)");
}

static void
check_jitter(struct conf_parse *p)
{
	if (p->conf->workers_max_requests_jitter > 0 &&
	    p->conf->workers_max_requests == 0 &&
	    !p->bad[OPT_workers_max_requests])
		conf_error(p, WHERE(p, workers_max_requests_jitter),
		    "workers.max_requests_jitter",
		    "needs workers.max_requests");
}

static void
check_server_header(struct conf_parse *p)
{
	const unsigned char *c = (const unsigned char *)p->conf->server_header;

	for (; *c != '\0'; c++)
		if ((*c < ' ' && *c != '\t') || *c == 0x7f) {
			conf_error(p, WHERE(p, server_header),
			    "server_header",
			    "control characters cannot be sent in a header");
			return;
		}
}

static void
check_log_format(struct conf_parse *p)
{
	struct conf_nearest near = conf_nearest_to(p,
	    p->conf->log_format);
	char hint[64];
	size_t i;

	for (i = 0; conf_log_formats[i] != NULL; i++) {
		if (strcmp(p->conf->log_format, conf_log_formats[i]) == 0)
			return;
		conf_nearest(&near, conf_log_formats[i]);
	}
	conf_hint(&near, hint, sizeof(hint));
	conf_error(p, WHERE(p, log_format), "log.format",
	    "expected \"uvicorn\", \"common\" or \"combined\", given \"%s\"%s",
	    p->conf->log_format, hint);
}

/* Words that mean something for the other log only, or for none. */
static void
check_log_sinks(struct conf_parse *p)
{
	static const char *const no_error[] = { "", "off", "stdout", NULL };
	static const char *const no_access[] = { "", "syslog", NULL };
	const struct conf *c = p->conf;
	size_t i;

	for (i = 0; no_error[i] != NULL; i++)
		if (strcmp(c->log_error, no_error[i]) == 0)
			conf_error(p, WHERE(p, log_error), "log.error",
			    "expected \"stderr\", \"syslog\" or a file, "
			    "given \"%s\"", c->log_error);
	for (i = 0; no_access[i] != NULL; i++)
		if (strcmp(c->log_access, no_access[i]) == 0)
			conf_error(p, WHERE(p, log_access), "log.access",
			    "expected \"off\", \"stdout\", \"stderr\" or a "
			    "file, given \"%s\"", c->log_access);
}

static bool
same_listener(const struct conf_listen *a, const struct conf_listen *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case CONF_LISTEN_TCP:	/* port 0 is another one each time */
		return a->port == b->port && a->port != 0 &&
		    strcasecmp(a->host, b->host) == 0;
	case CONF_LISTEN_UNIX:
		return strcmp(a->path, b->path) == 0;
	case CONF_LISTEN_FD:
		return a->fd == b->fd;
	}
	return false;
}

static void
check_unix_path(struct conf_parse *p, const struct conf_listen *l)
{
	if (l->path[0] == '\0')
		conf_error(p, &l->source, "listen", "the path is empty");
	else if (strlen(l->path) > CONF_UNIX_PATH_MAX)
		conf_error(p, &l->source, "listen",
		    "%s: longer than the %zu bytes of a UNIX socket's path",
		    l->path, CONF_UNIX_PATH_MAX);
}

static void
check_listen(struct conf_parse *p)
{
	const struct conf *c = p->conf;
	struct buf text = BUF_INIT;
	size_t i, j;

	if (c->nlisten > CONF_LISTEN_MAX) {
		conf_error(p, &c->listen[CONF_LISTEN_MAX].source, "listen",
		    "more than %d listeners", CONF_LISTEN_MAX);
		return;
	}
	for (i = 0; i < c->nlisten; i++) {
		if (c->listen[i].kind == CONF_LISTEN_UNIX)
			check_unix_path(p, &c->listen[i]);
		for (j = 0; j < i; j++)
			if (same_listener(&c->listen[i], &c->listen[j]))
				break;
		if (j == i)
			continue;
		buf_reset(&text);
		conf_listen_text(&c->listen[i], &text);
		buf_puts(&text, ": already at ");
		conf_source_text(&c->listen[j].source, &text);
		conf_error(p, &c->listen[i].source, "listen", "%s",
		    buf_str(&text));
	}
	buf_fini(&text);
}

static void
default_listener(struct conf_parse *p)
{
	static const struct conf_source by_default = { CONF_BY_DEFAULT, "",
	    0 };
	struct conf_listen *l;

	if (p->conf->nlisten == 0 &&
	    (l = conf_listen_add(p, &by_default)) != NULL)
		(void)conf_listen_address(p, l, "listen", "127.0.0.1:8000");
}

static void
check_control_socket(struct conf_parse *p)
{
	const char *path = p->conf->control_socket;

	if (strlen(path) > CONF_UNIX_PATH_MAX)
		conf_error(p, WHERE(p, control_socket), "control.socket",
		    "%s: longer than the %zu bytes of a UNIX socket's path",
		    path, CONF_UNIX_PATH_MAX);
}

static void
check_control_grant(struct conf_parse *p)
{
	const struct conf_list *l = &p->conf->control_grant;
	struct conf_nearest near;
	char hint[64];
	size_t i, j;

	for (i = 0; i < l->n; i++) {
		if (ctl_is_command(l->at[i]))
			continue;
		near = conf_nearest_to(p, l->at[i]);
		for (j = 0; j < CTL_NCOMMANDS; j++)
			conf_nearest(&near, ctl_commands[j].name);
		conf_hint(&near, hint, sizeof(hint));
		conf_error(p, WHERE(p, control_grant), "control.grant",
		    "\"%s\": no such command%s", l->at[i], hint);
	}
}

static void
check_metrics_listen(struct conf_parse *p)
{
	const char *text = p->conf->metrics_listen;
	struct conf_listen l = { .source = *WHERE(p, metrics_listen) };

	if (*text != '\0')
		(void)conf_listen_address(p, &l, "metrics.listen", text);
	free(l.host);
}

static void
check_reload_dirs(struct conf_parse *p)
{
	const struct conf *c = p->conf;
	const char *dir, *why;
	struct stat st;
	size_t i;

	for (i = 0; c->reload_watch && p->outside && i < c->reload_dirs.n;
	    i++) {
		dir = c->reload_dirs.at[i];
		if (stat(dir, &st) == -1)
			why = strerror(errno);
		else if (!S_ISDIR(st.st_mode))
			why = "not a directory";
		else
			continue;
		conf_error(p, WHERE(p, reload_dirs), "reload.dirs",
		    "%s: %s", *dir != '\0' ? dir : "\"\"", why);
	}
}

void
conf_check(struct conf_parse *p)
{
	default_listener(p);
	check_listen(p);
	check_app(p);
	check_jitter(p);
	check_server_header(p);
	check_log_format(p);
	check_log_sinks(p);
	check_control_socket(p);
	check_control_grant(p);
	check_metrics_listen(p);
	check_reload_dirs(p);
}
