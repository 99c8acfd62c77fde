/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Timers of the loop.
 */
#include "test_loop.h"

#include <string.h>

#include "base/defs.h"

static void
on_stop(struct loop *l, struct loop_timer *t)
{
	on_note(l, t);
	loop_stop(l);
}

static void
on_cancel_other(struct loop *l, struct loop_timer *t)
{
	struct tagged *x = container_of(t, struct tagged, t);

	note(x->tag);
	loop_timer_del(l, &x->other->t);
	ck_assert(!loop_timer_armed(&x->other->t));
}

static void
on_rearm_now(struct loop *l, struct loop_timer *t)
{
	struct tagged *x = container_of(t, struct tagged, t);

	note(x->tag);
	if (x->tag++ < '3')
		loop_timer_set(l, t, 0);
}

START_TEST(timers_run_in_order_of_time)
{
	struct tagged x[26];
	nsec_t base = mono_now();
	int i;

	for (i = 0; i < 26; i++) {
		tagged_init(&x[i], (char)('a' + i), i < 25 ? on_note : on_stop);
	}
	for (i = 0; i < 26; i++)
		loop_timer_set(loop, &x[i * 7 % 26].t,
		    base + i * 7 % 26 * 100000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "abcdefghijklmnopqrstuvwxyz");
	ck_assert_int_ge(mono_now(), base + 25 * 100000);
}
END_TEST

START_TEST(timer_ties_run_in_start_order)
{
	struct tagged x[20];
	int i;

	for (i = 0; i < 20; i++) {
		tagged_init(&x[i], (char)('a' + i), i < 19 ? on_note : on_stop);
		loop_timer_set(loop, &x[i].t, 5);
	}
	/* arming again moves to the end of the tie */
	loop_timer_set(loop, &x[0].t, 5);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "bcdefghijklmnopqrsta");
}
END_TEST

START_TEST(timer_set_for_now_runs_next_turn)
{
	struct tagged a, z;

	tagged_init(&a, '1', on_rearm_now);
	tagged_init(&z, 'z', on_note);
	loop_timer_set(loop, &a.t, 0);
	loop_timer_set(loop, &z.t, 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "1z");
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "1z23");
	ck_assert(!loop_timer_armed(&a.t));
}
END_TEST

START_TEST(timer_cancelled_by_its_neighbour)
{
	struct tagged a, b, c;

	tagged_init(&a, 'a', on_cancel_other);
	tagged_init(&b, 'b', on_note);
	tagged_init(&c, 'c', on_stop);
	a.other = &b;
	loop_timer_set(loop, &a.t, 1);
	loop_timer_set(loop, &b.t, 2);
	loop_timer_set(loop, &c.t, 3);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(trace, "ac");
	loop_timer_del(loop, &b.t);	/* harmless twice */
}
END_TEST

START_TEST(timers_removed_from_the_middle)
{
	struct tagged x[100], last;
	int i;

	for (i = 0; i < 100; i++) {
		tagged_init(&x[i], '0', on_note);
		loop_timer_set(loop, &x[i].t, (i * 37) % 100);
	}
	for (i = 0; i < 100; i += 2)
		loop_timer_del(loop, &x[i].t);
	tagged_init(&last, '!', on_stop);
	loop_timer_set(loop, &last.t, 1000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(strlen(trace), 51);
}
END_TEST

START_TEST(timer_never_early)
{
	struct tagged a;
	nsec_t when;
	int i;

	for (i = 1; i < 20; i++) {
		tagged_init(&a, 'a', on_stop);
		when = mono_now() + i * 137 * 1000;
		loop_timer_set(loop, &a.t, when);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_int_ge(mono_now(), when);
		ck_assert_int_ge(loop_now(loop), when);
	}
}
END_TEST

Suite *
timer_suite(void)
{
	const TTest *const tests[] = {
		timers_run_in_order_of_time,
		timer_ties_run_in_start_order,
		timer_set_for_now_runs_next_turn,
		timer_cancelled_by_its_neighbour,
		timers_removed_from_the_middle,
		timer_never_early,
	};

	return loop_suite("timer", tests, countof(tests));
}
