/* SPDX-License-Identifier: BSD-3-Clause
 *
 * asgictl: says one command to a running asgid and prints the answer.  What
 * the commands are and do is the daemon's; here are the way to it, its
 * terminal manners and its exit status.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asgictl/completion.h"
#include "asgictl/peer.h"
#include "base/buf.h"
#include "base/defs.h"
#include "base/mono.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ctl/ctl.h"

/* Also what the results of results.def lead to. */
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2,
	STATUS_NOT_RUNNING = 3, STATUS_DENIED = 4, STATUS_TIMEOUT = 5,
	STATUS_CONFIG = 6 };

#define QUICK	(5 * NSEC_PER_SEC)	/* for what need not wait */
#define GRACE	NSEC_PER_SEC		/* the daemon may time out itself */
#define RETRY	(20 * NSEC_PER_MSEC)	/* between two looks for a daemon */

/* Their answer comes when it is known, however long that takes. */
static const bool is_long[CTL_NCOMMANDS] = {
	[CTL_reload] = true,
	[CTL_stop] = true,
	[CTL_scale] = true,
	[CTL_restart_worker] = true,
	[CTL_wait] = true,
};

struct session {
	struct ctl_request request;
	char		*path;		/* of the socket */
	struct peer	 peer;
	nsec_t		 connect_by, answer_by;
	bool		 quiet;
	bool		 rewrites;	/* progress, on a terminal */
	bool		 shown;		/* progress, not wiped yet */
};

/* ---- what went wrong ---------------------------------------------------- */

static const struct {
	int		 error, status;
	const char	*text;
} problems[] = {
	{ ENOENT, STATUS_NOT_RUNNING, "asgid is not running" },
	{ ECONNREFUSED, STATUS_NOT_RUNNING, "asgid is not running" },
	{ EACCES, STATUS_DENIED, "not permitted" },
	{ EPERM, STATUS_DENIED, "not permitted" },
	{ ETIMEDOUT, STATUS_TIMEOUT, "asgid does not answer" },
	{ ENOTSOCK, STATUS_FAILED, "not a socket" },
	{ ENODATA, STATUS_FAILED,
	    "the connection was closed without an answer" },
	{ EPROTO, STATUS_FAILED, "the answer ends too early" },
	{ EBADMSG, STATUS_FAILED, "that is not an answer of asgid" },
	{ EMSGSIZE, STATUS_FAILED, "the answer is too long" },
};

static void PRINTF(1, 2)
complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("asgictl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* Says what errno means; the exit status. */
static int
explain(const char *what)
{
	size_t i;

	for (i = 0; i < countof(problems); i++)
		if (problems[i].error == errno) {
			complain("%s: %s", what, problems[i].text);
			return problems[i].status;
		}
	complain("%s: %s", what, strerror(errno));
	return STATUS_FAILED;
}

static int
print(const struct buf *text)
{
	if (!text->failed &&
	    fwrite(buf_str(text), 1, text->len, stdout) == text->len &&
	    fflush(stdout) == 0)
		return STATUS_OK;
	if (text->failed)
		errno = ENOMEM;
	return explain("standard output");
}

/* ---- progress ----------------------------------------------------------- */

static bool
is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && (term == NULL || strcmp(term, "dumb") != 0);
}

/* As much of one line as fits; a control character would spoil it. */
static void
cut_line(const char *text, struct buf *line)
{
	struct winsize w = { 0 };
	unsigned left = 80;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		left = w.ws_col;
	for (; *text != '\0' && *text != '\n'; text++) {
		/* the other bytes of a UTF-8 character take no room */
		if (((unsigned char)*text & 0xc0) != 0x80 && --left == 0)
			break;
		if ((unsigned char)*text >= ' ' && *text != 0x7f)
			buf_putc(line, *text);
	}
}

static void
show_progress(struct session *s, const char *text)
{
	struct buf line = BUF_INIT;

	if ((s->request.flags & CTL_F_PROGRESS) == 0)
		return;
	if (s->rewrites) {
		cut_line(text, &line);
		fprintf(stderr, "\r%s\033[K", buf_str(&line));
		s->shown = true;
	} else
		fprintf(stderr, "%.*s\n", (int)strcspn(text, "\n"), text);
	fflush(stderr);
	buf_fini(&line);
}

/* Keeps errno. */
static void
wipe_progress(struct session *s)
{
	int error = errno;

	if (s->shown)
		fputs("\r\033[K", stderr);
	s->shown = false;
	errno = error;
}

/* ---- one command -------------------------------------------------------- */

/* Is the command fulfilled when there is no daemon? */
static bool
wants_nobody(const struct ctl_request *r)
{
	return r->command == &ctl_commands[CTL_wait] &&
	    strcmp(r->args[0], "drained") == 0;
}

static bool
wants_somebody(const struct ctl_request *r)
{
	return r->command == &ctl_commands[CTL_wait] &&
	    strcmp(r->args[0], "ready") == 0;
}

static nsec_t
later(nsec_t t, nsec_t by)
{
	return t > NSEC_NEVER - by ? NSEC_NEVER : t + by;
}

static int
set_deadlines(struct session *s)
{
	const struct ctl_request *r = &s->request;
	nsec_t now = mono_now(), timeout = NSEC_NEVER;

	s->connect_by = now + QUICK;
	s->answer_by = is_long[r->command - ctl_commands] ? NSEC_NEVER :
	    s->connect_by;
	if (r->command != &ctl_commands[CTL_wait])
		return STATUS_OK;
	if (r->nargs > 1 && (str_to_duration(r->args[1], &timeout) == -1 ||
	    timeout == 0)) {
		complain("wait: %s: expected a time such as 500ms, 10s or 5m",
		    r->args[1]);
		return STATUS_USAGE;
	}
	s->connect_by = later(now, timeout);
	s->answer_by = later(s->connect_by, GRACE);
	return STATUS_OK;
}

static bool
not_there(void)
{
	return errno == ENOENT || errno == ECONNREFUSED;
}

/* 0, or -1 with errno. */
static int
find_daemon(struct session *s)
{
	const struct timespec pause = { .tv_nsec = RETRY };
	bool told = false;

	while (peer_open(&s->peer, s->path, s->connect_by) == -1) {
		if (!not_there() || !wants_somebody(&s->request) ||
		    mono_now() >= s->connect_by)
			return -1;
		if (!told)
			show_progress(s, "waiting for asgid to start");
		told = true;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* It was not found; the exit status. */
static int
no_daemon(const struct session *s)
{
	if (not_there() && wants_nobody(&s->request))
		return STATUS_OK;
	if (not_there() && wants_somebody(&s->request)) {
		complain("%s: asgid has not started in time", s->path);
		return STATUS_TIMEOUT;
	}
	return explain(s->path);
}

/* Of a timeout what is left, in whole milliseconds; 0 would not be one. */
static int
send_request(struct session *s)
{
	struct ctl_request r = s->request;
	struct buf line = BUF_INIT;
	nsec_t left = s->connect_by - mono_now();
	char text[32];
	int n;

	if (r.command == &ctl_commands[CTL_wait] && r.nargs > 1) {
		left = left <= 0 ? NSEC_PER_MSEC : (left + NSEC_PER_MSEC - 1) /
		    NSEC_PER_MSEC * NSEC_PER_MSEC;
		str_from_duration(left, text);
		r.args[1] = text;
	}
	ctl_print_request(&r, &line);
	if (line.failed) {
		errno = ENOMEM;
		n = -1;
	} else
		n = peer_ask(&s->peer, &line, s->answer_by);
	buf_fini(&line);
	return n;
}

/* No answer came. Has the daemon gone instead, and was that the purpose? */
static bool
is_gone(struct session *s)
{
	const struct ctl_request *r = &s->request;

	if (errno != ENODATA || (r->command != &ctl_commands[CTL_stop] &&
	    !wants_nobody(r)))
		return false;
	if (s->peer.process != -1) {
		if (peer_wait_gone(&s->peer, later(mono_now(), QUICK)) == 0)
			return true;
	} else {
		peer_close(&s->peer);
		if (peer_open(&s->peer, s->path, 0) == -1)
			return true;
	}
	errno = ENODATA;
	return false;
}

/* The final answer. */
static int
conclude(struct session *s, int code, struct buf *text)
{
	int status = ctl_exit_status(code);
	size_t i;

	if (text->len > 0 && text->data[text->len - 1] != '\n')
		buf_putc(text, '\n');
	if (code == ctl_results[CTL_R_DONE].code)
		return s->quiet ? STATUS_OK : print(text);
	for (i = 0; i < CTL_NRESULTS && text->len == 0; i++)
		if (ctl_results[i].code == code)
			buf_printf(text, "%s\n", ctl_results[i].text);
	if (text->len == 0)
		buf_printf(text, "asgid answers %d\n", code);
	fprintf(stderr, "asgictl: %s: ", s->request.command->name);
	fwrite(buf_str(text), 1, text->len, stderr);
	return status;
}

static int
converse(struct session *s, int *code, struct buf *text)
{
	if (send_request(s) == -1)
		return -1;
	do {
		if (peer_answer(&s->peer, code, text, s->answer_by) == -1)
			return -1;
		if (*code / 100 == 1)
			show_progress(s, buf_str(text));
	} while (*code / 100 == 1);
	/* it has stopped serving; that it has ended is what was asked for */
	if (s->request.command == &ctl_commands[CTL_stop] && *code / 100 == 2)
		return peer_wait_gone(&s->peer, s->answer_by);
	return 0;
}

static int
run(struct session *s)
{
	struct buf text = BUF_INIT;
	int code, status;

	if ((status = set_deadlines(s)) != STATUS_OK)
		return status;
	if (find_daemon(s) == -1) {
		wipe_progress(s);
		return no_daemon(s);
	}
	if (converse(s, &code, &text) == 0) {
		wipe_progress(s);
		status = conclude(s, code, &text);
	} else if (is_gone(s))
		wipe_progress(s);
	else {
		wipe_progress(s);
		status = explain(s->request.command->name);
	}
	buf_fini(&text);
	return status;
}

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
}

static int
print_help(const char *word)
{
	const struct ctl_command *c = NULL;
	struct buf b = BUF_INIT;
	int status;

	if (word != NULL && (c = ctl_find(word, &b)) == NULL) {
		complain("%s", buf_str(&b));
		status = STATUS_USAGE;
	} else {
		if (c != NULL)
			ctl_help(c, &b);
		else
			help(&b);
		status = print(&b);
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
	status = print(&b);
	buf_fini(&b);
	return status;
}

static int
print_completion(const char *const *words, size_t n)
{
	struct buf b = BUF_INIT;
	int status;

	if (n == 1 && completion_print(words[0], &b) == 0)
		status = print(&b);
	else {
		complain("expected: completion %s", COMPLETION_SHELLS);
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
				complain("-%c needs a value", optopt);
			else if (optopt != 0 && strchr("Vh", optopt) == NULL)
				complain("-%c: unknown option", optopt);
			else
				complain("%s: unknown option",
				    argv[optind - 1]);
			return -1;
		}
	}
	if (o->socket != NULL && o->file != NULL) {
		complain("give either -s or -c");
		return -1;
	}
	return 0;
}

/* There is none by this configuration. */
static int
no_socket(const struct options *o, const struct conf *conf)
{
	if (*conf->control_socket == '\0')
		complain("%s: control.socket is empty: this asgid has no "
		    "control socket", o->file);
	else
		complain("XDG_RUNTIME_DIR does not lead to a control socket, "
		    "name it with -s or -c");
	return STATUS_NOT_RUNNING;
}

/* Of the file, or the usual one. */
static int
find_configured(const struct options *o, char **path)
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
	} else if ((*path = conf_control_socket(conf)) == NULL)
		status = explain("control.socket");
	else if (**path == '\0')
		status = no_socket(o, conf);
	conf_free(&conf);
	buf_fini(&errors);
	return status;
}

static int
find_socket(const struct options *o, char **path)
{
	if (o->socket == NULL)
		return find_configured(o, path);
	if ((*path = strdup(o->socket)) == NULL)
		return explain("-s");
	return STATUS_OK;
}

static void
add_terminal_flags(struct session *s)
{
	const char *no_color = getenv("NO_COLOR");

	if (is_terminal(STDOUT_FILENO) &&
	    (no_color == NULL || *no_color == '\0'))
		s->request.flags |= CTL_F_COLOR;
	if (isatty(STDERR_FILENO))
		s->request.flags |= CTL_F_PROGRESS;
	if (s->quiet)
		s->request.flags &= ~(unsigned)CTL_F_PROGRESS;
	s->rewrites = is_terminal(STDERR_FILENO);
}

static int
run_words(const struct options *o, const char *const *words, size_t n)
{
	struct session s = { .peer = PEER_INIT, .quiet = o->quiet };
	struct buf why = BUF_INIT;
	int status = STATUS_USAGE;

	if (ctl_parse_words(&s.request, words, n, &why) == -1) {
		complain("%s", buf_str(&why));
		if (n == 0) {
			buf_reset(&why);
			help(&why);
			fprintf(stderr, "\n%s", buf_str(&why));
		}
	} else if (s.request.command == &ctl_commands[CTL_help])
		status = print_help(s.request.nargs > 0 ? s.request.args[0] :
		    NULL);
	else if ((status = find_socket(o, &s.path)) == STATUS_OK) {
		add_terminal_flags(&s);
		status = run(&s);
	}
	peer_close(&s.peer);
	free(s.path);
	buf_fini(&why);
	return status;
}

/* A socket must not become standard output. */
static void
open_standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) != -1)
		if (fd > STDERR_FILENO) {
			close(fd);
			break;
		}
}

int
main(int argc, char *argv[])
{
	struct options o = { NULL };
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
