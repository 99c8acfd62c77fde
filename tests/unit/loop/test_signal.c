/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Signals as events.
 */
#include "test_loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/defs.h"

static void
on_sig(struct loop *l, int signo, void *arg)
{
	note(signo == SIGUSR1 ? '1' : '2');
	note(*(const char *)arg);
	loop_stop(l);
}

static void
on_raise(struct loop *l UNUSED, struct loop_timer *t UNUSED)
{
	(void)raise(SIGUSR2);
	(void)raise(SIGUSR1);
	note('r');
}

START_TEST(signals_run_as_events)
{
	struct loop_timer t;
	char a = 'a', b = 'b';

	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(loop_signal(loop, SIGUSR2, on_sig, &b), 0);
	loop_timer_init(&t, on_raise);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "r1a2b");
	ck_assert_int_eq(loop_signal(loop, SIGKILL, on_sig, NULL), -1);
	ck_assert_int_eq(loop_signal(loop, 0, on_sig, NULL), -1);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, LOOP_SIGNAL_IGNORE, NULL),
	    0);
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "r1a2b");
}
END_TEST

static void *
kill_thread(void *arg)
{
	while (atomic_load(&sleeper.entered) == 0)
		usleep(100);
	(void)kill(getpid(), *(int *)arg);
	return NULL;
}

START_TEST(signal_ends_the_wait)
{
	pthread_t th;
	char a = 'a';
	int signo = SIGUSR1;

	atomic_store(&sleeper.entered, 0);
	sleeper.done = false;
	loop_set_hooks(loop, &sleeper_hooks, loop);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(pthread_create(&th, NULL, kill_thread, &signo), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(pthread_join(th, NULL), 0);
	ck_assert_str_eq(trace, "1a");
}
END_TEST

static bool
stands(void (*handler)(int))
{
	struct sigaction sa;

	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &sa), 0);
	return sa.sa_handler == handler;
}

static void
foreign_handler(int signo UNUSED)
{
	note('f');
}

/* Before there is a loop; that of the import, say, hears nothing. */
START_TEST(signals_wait_for_their_loop)
{
	struct loop *other = loop_new();
	char a = 'a';

	ck_assert_int_eq(loop_signal(NULL, SIGUSR1, on_sig, &a), 0);
	(void)raise(SIGUSR1);
	loop_free(&other);
	ck_assert(!stands(SIG_DFL));
	turn();
	ck_assert_str_eq(trace, "");
	loop_signals_serve(loop);
	turn();
	ck_assert_str_eq(trace, "1a");
	loop_signal_mark(SIGUSR1);
	loop_signal_mark(SIGUSR2);		/* nobody's */
	turn();
	ck_assert_str_eq(trace, "1a1a");
}
END_TEST

START_TEST(signals_are_taken_back)
{
	char a = 'a';

	loop_signal_again(SIGUSR1, true);	/* not ours at all */
	ck_assert(stands(SIG_DFL));
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
	(void)signal(SIGUSR1, foreign_handler);
	loop_signal_again(SIGUSR1, false);
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "f");
	loop_signal_again(SIGUSR1, true);
	(void)raise(SIGUSR1);
	(void)signal(SIGUSR1, SIG_DFL);
	loop_signal_again(SIGUSR1, false);
	turn();
	ck_assert_str_eq(trace, "f1a");
	(void)raise(SIGUSR1);
	turn();
	ck_assert_str_eq(trace, "f1a1a");

	ck_assert_int_eq(loop_signal(loop, SIGUSR1, LOOP_SIGNAL_IGNORE, NULL),
	    0);
	(void)signal(SIGUSR1, foreign_handler);
	loop_signal_again(SIGUSR1, true);
	ck_assert(stands(foreign_handler));
	(void)signal(SIGUSR1, SIG_DFL);
	loop_signal_again(SIGUSR1, true);
	ck_assert(stands(SIG_IGN));
}
END_TEST

START_TEST(signal_default_comes_back_with_the_loop)
{
	struct sigaction sa;
	struct loop *other = loop_new();
	char a = 'a';

	ck_assert_ptr_nonnull(other);
	ck_assert_int_eq(loop_signal(other, SIGUSR1, on_sig, &a), 0);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), -1);
	ck_assert_int_eq(errno, EBUSY);
	loop_free(&other);
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &sa), 0);
	ck_assert(sa.sa_handler == SIG_DFL);
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_sig, &a), 0);
}
END_TEST

Suite *
signal_suite(void)
{
	const TTest *const tests[] = {
		signals_run_as_events,
		signal_ends_the_wait,
		signals_wait_for_their_loop,
		signals_are_taken_back,
		signal_default_comes_back_with_the_loop,
	};

	return loop_suite("signal", tests, countof(tests));
}
