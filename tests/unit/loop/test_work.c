/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The order of a turn: works and hooks; what is counted of turns.
 */
#include "test_loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "stats/stats.h"

struct task {
	struct loop_work	 w;
	char			 tag;
	struct loop_work	*next;
	int			 again;
};

static void
on_work(struct loop *l, struct loop_work *w)
{
	struct task *t = container_of(w, struct task, w);

	note(t->tag);
	if (t->next != NULL)
		loop_work_add(l, t->next);
	if (t->again-- > 0)
		loop_work_add(l, w);
	else if (t->tag == '!')
		loop_stop(l);
}

static void
task_init(struct task *t, enum loop_phase phase, char tag)
{
	loop_work_init(&t->w, phase, on_work);
	t->tag = tag;
	t->next = NULL;
	t->again = 0;
}

static int
ready_leave(void *arg UNUSED)
{
	note('x');
	return -1;
}

START_TEST(phases_in_order)
{
	struct task e, d, f;
	struct tagged t;

	tagged_init(&t, 't', on_note);
	task_init(&f, LOOP_FLUSH, 'f');
	task_init(&d, LOOP_DEFERRED, 'd');
	task_init(&e, LOOP_ENGINE, 'e');
	loop_work_add(loop, &f.w);
	loop_work_add(loop, &d.w);
	loop_work_add(loop, &e.w);
	loop_work_add(loop, &e.w);		/* once is enough */
	loop_timer_set(loop, &t.t, 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "tedf");
}
END_TEST

START_TEST(work_for_a_later_phase_runs_this_turn)
{
	struct task e, d, f;

	task_init(&e, LOOP_ENGINE, 'e');
	task_init(&d, LOOP_DEFERRED, 'd');
	task_init(&f, LOOP_FLUSH, 'f');
	e.next = &d.w;
	d.next = &f.w;
	loop_work_add(loop, &e.w);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "edf");
}
END_TEST

START_TEST(work_that_adds_itself_runs_next_turn)
{
	static const struct loop_hooks hooks = {
		ready_note, never_pending, enter_nothing, leave_nothing
	};
	struct task d;
	char tag = '.';

	task_init(&d, LOOP_DEFERRED, '!');
	d.again = 2;
	loop_work_add(loop, &d.w);
	loop_set_hooks(loop, &hooks, &tag);
	ck_assert_int_eq(loop_run(loop), 0);
	/* one a turn, and no turn may block while one is pending */
	ck_assert_str_eq(trace, "0.!0.!0.!");
}
END_TEST

START_TEST(work_removed)
{
	struct task a, b;

	task_init(&a, LOOP_ENGINE, 'a');
	task_init(&b, LOOP_ENGINE, 'b');
	loop_work_add(loop, &a.w);
	loop_work_add(loop, &b.w);
	loop_work_del(loop, &a.w);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "b");
}
END_TEST

START_TEST(ready_hook_leaves_at_once)
{
	static const struct loop_hooks hooks = {
		ready_leave, never_pending, enter_nothing, leave_nothing
	};
	struct task e;

	task_init(&e, LOOP_ENGINE, 'e');
	loop_work_add(loop, &e.w);
	loop_set_hooks(loop, &hooks, NULL);
	ck_assert_int_eq(loop_run(loop), -1);
	ck_assert_str_eq(trace, "0x");
	/* nothing was lost */
	loop_set_hooks(loop, NULL, NULL);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "0xe");
}
END_TEST

static void
on_run_again(struct loop *l, struct loop_timer *t UNUSED)
{
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(errno, EBUSY);
	loop_stop(l);
}

START_TEST(no_loop_in_a_loop)
{
	struct loop_timer t;

	loop_timer_init(&t, on_run_again);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
}
END_TEST

/* ---- statistics ----------------------------------------------------- */

#define LONG	(3 * NSEC_PER_MSEC)

static bool blocked;

static void
spend(nsec_t time)
{
	nsec_t end = mono_now() + time;

	while (mono_now() < end)
		;
}

static int
nothing_ready(void *arg UNUSED)
{
	return 0;
}

static void
enter_told(void *arg UNUSED, bool may_block)
{
	if (!may_block)
		return;
	blocked = true;
	ck_assert_uint_eq(stats->turn_began, 0);
	poke(bell);
}

/* As a GIL that is long in coming. */
static int
leave_late(void *arg UNUSED)
{
	ck_assert_uint_le(stats->turn_began, (uint64_t)mono_now());
	ck_assert_uint_gt(stats->turn_began, 0);
	if (blocked)
		spend(LONG);
	return 0;
}

static void
on_long(struct loop *l, struct loop_io *io UNUSED, unsigned revents UNUSED)
{
	ck_assert_int_ge(loop_now(l) - (nsec_t)stats->turn_began, LONG);
	spend(LONG);
	ck_assert_int_ge(mono_now() - (nsec_t)stats->turn_began, 2 * LONG);
	loop_stop(l);
}

static const struct loop_hooks told = {
	.ready = nothing_ready, .pending = never_pending,
	.wait_enter = enter_told, .wait_leave = leave_late,
};

START_TEST(turns_are_counted)
{
	const struct hist *h = &stats->hists[HIST_turn];
	struct loop_io io;
	int sv[2];

	pair(sv);
	bell = sv[1];
	blocked = false;
	loop_count(loop);
	loop_set_hooks(loop, &told, NULL);
	loop_io_init(&io, sv[0], on_long);
	ck_assert_int_eq(loop_io_set(loop, &io, LOOP_READ), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert(blocked);
	ck_assert_uint_eq(stats->turn_began, 0);
	/* the first, with a wait of 0, and the bell's: without the wait */
	ck_assert_uint_eq(hist_count(h), 2);
	ck_assert_uint_ge(h->sum, 2 * LONG);
	loop_io_del(loop, &io);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(turns_of_other_loops_are_not)
{
	struct loop_timer t;

	loop_timer_init(&t, on_run_again);
	loop_timer_set(loop, &t, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(hist_count(&stats->hists[HIST_turn]), 0);
}
END_TEST

Suite *
work_suite(void)
{
	const TTest *const tests[] = {
		phases_in_order,
		work_for_a_later_phase_runs_this_turn,
		work_that_adds_itself_runs_next_turn,
		work_removed,
		ready_hook_leaves_at_once,
		no_loop_in_a_loop,
		turns_are_counted,
		turns_of_other_loops_are_not,
	};

	return loop_suite("work", tests, countof(tests));
}
