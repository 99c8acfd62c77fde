/* SPDX-License-Identifier: BSD-3-Clause
 *
 * asgictl: what the command line asks for.  What the commands are and do is
 * the daemon's.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asgictl/completion.h"
#include "asgictl/session.h"
#include "asgictl/tell.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "ctl/ctl.h"

/* ---- answered here ------------------------------------------------------ */

static void
usage(struct buf *to)
{
	buf_puts(to, "usage: asgictl [-s SOCKET | -c FILE] [-q] COMMAND "
	    "[ARGUMENTS]\n");
}

static void
option_help(const char *letter, const char *name, const char *value,
    const char *text, struct buf *to)
{
	size_t start = to->len;

	buf_printf(to, "  -%s", letter);
	if (*name != '\0')
		buf_printf(to, ", --%s", name);
	if (*value != '\0')
		buf_printf(to, " %s", value);
	do
		buf_putc(to, ' ');
	while (to->len < start + 34 && !to->failed);
	buf_printf(to, "%s\n", text);
}

static void
help(struct buf *to)
{
	usage(to);
	buf_puts(to, "Ask a running asgid for something.\n\n");
#define OPTION(l, n, v, t)	option_help(l, n, v, t, to);
#include "asgictl/options.def"
#undef OPTION
	buf_puts(to, "\nCommands; a clear beginning of one is enough:\n");
	ctl_help(NULL, to);
	buf_printf(to, "  %-32s%s\n", "completion " COMPLETION_SHELLS,
	    "print a script for the shell, no asgid needed");
}

static int
print_help(const char *word)
{
	const struct ctl_command *c = NULL;
	struct buf b = BUF_INIT;
	int status;

	if (word != NULL && (c = ctl_find(word, &b)) == NULL) {
		tell_error("%s", buf_str(&b));
		status = STATUS_USAGE;
	} else {
		if (c != NULL)
			ctl_help(c, &b);
		else
			help(&b);
		status = tell_text(&b);
	}
	buf_fini(&b);
	return status;
}

static int
print_version(void)
{
	struct buf b = BUF_INIT;
	int status;

	buf_puts(&b, "asgictl " PACKAGE_VERSION "\n");
	status = tell_text(&b);
	buf_fini(&b);
	return status;
}

static int
print_completion(const char *const *words, size_t n)
{
	struct buf b = BUF_INIT;
	int status;

	if (n == 1 && completion_print(words[0], &b) == 0)
		status = tell_text(&b);
	else {
		tell_error("expected: completion %s", COMPLETION_SHELLS);
		status = STATUS_USAGE;
	}
	buf_fini(&b);
	return status;
}

/* ---- the command line --------------------------------------------------- */

struct options {
	char		*socket, *file;
	bool		 quiet, version, help;
};

static int
read_options(struct options *o, int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:s:c:qVh", longs, NULL)) != -1) {
		if (c == 's')
			o->socket = optarg;
		else if (c == 'c')
			o->file = optarg;
		else if (c == 'q')
			o->quiet = true;
		else if (c == 'V')
			o->version = true;
		else if (c == 'h')
			o->help = true;
		else {
			if (c == ':')
				tell_error("-%c needs a value", optopt);
			else if (optopt != 0 && strchr("Vh", optopt) == NULL)
				tell_error("-%c: unknown option", optopt);
			else
				tell_error("%s: unknown option",
				    argv[optind - 1]);
			return -1;
		}
	}
	if (o->socket != NULL && *o->socket == '\0') {
		tell_error("-s: the name is empty");
		return -1;
	}
	if (o->socket != NULL && o->file != NULL) {
		tell_error("give either -s or -c");
		return -1;
	}
	return 0;
}

/* There is none by this configuration. */
static int
no_socket(const struct options *o, const struct conf *conf)
{
	if (*conf->control_socket == '\0')
		tell_error("%s: control.socket is empty: this asgid has no "
		    "control socket", o->file);
	else
		tell_error("XDG_RUNTIME_DIR does not lead to a control socket, "
		    "name it with -s or -c");
	return STATUS_NOT_RUNNING;
}

/* Of the file, whose reader alone is meant, or the usual one. */
static int
find_configured(const struct options *o, struct session *s)
{
	/* the application is of no interest, and may stand elsewhere */
	char name[] = "asgictl", app[] = "asgictl:none", c[] = "-c";
	char *argv[] = { name, app, o->file != NULL ? c : NULL,
	    o->file, NULL };
	int argc = o->file != NULL ? 4 : 2;
	struct buf errors = BUF_INIT;
	enum conf_action action;
	struct conf *conf;
	bool wrong;
	int status = STATUS_OK;

	unsetenv("WEB_CONCURRENCY");	/* meant for the daemon */
	conf = conf_from_argv(argc, argv, &action, &errors, &wrong);
	if (conf == NULL) {
		fputs(buf_str(&errors), stderr);
		status = STATUS_CONFIG;
	} else if ((s->path = conf_control_socket(conf)) == NULL)
		status = tell_errno("control.socket");
	else if (*s->path == '\0')
		status = no_socket(o, conf);
	else if (o->file != NULL && ctl_file_id(o->file, s->config) == -1)
		status = tell_errno(o->file);
	conf_free(&conf);
	buf_fini(&errors);
	return status;
}

static int
find_socket(const struct options *o, struct session *s)
{
	if (o->socket == NULL)
		return find_configured(o, s);
	if ((s->path = strdup(o->socket)) == NULL)
		return tell_errno("-s");
	return STATUS_OK;
}

static int
run_words(const struct options *o, const char *const *words, size_t n)
{
	struct session s = SESSION_INIT;
	struct buf why = BUF_INIT;
	int status = STATUS_USAGE;

	s.quiet = o->quiet;
	if (ctl_parse_words(&s.request, words, n, &why) == -1) {
		tell_error("%s", buf_str(&why));
		if (n == 0) {
			buf_reset(&why);
			help(&why);
			fprintf(stderr, "\n%s", buf_str(&why));
		}
	} else if (s.request.command == &ctl_commands[CTL_help])
		status = print_help(s.request.nargs > 0 ? s.request.args[0] :
		    NULL);
	else if ((status = find_socket(o, &s)) == STATUS_OK)
		status = session_run(&s);
	session_fini(&s);
	buf_fini(&why);
	return status;
}

/* A socket must not become standard output. What takes the place of a closed
 * file fails as that would: an answer that nobody gets is not success. */
static void
open_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)open("/dev/null", fd == STDIN_FILENO ?
			    O_WRONLY : O_RDONLY);
}

int
main(int argc, char *argv[])
{
	struct options o = { .socket = NULL };
	const char *const *words;
	size_t n;

	open_standard_files();
	signal(SIGPIPE, SIG_DFL);
	if (read_options(&o, argc, argv) == -1)
		return STATUS_USAGE;
	if (o.help)
		return print_help(NULL);
	if (o.version)
		return print_version();
	words = (const char *const *)(argv + optind);
	n = (size_t)(argc - optind);
	if (n > 0 && strcmp(words[0], "completion") == 0)
		return print_completion(words + 1, n - 1);
	if (n == 2 && strcmp(words[1], "--help") == 0)
		return print_help(words[0]);
	return run_words(&o, words, n);
}
