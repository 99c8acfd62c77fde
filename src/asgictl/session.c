/* SPDX-License-Identifier: BSD-3-Clause */
#include "asgictl/session.h"

#include <sys/ioctl.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asgictl/plain.h"
#include "asgictl/tell.h"
#include "base/buf.h"
#include "base/str.h"

/* For what need not wait, and for a daemon to say that a time is over. */
#define QUICK	(5 * NSEC_PER_SEC)
#define RETRY	(20 * NSEC_PER_MSEC)	/* between two looks for a daemon */

/* Their answer comes when it is known, however long that takes. */
static const bool is_long[CTL_NCOMMANDS] = {
	[CTL_reload] = true,
	[CTL_stop] = true,
	[CTL_scale] = true,
	[CTL_restart_worker] = true,
	[CTL_check] = true,
	[CTL_wait] = true,
};

/* ---- progress ----------------------------------------------------------- */

/* One that can erase and colour. */
static bool
is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

/* As much of one line as fits. */
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
		buf_putc(line, *text);
	}
}

static void
show_progress(struct session *s, const char *text)
{
	struct buf line = BUF_INIT, whole = BUF_INIT;

	if ((s->request.flags & CTL_F_PROGRESS) == 0)
		return;
	/* only a terminal is shown any */
	plain_put(&whole, text, strcspn(text, "\n"), PLAIN_TEXT);
	if (s->rewrites) {
		cut_line(buf_str(&whole), &line);
		fprintf(stderr, "\r%s\033[K", buf_str(&line));
		s->shown = true;
	} else
		fprintf(stderr, "%s\n", buf_str(&whole));
	fflush(stderr);
	buf_fini(&whole);
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
		tell_error("wait: %s: expected a time such as 500ms, 10s or 5m",
		    r->args[1]);
		return STATUS_USAGE;
	}
	s->connect_by = later(now, timeout);
	s->answer_by = later(s->connect_by, QUICK);
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
		tell_error("%s: asgid has not started in time", s->path);
		return STATUS_TIMEOUT;
	}
	return tell_errno(s->path);
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
	if (*s->config != '\0')
		r.config = s->config;
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
		if (peer_open(&s->peer, s->path, 0) == -1 && not_there())
			return true;
	}
	errno = ENODATA;
	return false;
}

/* As this file may get it. */
static void
make_plain(const struct session *s, int fd, struct buf *text)
{
	struct buf plain = BUF_INIT;

	if (!isatty(fd) || text->failed)
		return;
	plain_put(&plain, buf_str(text), text->len,
	    (s->request.flags & CTL_F_JSON) != 0 ? PLAIN_JSON :
	    (s->request.flags & CTL_F_COLOR) != 0 ? PLAIN_COLOURED :
	    PLAIN_TEXT);
	buf_fini(text);
	*text = plain;
}

/* Neither root's nor one's own: what it says is that user's word. */
static void
tell_owner(const struct session *s)
{
	uid_t user = s->peer.user;
	const struct passwd *pw;

	if (s->quiet || user == (uid_t)-1 || user == 0 || user == geteuid())
		return;
	pw = getpwuid(user);
	tell_error("%s: this asgid is run by user %s%s%u%s", s->path,
	    pw != NULL ? pw->pw_name : "", pw != NULL ? " (" : "",
	    (unsigned)user, pw != NULL ? ")" : "");
}

/* The final answer. */
static int
conclude(struct session *s, int code, struct buf *text)
{
	int status = ctl_exit_status(code);
	size_t i;

	if (text->len > 0 && text->data[text->len - 1] != '\n')
		buf_putc(text, '\n');
	if (code == ctl_results[CTL_R_DONE].code) {
		make_plain(s, STDOUT_FILENO, text);
		return s->quiet ? STATUS_OK : tell_text(text);
	}
	for (i = 0; i < CTL_NRESULTS && text->len == 0; i++)
		if (ctl_results[i].code == code)
			buf_printf(text, "%s\n", ctl_results[i].text);
	if (text->len == 0)
		buf_printf(text, "asgid answers %d\n", code);
	if (code == ctl_results[CTL_R_USAGE].code && *s->config != '\0' &&
	    strstr(buf_str(text), CTL_CONFIG) != NULL) {
		buf_reset(text);
		buf_puts(text, "this asgid is older than asgictl, and does "
		    "not know whether it is meant: name its socket with -s\n");
	}
	make_plain(s, STDERR_FILENO, text);
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

int
session_run(struct session *s)
{
	struct buf text = BUF_INIT;
	int code = 0, status;
	bool answered, gone;

	add_terminal_flags(s);
	if ((status = set_deadlines(s)) != STATUS_OK)
		return status;
	if (find_daemon(s) == -1) {
		wipe_progress(s);
		return no_daemon(s);
	}
	wipe_progress(s);
	tell_owner(s);
	answered = converse(s, &code, &text) == 0;
	gone = !answered && is_gone(s);
	wipe_progress(s);
	if (answered)
		status = conclude(s, code, &text);
	else if (!gone)
		status = tell_errno(s->request.command->name);
	buf_fini(&text);
	return status;
}

void
session_fini(struct session *s)
{
	peer_close(&s->peer);
	free(s->path);
}
