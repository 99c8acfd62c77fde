/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats/stats.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stats/render.h"
#include "test_stats.h"

static struct stats_segment *seg;

static void
set_up(void)
{
	seg = stats_new();
	ck_assert_ptr_nonnull(seg);
}

static void
tear_down(void)
{
	stats_free(&seg);
	ck_assert_ptr_null(seg);
}

/* What a worker would write. */
static struct stats_slot *
writable(int slot)
{
	return (struct stats_slot *)(uintptr_t)stats_slot(seg, slot);
}

/* The descriptors of slots that are taken. */
static int fds[STATS_SLOTS + 1];

static int
take(void)
{
	int fd, slot = stats_slot_take(seg, &fd);

	if (slot != -1)
		fds[slot] = fd;
	return slot;
}

static void
release(int slot)
{
	stats_slot_release(seg, slot);
	close(fds[slot]);
}

START_TEST(counts_before_there_is_a_segment)
{
	struct stats_segment *s;

	STAT_ADD(requests, 2);
	STAT_SUB(requests, 1);
	ck_assert_uint_eq(STAT_GET(requests), 1);
	s = stats_new();
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(STAT_GET(requests), 0);
	STAT_ADD(reloads_ok, 3);
	STAT_SET(generation, 4);
	ck_assert_uint_eq(stats_total(s, STAT_reloads_ok), 3);
	ck_assert_uint_eq(stats_total(s, STAT_generation), 4);
	ck_assert_ptr_eq(stats, stats_slot(s, 0));
	stats_free(&s);
	ck_assert_uint_eq(STAT_GET(requests), 1);
}
END_TEST

START_TEST(slots_are_lowest_first)
{
	int i;

	for (i = 1; i <= STATS_SLOTS; i++) {
		ck_assert_int_eq(take(), i);
		close(fds[i]);
	}
	ck_assert_int_eq(take(), -1);
	ck_assert_int_eq(errno, ENOSPC);
	stats_slot_release(seg, 700);
	stats_slot_release(seg, 3);
	ck_assert_int_eq(take(), 3);
	ck_assert_int_eq(take(), 700);
}
END_TEST

/* In another process, as a worker's are. */
static void
in_child(int slot, void (*work)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		if (stats_attach(fds[slot]) == -1)
			_exit(1);
		work();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void
serve(void)
{
	STAT_ADD(requests, 5);
	STAT_ADD(in_flight, 2);
	stats_add_peak(STAT_cycles_in_use, STAT_cycles_peak);
	stats_add_peak(STAT_cycles_in_use, STAT_cycles_peak);
	STAT_SUB(cycles_in_use, 1);
	stats_add_peak(STAT_cycles_in_use, STAT_cycles_peak);
	STAT_OBSERVE(total, 1500);
	STAT_OBSERVE(total, 2500);
}

START_TEST(death_keeps_counters_and_drops_gauges)
{
	static const struct stats_slot zero;
	struct hist h;
	int a = take(), b = take(), i;

	in_child(a, serve);
	in_child(b, serve);
	in_child(b, serve);
	ck_assert_uint_eq(stats_slot(seg, a)->values[STAT_requests], 5);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(stats_total(seg, STAT_requests), 15);
		ck_assert_uint_eq(stats_total(seg, STAT_in_flight),
		    i == 0 ? 6 : i == 1 ? 2 : 0);
		ck_assert_uint_eq(stats_total(seg, STAT_cycles_peak), 4);
		stats_total_hist(seg, HIST_total, &h);
		ck_assert_uint_eq(hist_count(&h), 6);
		ck_assert_uint_eq(h.sum, 12000);
		if (i < 2)
			release(i == 0 ? b : a);
	}
	ck_assert_int_eq(take(), 1);
	ck_assert_mem_eq(stats_slot(seg, 1)->values, zero.values,
	    sizeof(zero.values));
}
END_TEST

/* Whatever workers and master do in whatever order, no sum falls. */
START_TEST(totals_never_go_back)
{
	uint64_t former = 0, n, seed = 7;
	struct hist h;
	int slots[8] = { 0 }, i;
	unsigned k;

	for (i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		k = (unsigned)(seed >> 40) % 8;
		if (slots[k] == 0) {
			slots[k] = take();
		} else if (seed >> 61 == 0) {
			release(slots[k]);
			slots[k] = 0;
		} else {
			writable(slots[k])->values[STAT_requests]++;
			hist_observe(&writable(slots[k])->hists[HIST_turn],
			    (nsec_t)(seed >> 50));
		}
		n = stats_total(seg, STAT_requests);
		ck_assert_uint_ge(n, former);
		ck_assert_uint_le(n, former + 1);
		former = n;
		stats_total_hist(seg, HIST_turn, &h);
		ck_assert_uint_eq(hist_count(&h), n);
	}
	ck_assert_uint_gt(former, 10000);
}
END_TEST

static void
fork_and_serve(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		serve();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		_exit(1);
}

START_TEST(children_of_workers_count_nowhere)
{
	int slot = take();

	in_child(slot, fork_and_serve);
	ck_assert_uint_eq(stats_total(seg, STAT_requests), 0);
}
END_TEST

START_TEST(workers_cannot_cut_it)
{
	int slot = take();

	ck_assert_int_eq(ftruncate(fds[slot], 0), -1);
	ck_assert_int_eq(errno, EPERM);
	/* nor dig a hole that is still there when the master looks */
	ck_assert_int_eq(fallocate(fds[slot], FALLOC_FL_PUNCH_HOLE |
	    FALLOC_FL_KEEP_SIZE, 0, sizeof(struct stats_slot)), 0);
	ck_assert_uint_eq(stats_total(seg, STAT_requests), 0);
}
END_TEST

/* A worker of another version, after an upgrade, would write anywhere. */
START_TEST(versions_do_not_mix)
{
	int slot = take();

	writable(slot)->layout++;
	ck_assert_int_eq(stats_attach(fds[slot]), -1);
	ck_assert_int_eq(errno, EPROTO);
	writable(slot)->layout--;
	ck_assert_int_eq(stats_attach(fds[slot]), 0);
	STAT_ADD(requests, 1);
	ck_assert_uint_eq(stats_total(seg, STAT_requests), 1);
}
END_TEST

/* ---- workers that somebody has taken over ------------------------------ */

static void
scribble(int slot, uint64_t v)
{
	uint64_t *p = (void *)writable(slot);
	size_t i;

	for (i = 0; i < sizeof(struct stats_slot) / sizeof(*p); i++)
		p[i] = v;
}

static void
expect_five(void)
{
	struct stats_second sum;
	struct hist h;
	double over;

	ck_assert_uint_eq(stats_total(seg, STAT_requests), 5);
	ck_assert_uint_eq(stats_total(seg, STAT_in_flight), 2);
	ck_assert_uint_eq(stats_total(seg, STAT_cycles_peak), 2);
	stats_total_hist(seg, HIST_total, &h);
	ck_assert_uint_eq(hist_count(&h), 2);
	ck_assert_uint_eq(h.sum, 4000);
	stats_last_seconds(seg, mono_now(), NSEC_PER_SEC, &sum, &over);
	ck_assert_uint_eq(sum.requests, 0);
}

START_TEST(what_cannot_be_is_not_believed)
{
	int a = take(), b = take();

	in_child(b, serve);
	scribble(a, UINT64_MAX);
	expect_five();
	ck_assert_int_eq(stats_busy(stats_slot(seg, a), 1000), 0);
	scribble(a, (uint64_t)INT64_MIN);
	ck_assert_int_eq(stats_busy(stats_slot(seg, a), 1000), 0);
	release(a);
	expect_five();
}
END_TEST

/* Of numbers that could just be, sums end at the most there is. */
START_TEST(sums_do_not_wrap)
{
	uint64_t former = 0, n = 0;
	struct hist h;
	int a, i;

	for (i = 0; i < 600; i++) {
		a = take();
		scribble(a, RELAXED_MOST - 1);
		n = stats_total(seg, STAT_requests);
		ck_assert_uint_ge(n, former);
		former = n;
		stats_total_hist(seg, HIST_turn, &h);
		ck_assert_uint_ge(hist_count(&h), n);
		release(a);
	}
	ck_assert_uint_eq(n, UINT64_MAX);
}
END_TEST

/* Each second an entry that claims to be of it, and has counted backwards. */
START_TEST(a_ring_of_lies_adds_nothing)
{
	struct stats_second sum, *ring;
	double over;
	int a = take();
	uint64_t now = (uint64_t)(mono_now() / NSEC_PER_SEC), s;

	ring = writable(a)->ring;
	for (s = now < STATS_RING ? 0 : now - STATS_RING + 1;
	    s < now + STATS_RING / 2; s++)
		ring[s % STATS_RING] = (struct stats_second){ s,
		    UINT64_MAX - s, UINT64_MAX, s * RELAXED_MOST, 100 - s };
	stats_last_seconds(seg, mono_now(), NSEC_PER_SEC, &sum, &over);
	ck_assert_uint_eq(sum.requests, 0);
	ck_assert_uint_eq(sum.errors, 0);
	release(a);
	stats_last_seconds(seg, mono_now(), NSEC_PER_SEC, &sum, &over);
	ck_assert_uint_lt(sum.requests, RELAXED_MOST);
	ck_assert_uint_lt(sum.sent, RELAXED_MOST);
}
END_TEST

/* A child of a dead worker goes on writing: into no other's slot. */
START_TEST(who_is_left_behind_writes_to_nobody)
{
	int a = take(), kept = dup(fds[a]);

	release(a);
	ck_assert_int_eq(take(), a);
	ck_assert_int_eq(stats_attach(kept), 0);
	STAT_ADD(requests, 9);
	ck_assert_uint_eq(stats_total(seg, STAT_requests), 0);
	close(kept);
}
END_TEST

/* ---- the last seconds --------------------------------------------------- */

/* A second, whatever the clock says; its entries must not be too old for
 * stats_slot_release(), which reads the clock. */
static nsec_t base;

static void
turn(int slot, int second, unsigned requests)
{
	struct stats_slot *own = stats;

	stats = writable(slot);
	stats_turn_begins(base + second * NSEC_PER_SEC + 1);
	STAT_ADD(requests, requests);
	STAT_ADD(errors_parse, 1);
	STAT_ADD(errors_limit, 1);
	STAT_ADD(sent, 10 * requests);
	stats_turn_over();
	stats = own;
}

static uint64_t
last_seconds(double second)
{
	struct stats_second sum;
	double over;

	stats_last_seconds(seg, base + (nsec_t)(second * 1e9),
	    1000 * NSEC_PER_SEC, &sum, &over);
	ck_assert_double_eq_tol(over, second - (int)second + 9, 1e-6);
	ck_assert_uint_eq(sum.sent, 10 * sum.requests);
	return sum.requests;
}

START_TEST(last_seconds_are_exact)
{
	int a = take(), b = take();

	base = (mono_now() / NSEC_PER_SEC - 30) * NSEC_PER_SEC;
	turn(a, 0, 1000);
	turn(a, 3, 100);
	turn(a, 3, 20);
	turn(b, 7, 3);
	ck_assert_uint_eq(last_seconds(7.5), 1123);
	ck_assert_uint_eq(last_seconds(9.999), 1123);
	ck_assert_uint_eq(last_seconds(10), 123);
	ck_assert_uint_eq(last_seconds(12.9), 123);
	ck_assert_uint_eq(last_seconds(13), 3);
	ck_assert_uint_eq(last_seconds(17), 0);
	/* around the ring, over what was there */
	turn(a, 16, 5);
	turn(a, 19, 7);
	ck_assert_uint_eq(last_seconds(19.5), 12);
	turn(b, 29, 1);
	ck_assert_uint_eq(last_seconds(29.5), 1);
	ck_assert_uint_eq(last_seconds(28), 8);
}
END_TEST

START_TEST(last_seconds_of_the_dead)
{
	int a = take(), b = take();

	/* the latest is of this second: the first will be young enough even
	 * if this test has to wait for its processor */
	base = (mono_now() / NSEC_PER_SEC - 5) * NSEC_PER_SEC;
	turn(a, 0, 1000);
	turn(a, 4, 100);
	turn(a, 5, 20);
	turn(b, 5, 3);
	ck_assert_uint_eq(last_seconds(9), 1123);
	release(a);
	ck_assert_uint_eq(last_seconds(9), 1123);
	release(b);
	ck_assert_uint_eq(last_seconds(9), 1123);
	ck_assert_uint_eq(last_seconds(10), 123);
	ck_assert_uint_eq(last_seconds(13), 123);
	ck_assert_uint_eq(last_seconds(14), 23);
	ck_assert_uint_eq(last_seconds(15), 0);
	ck_assert_int_eq(take(), a);
	turn(a, 9, 4);
	ck_assert_uint_eq(last_seconds(13), 127);
}
END_TEST

START_TEST(a_young_daemon_has_few_last_seconds)
{
	struct stats_second sum;
	double over;

	stats_last_seconds(seg, mono_now(), NSEC_PER_SEC / 4, &sum, &over);
	ck_assert_double_eq_tol(over, 0.25, 1e-9);
	ck_assert_uint_eq(sum.requests, 0);
}
END_TEST

/* A virtual machine serves before its clock shows ten seconds. */
START_TEST(a_young_machine_has_few_last_seconds)
{
	int a = take();
	struct stats_second sum;
	double over;

	base = 0;
	turn(a, 2, 5);
	turn(a, 3, 7);
	stats_last_seconds(seg, 7 * NSEC_PER_SEC / 2, 3 * NSEC_PER_SEC, &sum,
	    &over);
	ck_assert_double_eq_tol(over, 3, 1e-9);
	ck_assert_uint_eq(sum.requests, 12);
}
END_TEST

START_TEST(turns_tell_when_they_began)
{
	int a = take();

	stats = writable(a);
	stats_turn_begins(123456789012);
	ck_assert_uint_eq(stats_slot(seg, a)->turn_began, 123456789012);
	stats_turn_over();
	ck_assert_uint_eq(stats_slot(seg, a)->turn_began, 0);
}
END_TEST

Suite *
segment_suite(void)
{
	Suite *s = suite_create("segment");
	TCase *t = tcase_create("alone"), *u = tcase_create("segment");

	tcase_add_test(t, counts_before_there_is_a_segment);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(u, set_up, tear_down);
	tcase_add_test(u, slots_are_lowest_first);
	tcase_add_test(u, death_keeps_counters_and_drops_gauges);
	tcase_add_test(u, totals_never_go_back);
	tcase_add_test(u, children_of_workers_count_nowhere);
	tcase_add_test(u, workers_cannot_cut_it);
	tcase_add_test(u, versions_do_not_mix);
	tcase_add_test(u, what_cannot_be_is_not_believed);
	tcase_add_test(u, sums_do_not_wrap);
	tcase_add_test(u, a_ring_of_lies_adds_nothing);
	tcase_add_test(u, who_is_left_behind_writes_to_nobody);
	tcase_add_test(u, last_seconds_are_exact);
	tcase_add_test(u, last_seconds_of_the_dead);
	tcase_add_test(u, a_young_daemon_has_few_last_seconds);
	tcase_add_test(u, a_young_machine_has_few_last_seconds);
	tcase_add_test(u, turns_tell_when_they_began);
	suite_add_tcase(s, u);
	return s;
}
