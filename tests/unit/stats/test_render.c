/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A daemon with a past, for render.sh to look at in all formats, and what
 * does not need looking at.
 */
#include "stats/render.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_stats.h"

#define NOW	(1000000 * NSEC_PER_SEC + NSEC_PER_SEC / 2)

static struct stats_segment *seg;
/* The first two: one takes over from the other. */
static struct stats_worker workers[3] = {
	{ .id = 1, .generation = 1, .state = "draining",
	    .age = 7200 * NSEC_PER_SEC },
	{ .id = 1, .generation = 2, .state = "serving",
	    .age = 3725 * NSEC_PER_SEC },
	{ .id = 3, .generation = 1, .state = "draining",
	    .age = 90061 * NSEC_PER_SEC },
};
static struct stats_view view = {
	.workers = workers, .nworkers = 3, .now = NOW,
	.uptime = 100000 * NSEC_PER_SEC,
};

static void
work(unsigned requests, nsec_t application)
{
	unsigned i;

	STAT_ADD(accepted, requests / 10);
	STAT_ADD(requests, requests);
	STAT_ADD(responses_2xx, requests - 1);
	STAT_ADD(responses_5xx, 1);
	STAT_ADD(errors_application, 1);
	STAT_ADD(received, 100 * (uint64_t)requests);
	STAT_ADD(sent, 12345 * (uint64_t)requests);
	STAT_ADD(cycles_hits, requests - 1);
	STAT_ADD(cycles_misses, 1);
	stats_add_peak(STAT_cycles_in_use, STAT_cycles_peak);
	STAT_ADD(date_hits, 99);
	STAT_ADD(date_misses, 1);
	for (i = 0; i < requests; i++) {
		STAT_OBSERVE(application, application * (i + 1) / requests);
		STAT_OBSERVE(total, application + 25000);
	}
	STAT_OBSERVE(turn, 2 * application);
}

/* One dead worker, two living; the last one's loop hangs. */
static void
fill(void)
{
	struct stats_slot *own = stats;
	int i;

	for (i = 0; i < 3; i++) {
		int fd, slot = stats_slot_take(seg, &fd);

		close(fd);
		stats = (struct stats_slot *)(uintptr_t)stats_slot(seg, slot);
		if (i > 0)
			stats_turn_begins(NOW - (i == 1 ? 2 : 12) *
			    NSEC_PER_SEC);
		work(i == 0 ? 1000 : 40, i == 0 ? 1000000 : 300000000);
		if (i > 0)
			workers[i].slot = slot;
		STAT_SET(conns_idle, 3);
		STAT_SET(conns_active, i);
		STAT_SET(in_flight, i);
		if (i == 0)
			stats_slot_release(seg, slot);
		if (i == 1)
			stats_turn_over();
	}
	workers[0].slot = workers[1].slot;
	stats = own;
	STAT_ADD(worker_starts, 3);
	STAT_ADD(exits_crash, 1);
	STAT_SET(workers_wanted, 2);
	STAT_SET(workers_serving, 1);
	STAT_SET(generation, 2);
	STAT_ADD(reloads_ok, 1);
}

static void
set_up(void)
{
	if ((seg = stats_new()) == NULL)
		abort();
	view.segment = seg;
}

static void
tear_down(void)
{
	stats_free(&seg);
}

static const struct {
	const char	*name;
	void		(*render)(const struct stats_view *, struct buf *);
} formats[] = {
	{ "text", stats_text },
	{ "json", stats_json },
	{ "openmetrics", stats_openmetrics },
	{ "prometheus", stats_prometheus },
};

int
render_print(const char *format)
{
	struct buf b = BUF_INIT;
	size_t i;

	set_up();
	fill();
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(format, formats[i].name) == 0)
			formats[i].render(&view, &b);
	tear_down();
	i = b.len;
	if (write(STDOUT_FILENO, buf_str(&b), b.len) != (ssize_t)i)
		i = 0;
	buf_fini(&b);
	return i > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A daemon that has just started: nothing is divided by zero. */
START_TEST(renders_nothing)
{
	struct stats_view young = { .segment = seg, .now = mono_now() };
	struct buf b = BUF_INIT;

	formats[_i].render(&young, &b);
	ck_assert(!b.failed);
	ck_assert_uint_gt(b.len, 100);
	ck_assert_ptr_null(strstr(buf_str(&b), "nan"));
	ck_assert_ptr_null(strstr(buf_str(&b), "inf "));
	buf_fini(&b);
}
END_TEST

START_TEST(knows_processes)
{
	volatile unsigned i = 0;
	uint64_t memory;
	nsec_t cpu, former;

	ck_assert_int_eq(stats_process(getpid(), &memory, &former), 0);
	ck_assert_uint_gt(memory, 100 * 1024);
	ck_assert_uint_lt(memory, UINT64_C(1) << 40);
	do {
		for (i = 0; i < 1000000; i++)
			;
		ck_assert_int_eq(stats_process(getpid(), &memory, &cpu), 0);
	} while (cpu == former);
	ck_assert_int_gt(cpu, former);
	ck_assert_int_lt(cpu, 60 * NSEC_PER_SEC);
	ck_assert_int_eq(stats_process(0, &memory, &cpu), -1);
	ck_assert_int_eq(stats_process(0x7fffffff, &memory, &cpu), -1);
	ck_assert_uint_eq(memory, 0);
	ck_assert_int_eq(cpu, 0);
}
END_TEST

Suite *
render_suite(void)
{
	Suite *s = suite_create("render");
	TCase *t = tcase_create("render");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, renders_nothing, 0,
	    (int)(sizeof(formats) / sizeof(formats[0])));
	tcase_add_test(t, knows_processes);
	suite_add_tcase(s, t);
	return s;
}
