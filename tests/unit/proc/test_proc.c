/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The channel, over real descriptors and a real loop, and what a worker is
 * born with.  Chan a is the master's, b the worker's.
 */
#include "proc/chan.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "proc/birth.h"

/* ---- channel --------------------------------------------------------- */

static struct loop *loop;
static struct chan a, b;
static struct buf got;
static int taken;
static bool close_on_message;

static void
on_message(struct chan *c, enum chan_type type, const char *text,
    void *arg)
{
	buf_printf(&got, "%s%d:%s;", (const char *)arg, (int)type, text);
	if (strcmp(text, "take") == 0)
		taken = chan_take_fd(c, 0);
	if (close_on_message)
		chan_fini(c);
}

static void
on_eof(struct chan *c, void *arg)
{
	buf_printf(&got, "%seof;", (const char *)arg);
	chan_fini(c);
}

static void
on_time(struct loop *l, struct loop_timer *t UNUSED)
{
	loop_stop(l);
}

/* All that is there, in the loop's own turns. */
static void
turns(int n)
{
	struct loop_timer t;

	loop_timer_init(&t, on_time);
	while (n-- > 0) {
		loop_timer_set(loop, &t, mono_now());
		ck_assert_int_eq(loop_run(loop), 0);
	}
}

static void
setup(void)
{
	struct chan_ends m, w;
	int fds[4], i;

	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(chan_pair(&m, &w), 0);
	memcpy(fds, (int[]){ m.in, m.out, w.in, w.out }, sizeof(fds));
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		ck_assert_int_ne(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
	}
	ck_assert_int_eq(chan_init(&a, loop, &m, on_message, on_eof,
	    (void *)(uintptr_t)"a"), 0);
	ck_assert_int_eq(chan_init(&b, loop, &w, on_message, on_eof,
	    (void *)(uintptr_t)"b"), 0);
	taken = -1;
	close_on_message = false;
}

static void
teardown(void)
{
	chan_fini(&a);
	chan_fini(&b);
	buf_fini(&got);
	loop_free(&loop);
}

START_TEST(both_ways)
{
	ck_assert_int_eq(chan_send(&a, CHAN_GO, ""), 0);
	ck_assert_int_eq(chan_send(&a, CHAN_DRAIN, "soon"), 0);
	ck_assert_int_eq(chan_send(&b, CHAN_FAILED, "line\nline"), 0);
	turns(4);
	ck_assert_ptr_nonnull(strstr(buf_str(&got), "b5:;"));
	ck_assert_ptr_nonnull(strstr(buf_str(&got), "b6:soon;"));
	ck_assert_ptr_nonnull(strstr(buf_str(&got), "a1:line\nline;"));
	ck_assert(strstr(buf_str(&got), "b5") < strstr(buf_str(&got), "b6"));
}
END_TEST

START_TEST(long_text_is_cut)
{
	static char text[CHAN_TEXT_MAX + 100];

	memset(text, 'x', sizeof(text) - 1);
	ck_assert_int_eq(chan_send(&a, CHAN_FAILED, text), 0);
	turns(2);
	ck_assert_uint_eq(got.len, strlen("b1:;") + CHAN_TEXT_MAX - 1);
	ck_assert_int_eq(chan_send(&b, CHAN_FAILED, text), 0);
	ck_assert_int_eq(chan_send(&b, CHAN_READY, "x"), 0);
	turns(3);
	ck_assert_uint_eq(got.len, 2 * (strlen("b1:;") + CHAN_TEXT_MAX - 1) +
	    strlen("a0:x;"));
}
END_TEST

START_TEST(unknown_type_is_passed_over)
{
	ck_assert_int_eq(chan_send(&a, (enum chan_type)200, "new"), 0);
	ck_assert_int_eq(chan_send(&a, CHAN_GO, ""), 0);
	turns(3);
	ck_assert_str_eq(buf_str(&got), "b5:;");
}
END_TEST

START_TEST(full_is_an_error_not_a_wait)
{
	struct chan *from, *to;
	int i;

	for (from = &a, to = &b; from != NULL; to = &a,
	    from = from == &a ? &b : NULL) {
		for (i = 0; i < 100000; i++)
			if (chan_send(from, CHAN_GO, "x") == -1)
				break;
		ck_assert_int_gt(i, 0);
		ck_assert_int_eq(errno, EAGAIN);
		chan_pump(to);
		ck_assert_int_eq(chan_send(from, CHAN_GO, "x"), 0);
	}
}
END_TEST

START_TEST(end)
{
	ck_assert_int_eq(chan_send(&a, CHAN_GO, ""), 0);
	chan_fini(&a);
	ck_assert(!chan_is_open(&a));
	chan_fini(&a);
	turns(3);
	ck_assert_str_eq(buf_str(&got), "b5:;beof;");
	ck_assert(!chan_is_open(&b));
	ck_assert_int_eq(chan_send(&b, CHAN_READY, ""), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

/* With SIGPIPE as the application may have set it. */
START_TEST(send_after_the_other_end_is_gone)
{
	sigset_t pending;

	(void)signal(SIGPIPE, SIG_DFL);
	chan_fini(&a);
	ck_assert_int_eq(chan_send(&b, CHAN_READY, ""), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
}
END_TEST

/* Of a worker that died with unread orders. */
START_TEST(last_words)
{
	ck_assert_int_eq(chan_send(&a, CHAN_GO, "never read"), 0);
	ck_assert_int_eq(chan_send(&b, CHAN_FAILED, "why"), 0);
	chan_fini(&b);
	chan_pump(&a);
	ck_assert_str_eq(buf_str(&got), "a1:why;aeof;");
}
END_TEST

/* A worker that talks on is not listened to for ever. */
static void
on_chatter(struct chan *c UNUSED, enum chan_type type UNUSED,
    const char *said UNUSED, void *arg UNUSED)
{
	ck_assert_int_eq(chan_send(&b, CHAN_READY, "and"), 0);
}

START_TEST(pumping_ends)
{
	a.on_message = on_chatter;
	ck_assert_int_eq(chan_send(&b, CHAN_READY, ""), 0);
	chan_pump(&a);
	ck_assert(chan_is_open(&a));
}
END_TEST

/* What somebody in the worker's place would pass to have the master wait for
 * its close(): all ways are shut. */
START_TEST(the_master_takes_no_descriptors)
{
	union {
		struct cmsghdr	 align;
		char		 space[CMSG_SPACE(sizeof(int))];
	} control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
	    SCM_RIGHTS } };
	char byte = CHAN_READY;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };

	ck_assert_int_eq(sendmsg(b.io.fd, &msg, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sendmsg(b.out, &msg, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, ENOTSOCK);
	ck_assert_int_eq(chan_send_fds(&b, CHAN_READY, "", &b.out, 1), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(close_in_the_callback)
{
	close_on_message = true;
	ck_assert_int_eq(chan_send(&a, CHAN_GO, ""), 0);
	ck_assert_int_eq(chan_send(&a, CHAN_DRAIN, ""), 0);
	chan_pump(&b);
	turns(2);
	ck_assert_str_eq(buf_str(&got), "b5:;aeof;");
}
END_TEST

START_TEST(descriptors_travel)
{
	int fd = open("/dev/zero", O_RDONLY), fds[2] = { fd, fd };
	struct stat here, there;

	ck_assert_int_eq(chan_send_fds(&a, CHAN_REOPEN, "take", fds, 2), 0);
	turns(2);
	ck_assert_int_ne(taken, -1);
	ck_assert_int_ne(taken, fd);
	ck_assert_int_eq(fcntl(taken, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &here), 0);
	ck_assert_int_eq(fstat(taken, &there), 0);
	ck_assert_uint_eq(here.st_rdev, there.st_rdev);
	ck_assert_int_eq(chan_take_fd(&b, 7), -1);
	close(taken);
	close(fd);
}
END_TEST

static int
lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

START_TEST(descriptors_left_are_closed)
{
	int fd = open("/dev/zero", O_RDONLY), before = lowest_free();

	ck_assert_int_eq(chan_send_fds(&a, CHAN_REOPEN, "", &fd, 1), 0);
	turns(2);
	ck_assert_int_ne(lowest_free(), before);
	ck_assert_int_eq(chan_send(&a, CHAN_GO, ""), 0);
	turns(2);
	ck_assert_int_eq(lowest_free(), before);
	ck_assert_int_eq(chan_send_fds(&a, CHAN_REOPEN, "", &fd, 1), 0);
	turns(2);
	chan_fini(&b);
	ck_assert_int_le(lowest_free(), before);
	close(fd);
}
END_TEST

START_TEST(too_many_descriptors)
{
	int fds[CHAN_FDS_MAX + 1] = { 0 };

	ck_assert_int_eq(chan_send_fds(&a, CHAN_REOPEN, "", fds,
	    CHAN_FDS_MAX + 1), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(chan_send_fds(&a, CHAN_REOPEN, "", fds,
	    CHAN_FDS_MAX), 0);
}
END_TEST

START_TEST(not_a_descriptor)
{
	struct chan_ends ends = { open("/dev/null", O_RDONLY), -1, true };
	struct chan c;

	close(ends.in);
	ck_assert_int_eq(chan_init(&c, loop, &ends, on_message, on_eof, NULL),
	    -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert(!chan_is_open(&c));
}
END_TEST

/* ---- birth ----------------------------------------------------------- */

static const char text[] =
    "app = \"x:y\";\nlisten = ({ address = \"127.0.0.1:0\"; });\n";

static int
cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static int
any_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_gt(fd, STDERR_FILENO);
	return fd;
}

START_TEST(birth_round)
{
	struct birth in = { .id = 7, .generation = 3, .error_fd = -1,
	    .access_fd = STDOUT_FILENO, .nlisteners = 2 }, out;
	int conf_fd = fd_memfd("test", text, sizeof(text) - 1);
	struct conf *conf = NULL;

	in.conf_fd = conf_fd;
	in.channel.in = any_fd();
	in.channel.out = any_fd();
	in.stats_fd = any_fd();
	in.listeners[0] = any_fd();
	in.listeners[1] = any_fd();
	ck_assert_int_eq(birth_export(&in), 0);
	ck_assert_int_eq(cloexec(in.channel.in), 0);
	ck_assert_int_eq(cloexec(in.channel.out), 0);
	ck_assert_int_eq(cloexec(in.conf_fd), 0);
	ck_assert_int_eq(cloexec(in.stats_fd), 0);
	ck_assert_int_eq(cloexec(in.listeners[1]), 0);
	ck_assert_int_eq(birth_import(&out, &conf), 0);
	ck_assert_uint_eq(out.id, 7);
	ck_assert_uint_eq(out.generation, 3);
	ck_assert_int_eq(out.channel.in, in.channel.in);
	ck_assert_int_eq(out.channel.out, in.channel.out);
	ck_assert_int_eq(out.error_fd, -1);
	ck_assert_int_eq(out.access_fd, STDOUT_FILENO);
	ck_assert_int_eq(out.stats_fd, in.stats_fd);
	ck_assert_uint_eq(out.nlisteners, 2);
	ck_assert_int_eq(out.listeners[0], in.listeners[0]);
	ck_assert_int_eq(out.listeners[1], in.listeners[1]);
	ck_assert_int_ne(cloexec(in.channel.in), 0);
	ck_assert_int_ne(cloexec(in.channel.out), 0);
	ck_assert_int_ne(cloexec(in.stats_fd), 0);
	ck_assert_int_ne(cloexec(in.listeners[0]), 0);
	ck_assert_int_eq(cloexec(STDOUT_FILENO), 0);
	ck_assert_int_eq(out.conf_fd, -1);
	ck_assert_int_eq(fcntl(conf_fd, F_GETFD), -1);
	ck_assert_str_eq(conf->app, "x:y");
	ck_assert_ptr_null(getenv("ASGID_BIRTH"));
	conf_free(&conf);
	chan_close(&in.channel);
	close(in.stats_fd);
	close(in.listeners[0]);
	close(in.listeners[1]);
}
END_TEST

static const char *const not_births[] = {
	"", "hello", "1 1 1 0 0 -1 -1 -1 0 0", "2 0 1 0 0 -1 -1 -1 0 0",
	"2 1 1 0 0 -1 -1 -1 0 2 0", "2 1 1 0 0 -1 -1 -1 0 0 4",
	"2 1 1 0 0 -2 -1 -1 0 0", "2 1 1 0 0 -1 -1 -1 0 257",
	"2 1 1 0 0 -1 -1 -2 0 0", "2 1 1 0 0 -1 -1 3 -1 0",
	"2 1 1 0 0 -1 -1 -1 0 0 x",
	"2 1 1 99999999999999999999 0 -1 -1 -1 0 0",
};

START_TEST(birth_of_something_else)
{
	struct birth out;
	struct conf *conf = NULL;

	log_set_level(LOG_L_CRITICAL);
	setenv("ASGID_BIRTH", not_births[_i], 1);
	ck_assert_int_eq(birth_import(&out, &conf), -1);
	ck_assert_ptr_null(conf);
}
END_TEST

START_TEST(birth_by_hand)
{
	struct birth out;
	struct conf *conf = NULL;

	log_set_level(LOG_L_CRITICAL);
	unsetenv("ASGID_BIRTH");
	ck_assert_int_eq(birth_import(&out, &conf), -1);
}
END_TEST

START_TEST(birth_with_a_bad_configuration)
{
	struct birth in = { .id = 1, .generation = 1, .error_fd = -1,
	    .access_fd = -1 }, out;
	struct conf *conf = NULL;

	log_set_level(LOG_L_CRITICAL);
	in.channel.in = any_fd();
	in.channel.out = any_fd();
	in.conf_fd = fd_memfd("test", "app = 5;\n", 9);
	ck_assert_int_eq(birth_export(&in), 0);
	ck_assert_int_eq(birth_import(&out, &conf), -1);
	chan_close(&in.channel);
	close(in.conf_fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("proc");
	TCase *chan = tcase_create("chan"), *birth = tcase_create("birth");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(chan, setup, teardown);
	tcase_add_test(chan, both_ways);
	tcase_add_test(chan, long_text_is_cut);
	tcase_add_test(chan, unknown_type_is_passed_over);
	tcase_add_test(chan, full_is_an_error_not_a_wait);
	tcase_add_test(chan, end);
	tcase_add_test(chan, send_after_the_other_end_is_gone);
	tcase_add_test(chan, last_words);
	tcase_add_test(chan, pumping_ends);
	tcase_add_test(chan, the_master_takes_no_descriptors);
	tcase_add_test(chan, close_in_the_callback);
	tcase_add_test(chan, descriptors_travel);
	tcase_add_test(chan, descriptors_left_are_closed);
	tcase_add_test(chan, too_many_descriptors);
	tcase_add_test(chan, not_a_descriptor);
	tcase_add_test(birth, birth_round);
	tcase_add_loop_test(birth, birth_of_something_else, 0,
	    (int)countof(not_births));
	tcase_add_test(birth, birth_by_hand);
	tcase_add_test(birth, birth_with_a_bad_configuration);
	suite_add_tcase(s, chan);
	suite_add_tcase(s, birth);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
