/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_http.h"

static struct loop *loop;
static struct lingerers lingerers;
static unsigned fds_before;

static void
setup(void)
{
	fds_before = test_count_fds();
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	linger_init(&lingerers, loop);
}

static void
teardown(void)
{
	linger_fini(&lingerers);
	ck_assert_uint_eq(lingerers.n, 0);
	loop_free(&loop);
	ck_assert_uint_eq(test_count_fds(), fds_before);
}

static bool
nobody_lingers(void *arg UNUSED)
{
	return lingerers.n == 0;
}

/* As the library does: the answer is out, and the descriptor closed. */
static int
linger_one(void)
{
	int fds[2];

	test_pair(fds);
	ck_assert_int_eq(write(fds[0], "answer", 6), 6);
	linger_add(&lingerers, fds[0]);
	close(fds[0]);
	return fds[1];
}

static void
read_answer(int fd)
{
	char text[16];

	ck_assert_int_eq(read(fd, text, sizeof(text)), 6);
	ck_assert_int_eq(memcmp(text, "answer", 6), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
}

START_TEST(the_answer_is_followed_by_its_end)
{
	int fd = linger_one();

	ck_assert_uint_eq(lingerers.n, 1);
	read_answer(fd);
	close(fd);
	test_run_until(loop, nobody_lingers, NULL);
}
END_TEST

struct talker {
	int		 fd;
	unsigned	 left;
};

/* The client goes on talking; nothing tells it to stop. */
static bool
talk(void *arg)
{
	static char text[1000];
	struct talker *t = arg;

	if (t->left > 0) {
		ck_assert_int_eq(send(t->fd, text, sizeof(text),
		    MSG_NOSIGNAL), (ssize_t)sizeof(text));
		t->left--;
	}
	return t->left == 0;
}

START_TEST(what_the_client_says_is_read)
{
	struct talker t = { linger_one(), 10 };

	test_run_until(loop, talk, &t);
	ck_assert_uint_eq(lingerers.n, 1);
	read_answer(t.fd);
	close(t.fd);
	test_run_until(loop, nobody_lingers, NULL);
}
END_TEST

static size_t flooded;

static bool
flood(void *arg)
{
	static char text[64 * 1024];
	int fd = *(int *)arg;
	ssize_t n;

	while ((n = send(fd, text, sizeof(text), MSG_NOSIGNAL)) > 0)
		flooded += (size_t)n;
	ck_assert(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
	return errno != EAGAIN;
}

START_TEST(but_not_for_ever)
{
	int fd = linger_one();

	flooded = 0;
	test_run_until(loop, flood, &fd);
	ck_assert_uint_eq(lingerers.n, 0);
	ck_assert_uint_ge(flooded, 1024 * 1024);
	ck_assert_uint_lt(flooded, 4 * 1024 * 1024);
	close(fd);
}
END_TEST

START_TEST(a_silent_client_has_two_seconds)
{
	nsec_t start = loop_now(loop);	/* may be older than ours by a turn */
	int fd = linger_one();

	test_run_until(loop, nobody_lingers, NULL);
	ck_assert_int_ge(mono_now() - start, 2 * NSEC_PER_SEC);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(fd);
}
END_TEST

START_TEST(several_at_once)
{
	int fds[20], i;

	for (i = 0; i < 20; i++)
		fds[i] = linger_one();
	ck_assert_uint_eq(lingerers.n, 20);
	for (i = 0; i < 20; i++) {
		read_answer(fds[i * 7 % 20]);
		close(fds[i * 7 % 20]);
	}
	test_run_until(loop, nobody_lingers, NULL);
}
END_TEST

START_TEST(no_more_than_so_many)
{
	int fds[2], i;

	test_pair(fds);
	for (i = 0; i < 300; i++)
		linger_add(&lingerers, fds[0]);
	ck_assert_uint_eq(lingerers.n, 256);
	close(fds[0]);
	close(fds[1]);
	test_run_until(loop, nobody_lingers, NULL);
}
END_TEST

START_TEST(without_descriptors)
{
	struct rlimit limit, none;
	char c;
	int fds[2];

	test_pair(fds);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	linger_add(&lingerers, fds[0]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(lingerers.n, 0);
	/* the descriptor is as it was */
	ck_assert_int_eq(read(fds[1], &c, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(end_of_the_server)
{
	int fds[3], i;

	for (i = 0; i < 3; i++)
		fds[i] = linger_one();
	linger_fini(&lingerers);
	ck_assert_uint_eq(lingerers.n, 0);
	for (i = 0; i < 3; i++) {
		read_answer(fds[i]);
		close(fds[i]);
	}
}
END_TEST

Suite *
linger_suite(void)
{
	Suite *s = suite_create("linger");
	TCase *t = tcase_create("linger");

	tcase_set_timeout(t, 90);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_answer_is_followed_by_its_end);
	tcase_add_test(t, what_the_client_says_is_read);
	tcase_add_test(t, but_not_for_ever);
	tcase_add_test(t, a_silent_client_has_two_seconds);
	tcase_add_test(t, several_at_once);
	tcase_add_test(t, no_more_than_so_many);
	tcase_add_test(t, without_descriptors);
	tcase_add_test(t, end_of_the_server);
	suite_add_tcase(s, t);
	return s;
}
