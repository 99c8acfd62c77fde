/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls of recv(), send(), sendmsg() and shutdown() that the tap hears of.
 */
#include "http/tap.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_http.h"

static struct {
	int		 calls;
	int		 fd;
	char		 text[16];
	ssize_t		 n;
	bool		 answer;
	size_t		 sent;
} heard;

static int fds[2];
static char in[16];

static void
hear(void *arg, int fd, const char *text, ssize_t n)
{
	ck_assert_ptr_eq(arg, &heard);
	heard.calls++;
	heard.fd = fd;
	heard.n = n;
	if (n > 0)
		memcpy(heard.text, text, (size_t)n);
}

static int
on_received(void *arg, int fd, const char *buf, ssize_t n)
{
	hear(arg, fd, buf, n);
	return heard.answer ? 0 : ECONNRESET;
}

static bool
on_sending(void *arg, int fd, const char *buf, size_t n)
{
	hear(arg, fd, buf, (ssize_t)n);
	return heard.answer;
}

static void
on_sent(void *arg, int fd, size_t n)
{
	ck_assert_ptr_eq(arg, &heard);
	ck_assert_int_eq(fd, fds[0]);
	heard.sent += n;
}

static void
on_shutting(void *arg, int fd)
{
	hear(arg, fd, NULL, 0);
}

static const struct tap tap = { on_received, on_sending, on_sent,
	on_shutting };

static void
setup(void)
{
	memset(&heard, 0, sizeof(heard));
	heard.answer = true;
	test_pair(fds);
	tap_open(&tap, &heard);
}

static void
teardown(void)
{
	tap_open(NULL, NULL);
	close(fds[0]);
	close(fds[1]);
}

START_TEST(receives)
{
	ck_assert_int_eq(write(fds[1], "hello", 5), 5);
	ck_assert_int_eq(recv(fds[0], in, sizeof(in), MSG_PEEK), 5);
	ck_assert_int_eq(heard.calls, 1);
	ck_assert_int_eq(recv(fds[0], in, 4, 0), 4);
	ck_assert_str_eq(in, "hello");
	ck_assert_int_eq(heard.calls, 2);
	ck_assert_int_eq(heard.fd, fds[0]);
	ck_assert_int_eq(heard.n, 4);
	ck_assert_int_eq(memcmp(heard.text, "hell", 4), 0);
}
END_TEST

START_TEST(receives_errors_and_ends)
{
	ck_assert_int_eq(recv(fds[0], in, sizeof(in), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(heard.n, -1);
	close(fds[1]);
	ck_assert_int_eq(recv(fds[0], in, sizeof(in), 0), 0);
	ck_assert_int_eq(heard.calls, 2);
	ck_assert_int_eq(heard.n, 0);
	fds[1] = dup(fds[0]);
}
END_TEST

START_TEST(withholds_what_came)
{
	heard.answer = false;
	ck_assert_int_eq(write(fds[1], "hello", 5), 5);
	ck_assert_int_eq(recv(fds[0], in, sizeof(in), 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(heard.n, 5);
}
END_TEST

START_TEST(sends)
{
	ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(heard.calls, 1);
	ck_assert_int_eq(heard.fd, fds[0]);
	ck_assert_int_eq(heard.n, 5);
	ck_assert_int_eq(memcmp(heard.text, "hello", 5), 0);
	ck_assert_int_eq(read(fds[1], in, sizeof(in)), 5);
	ck_assert_str_eq(in, "hello");
	close(fds[1]);
	ck_assert_uint_eq(heard.sent, 5);
	ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_uint_eq(heard.sent, 5);
	fds[1] = dup(fds[0]);
}
END_TEST

START_TEST(sends_messages)
{
	struct iovec iov[] = { { (char []){ "hel" }, 3 },
	    { (char []){ "lo" }, 2 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	ck_assert_int_eq(sendmsg(fds[0], &msg, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(heard.calls, 0);
	ck_assert_uint_eq(heard.sent, 5);
	ck_assert_int_eq(read(fds[1], in, sizeof(in)), 5);
	ck_assert_str_eq(in, "hello");
	ck_assert_int_eq(sendmsg(-1, &msg, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EBADF);
	tap_open(NULL, NULL);
	ck_assert_int_eq(sendmsg(fds[0], &msg, MSG_NOSIGNAL), 5);
	ck_assert_uint_eq(heard.sent, 5);
}
END_TEST

START_TEST(swallows_what_goes)
{
	heard.answer = false;
	ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(heard.calls, 1);
	ck_assert_uint_eq(heard.sent, 0);
	ck_assert_int_eq(read(fds[1], in, sizeof(in)), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(shuts)
{
	ck_assert_int_eq(shutdown(fds[0], SHUT_WR), 0);
	ck_assert_int_eq(heard.calls, 1);
	ck_assert_int_eq(heard.fd, fds[0]);
	ck_assert_int_eq(read(fds[1], in, sizeof(in)), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(shutdown(-1, SHUT_WR), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(closed_it_hears_nothing)
{
	tap_open(NULL, NULL);
	ck_assert_int_eq(send(fds[0], "hello", 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(recv(fds[1], in, sizeof(in), 0), 5);
	ck_assert_str_eq(in, "hello");
	ck_assert_int_eq(recv(fds[1], in, sizeof(in), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(shutdown(fds[0], SHUT_WR), 0);
	ck_assert_int_eq(recv(fds[1], in, sizeof(in), 0), 0);
	ck_assert_int_eq(heard.calls, 0);
}
END_TEST

static void *
in_a_thread(void *result)
{
	*(ssize_t *)result = send(fds[0], "x", 1, MSG_NOSIGNAL) +
	    recv(fds[1], in, sizeof(in), 0);
	return NULL;
}

START_TEST(other_threads_are_not_heard)
{
	pthread_t thread;
	ssize_t sum = 0;

	heard.answer = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, in_a_thread, &sum), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(sum, 2);
	ck_assert_int_eq(heard.calls, 0);
}
END_TEST

Suite *
tap_suite(void)
{
	Suite *s = suite_create("tap");
	TCase *t = tcase_create("tap");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, receives);
	tcase_add_test(t, receives_errors_and_ends);
	tcase_add_test(t, withholds_what_came);
	tcase_add_test(t, sends);
	tcase_add_test(t, sends_messages);
	tcase_add_test(t, swallows_what_goes);
	tcase_add_test(t, shuts);
	tcase_add_test(t, closed_it_hears_nothing);
	tcase_add_test(t, other_threads_are_not_heard);
	suite_add_tcase(s, t);
	return s;
}
