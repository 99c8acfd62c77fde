/* SPDX-License-Identifier: BSD-3-Clause
 *
 * asgictl: what the command line asks for.  What the commands are and do is
 * the daemon's.
 */
#include <fcntl.h>
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
	bool		 explain;	/* the command, behind which help is */
};

/* The next letter, or the two words of one with a value. */
static int
take_letter(struct options *o, int argc, char *argv[])
{
	int c = getopt(argc, argv, "+:s:c:qVh");

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
		tell_error(c == ':' ? "-%c needs a value" :
		    "-%c: unknown option", optopt);
		return -1;
	}
	return 0;
}

static bool
is_flag(const char *word)
{
	size_t i;

	for (i = 0; i < CTL_NFLAGS; i++)
		if (strcmp(ctl_flags[i].word, word) == 0)
			return true;
	return false;
}

/* A beginning will do: "--vers". */
static int
take_long(struct options *o, const char *word)
{
	size_t n = strlen(word);

	if (strncmp("--version", word, n) == 0)
		o->version = true;
	else if (strncmp("--help", word, n) == 0)
		o->help = true;
	else {
		tell_error("%s: unknown option", word);
		return -1;
	}
	return 0;
}

/*
 * Takes our options, which may stand anywhere before "--", out of argv.  What
 * stays there are the words, the flags of the command behind them: how many,
 * or -1 after telling.
 */
static int
read_arguments(struct options *o, int argc, char *argv[])
{
	char **flags = calloc((size_t)argc + 1, sizeof(*flags)), *word;
	int nwords = 0, nflags = 0, result = 0;
	bool rest = false;

	if (flags == NULL)
		result = tell_errno("arguments");
	optind = 1;
	opterr = 0;
	while (result == 0 && optind < argc) {
		word = argv[optind];
		if (rest || word[0] != '-' || word[1] == '\0') {
			argv[nwords++] = argv[optind++];
			continue;
		}
		if (word[1] != '-')
			result = take_letter(o, argc, argv);
		else if (optind++, word[2] == '\0')
			rest = true;
		else if (is_flag(word))
			flags[nflags++] = word;
		else
			result = take_long(o, word);
		o->explain = o->help && (o->explain || nwords > 0);
	}
	if (result == 0 && nflags > 0)
		memcpy(argv + nwords, flags, (size_t)nflags * sizeof(*flags));
	free(flags);
	return result == 0 ? nwords + nflags : -1;
}

static int
check_options(const struct options *o)
{
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
	const char *const *words = (const char *const *)argv;
	int n;

	open_standard_files();
	signal(SIGPIPE, SIG_DFL);
	if ((n = read_arguments(&o, argc, argv)) == -1 ||
	    check_options(&o) == -1)
		return STATUS_USAGE;
	if (o.help)
		return print_help(o.explain ? words[0] : NULL);
	if (o.version)
		return print_version();
	if (n > 0 && strcmp(words[0], "completion") == 0)
		return print_completion(words + 1, (size_t)n - 1);
	return run_words(&o, words, (size_t)n);
}
