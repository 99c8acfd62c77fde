/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs the suites of http/.
 */
#include "test_http.h"

#include <sys/socket.h>

#include <dirent.h>
#include <stdlib.h>

#include "base/defs.h"

void
test_pair(int fds[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

struct until {
	struct loop_timer timer;
	bool		(*cond)(void *);
	void		*arg;
	nsec_t		 deadline;
};

static void
on_look(struct loop *loop, struct loop_timer *t)
{
	struct until *u = container_of(t, struct until, timer);

	ck_assert_int_lt(loop_now(loop), u->deadline);
	if (u->cond(u->arg))
		loop_stop(loop);
	else
		loop_timer_set(loop, t, loop_now(loop) + NSEC_PER_MSEC);
}

void
test_run_until(struct loop *loop, bool (*cond)(void *), void *arg)
{
	struct until u = { .cond = cond, .arg = arg,
	    .deadline = mono_now() + 60 * NSEC_PER_SEC };

	loop_timer_init(&u.timer, on_look);
	loop_timer_set(loop, &u.timer, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert(!loop_timer_armed(&u.timer));
}

unsigned
test_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int
main(void)
{
	SRunner *runner = srunner_create(accesslog_suite());
	int failed;

	srunner_add_suite(runner, check_suite());
	srunner_add_suite(runner, chunk_suite());
	srunner_add_suite(runner, contiguous_suite());
	srunner_add_suite(runner, head_suite());
	srunner_add_suite(runner, linger_suite());
	srunner_add_suite(runner, outq_suite());
	srunner_add_suite(runner, tap_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
