/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/outlet.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "test_base.h"

static int fds[2];
static struct outlet out;
static struct buf got = BUF_INIT;
static char lines[64 * 1024];

/* By how the writing end is to be written to. */
static const enum outlet_kind kinds[] = { OUTLET_NOWAIT, OUTLET_POLL,
	OUTLET_NONBLOCK, OUTLET_SOCKET };

static void
set_up(enum outlet_kind kind)
{
	int on = kind == OUTLET_NONBLOCK ? O_NONBLOCK : 0;

	if (kind == OUTLET_SOCKET)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	else
		ck_assert_int_eq(pipe2(fds, on), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0], true), 0);
	out = (struct outlet)OUTLET_INIT(fds[1]);
	if (kind == OUTLET_POLL)
		out.kind = kind;
	buf_reset(&got);
}

static void
tear_down(void)
{
	close(fds[0]);
	close(fds[1]);
	buf_fini(&got);
}

/* All that is there. */
static const char *
take(void)
{
	ssize_t n;
	char *to;

	while ((to = buf_reserve(&got, 65536)) != NULL &&
	    (n = read(fds[0], to, 65536)) > 0) {
		got.len += (size_t)n;
		got.data[got.len] = '\0';
	}
	return buf_str(&got);
}

/* n lines of 100 bytes. */
static size_t
fill(size_t n)
{
	size_t i;

	ck_assert_uint_le(100 * n, sizeof(lines));
	for (i = 0; i < 100 * n; i++)
		lines[i] = i % 100 == 99 ? '\n' : 'x';
	return 100 * n;
}

START_TEST(a_reader_that_stops_is_not_waited_for)
{
	size_t written = 0, dropped = 0, n;

	set_up(kinds[_i]);
	while (dropped == 0) {
		dropped = outlet_write(&out, lines, fill(100));
		written += 100;
	}
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(out.lost, dropped);
	dropped += outlet_write(&out, lines, fill(600));
	ck_assert_uint_eq(out.lost, dropped);
	take();
	n = outlet_lines(got.data, got.len);
	ck_assert_uint_eq(n + dropped, written + 600);
	/* those are whole, but for a last one on a socket */
	if (kinds[_i] != OUTLET_SOCKET)
		ck_assert_uint_eq(got.len, 100 * n);
	/* and what follows begins a line */
	buf_reset(&got);
	ck_assert_uint_eq(outlet_write(&out, "again\n", 6), 0);
	take();
	ck_assert_str_eq(got.data + (got.data[0] == '\n'), "again\n");
	ck_assert(!out.torn);
	tear_down();
}
END_TEST

START_TEST(a_long_line_is_cut_and_ended)
{
	size_t n = sizeof(lines);

	set_up(kinds[_i]);
	memset(lines, 'x', n);
	lines[n - 1] = '\n';
	while (outlet_write(&out, lines, n) == 0)
		;
	ck_assert_uint_eq(out.lost, 1);
	take();
	buf_reset(&got);
	ck_assert_uint_eq(outlet_write(&out, "next\n", 5), 0);
	take();
	ck_assert_str_eq(got.data, out.torn ? "?" :
	    got.data[0] == '\n' ? "\nnext\n" : "next\n");
	tear_down();
}
END_TEST

/* Nobody will ever read: that is an error, not a wait. */
START_TEST(a_reader_that_is_gone)
{
	set_up(kinds[_i]);
	close(fds[0]);
	ck_assert_uint_eq(outlet_write(&out, "line\n", 5), 1);
	ck_assert_int_eq(errno, EPIPE);
	fds[0] = open("/dev/null", O_RDONLY);
	tear_down();
}
END_TEST

/* A terminal that has room for all of it, and several who write at once. */
START_TEST(others_who_write_to_a_terminal)
{
	int i, k, status;

	ck_assert_int_eq(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[1], true), 0);
	for (i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		out = (struct outlet)OUTLET_INIT(fds[1]);
		for (k = 0; k < 25; k++)
			(void)outlet_write(&out, "a line\n", 7);
		_exit((int)out.lost);
	}
	for (i = 0; i < 4; i++) {
		ck_assert_int_ne(wait(&status), -1);
		ck_assert_int_eq(status, 0);
	}
	tear_down();
}
END_TEST

static void
on_alarm(int signo UNUSED)
{
}

/* They cut a write() to a terminal short, which says nothing of its room. */
START_TEST(signals_drop_nothing)
{
	const struct itimerval often = { { 0, 20 }, { 0, 20 } }, never = { 0 };
	int i;

	ck_assert_int_eq(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0], true), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[1], true), 0);
	out = (struct outlet)OUTLET_INIT(fds[1]);
	ck_assert(signal(SIGALRM, on_alarm) != SIG_ERR);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (i = 0; i < 1000 && out.lost == 0; i++) {
		(void)outlet_write(&out, lines, fill(40));
		buf_reset(&got);
		(void)take();
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_uint_eq(out.lost, 0);
	tear_down();
}
END_TEST

START_TEST(full_disk)
{
	struct outlet full = OUTLET_INIT(open("/dev/full", O_WRONLY));

	ck_assert_uint_eq(outlet_write(&full, "a\nb\n", 4), 2);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(full.kind, OUTLET_FILE);
	close(full.fd);
}
END_TEST

/* Nobody is to look for a reader when the disk was full. */
START_TEST(log_that_was_full)
{
	char name[] = "/tmp/test_outlet.XXXXXX", text[256] = "";
	int fd = mkstemp(name);
	struct rlimit was, none;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_ne(fcntl(fd, F_SETFL, O_APPEND), -1);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	none = (struct rlimit){ 0, was.rlim_max };
	log_adopt(dup(fd), name, LOG_L_INFO, "me");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	log_err("lost");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	log_err("kept");
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "warning: 1 line(s) of this log "
	    "were dropped: they could not be written\n"));
	ck_assert_ptr_nonnull(strstr(text, "error: kept\n"));
	log_adopt(-1, "stderr", LOG_L_INFO, "asgid");
	close(fd);
	unlink(name);
}
END_TEST

START_TEST(flags_of_others_are_left_alone)
{
	set_up(OUTLET_NOWAIT);
	(void)outlet_write(&out, "a\n", 2);
	ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_str_eq(take(), "a\n");
	tear_down();
}
END_TEST

Suite *
outlet_suite(void)
{
	Suite *s = suite_create("outlet");
	TCase *t = tcase_create("outlet");

	tcase_add_loop_test(t, a_reader_that_stops_is_not_waited_for, 0,
	    (int)countof(kinds));
	tcase_add_loop_test(t, a_long_line_is_cut_and_ended, 0,
	    (int)countof(kinds));
	tcase_add_loop_test(t, a_reader_that_is_gone, 0,
	    (int)countof(kinds));
	tcase_add_loop_test(t, others_who_write_to_a_terminal, 0, 20);
	tcase_add_test(t, signals_drop_nothing);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, log_that_was_full);
	tcase_add_test(t, flags_of_others_are_left_alone);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}
