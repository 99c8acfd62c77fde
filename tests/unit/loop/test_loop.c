/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Runs the suites of loop/.
 */
#include "test_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/defs.h"

struct loop *loop;
char trace[256];
int bell;

void
note(char c)
{
	size_t n = strlen(trace);

	ck_assert_uint_lt(n + 1, sizeof(trace));
	trace[n] = c;
	trace[n + 1] = '\0';
}

static void
setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	trace[0] = '\0';
}

static void
teardown(void)
{
	loop_free(&loop);
	ck_assert_ptr_null(loop);
}

void
turn(void)
{
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
}

void
pair(int sv[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
}

void
poke(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

void
tagged_init(struct tagged *x, char tag, loop_timer_f *cb)
{
	loop_timer_init(&x->t, cb);
	x->tag = tag;
	x->other = NULL;
}

void
on_note(struct loop *l UNUSED, struct loop_timer *t)
{
	note(container_of(t, struct tagged, t)->tag);
}

/* ---- hooks ---------------------------------------------------------- */

int
ready_note(void *arg)
{
	note(*(const char *)arg);
	return 0;
}

bool
never_pending(void *arg UNUSED)
{
	return false;
}

void
enter_nothing(void *arg UNUSED, bool may_block)
{
	note(may_block ? 'B' : '0');
}

int
leave_nothing(void *arg UNUSED)
{
	return 0;
}

struct sleeper sleeper;

static void
sleeper_enter(void *arg UNUSED, bool may_block)
{
	if (may_block)
		atomic_fetch_add(&sleeper.entered, 1);
}

static int
sleeper_ready(void *arg)
{
	if (__atomic_load_n(&sleeper.done, __ATOMIC_ACQUIRE))
		loop_stop(arg);
	return 0;
}

const struct loop_hooks sleeper_hooks = {
	sleeper_ready, never_pending, sleeper_enter, leave_nothing
};

/* ---- running them --------------------------------------------------- */

Suite *
loop_suite(const char *name, const TTest *const *tests, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	size_t i;

	tcase_add_checked_fixture(tc, setup, teardown);
	for (i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *runner = srunner_create(timer_suite());
	int failed;

	srunner_add_suite(runner, work_suite());
	srunner_add_suite(runner, io_suite());
	srunner_add_suite(runner, signal_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
