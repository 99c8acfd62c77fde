/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats/hist.h"

#include <stdlib.h>

#include "test_stats.h"

static const struct {
	nsec_t		 duration, below, edge;	/* below < duration <= edge */
} placed[] = {
	{ 1, -1, 1000 }, { 0, -1, 1000 }, { -5, -1, 1000 },
	{ 1000, -1, 1000 }, { 1001, 1000, 1100 }, { 1100, 1000, 1100 },
	{ 1999, 1900, 2000 }, { 2001, 2000, 2250 }, { 2500, 2250, 2500 },
	{ 2501, 2500, 2750 }, { 5000, 4750, 5000 }, { 5001, 5000, 5500 },
	{ 10000, 9500, 10000 }, { 10001, 10000, 11000 },
	{ 1000000, 950000, 1000000 }, { 1000001, 1000000, 1100000 },
	{ 7 * NSEC_PER_SEC / 10, 650000000, 700000000 },
	{ 99999999999, 95 * NSEC_PER_SEC, 100 * NSEC_PER_SEC },
	{ 100 * NSEC_PER_SEC, 95 * NSEC_PER_SEC, 100 * NSEC_PER_SEC },
	{ 100 * NSEC_PER_SEC + 1, 100 * NSEC_PER_SEC, NSEC_NEVER },
	{ INT64_MAX, 100 * NSEC_PER_SEC, NSEC_NEVER },
};

START_TEST(places)
{
	unsigned b = hist_bucket(placed[_i].duration);

	ck_assert_int_eq(hist_edge(b), placed[_i].edge);
	if (placed[_i].below != -1)
		ck_assert_int_eq(hist_edge(b - 1), placed[_i].below);
	else
		ck_assert_uint_eq(b, 0);
}
END_TEST

START_TEST(edges_are_true)
{
	nsec_t edge, former = 0;
	unsigned i;

	for (i = 0; i < HIST_NBUCKETS - 1; i++) {
		edge = hist_edge(i);
		ck_assert_uint_eq(hist_bucket(edge), i);
		ck_assert_uint_eq(hist_bucket(edge + 1), i + 1);
		ck_assert_int_gt(edge, former);
		/* none wider than an eighth of what it begins with */
		if (i > 0)
			ck_assert_int_le(8 * (edge - former), former);
		former = edge;
	}
	ck_assert_int_eq(hist_edge(i), NSEC_NEVER);
}
END_TEST

static int
compare(const void *a, const void *b)
{
	const nsec_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Against exact values, over all magnitudes. */
START_TEST(quantiles)
{
	static const double at[] = { 0.01, 0.5, 0.9, 0.99, 0.999, 1 };
	static struct hist h;
	static nsec_t v[20000];
	uint64_t seed = 1, sum = 0;
	size_t n = sizeof(v) / sizeof(v[0]), i;
	nsec_t exact, told;

	for (i = 0; i < n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = 2000 + (nsec_t)(seed >> 33) %
		    (nsec_t[]){ 1000, 70000, 5000000, 900000000 }[seed >> 62];
		hist_observe(&h, v[i]);
		sum += (uint64_t)v[i];
	}
	qsort(v, n, sizeof(v[0]), compare);
	ck_assert_uint_eq(hist_count(&h), n);
	ck_assert_uint_eq(h.sum, sum);
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		exact = v[(size_t)(at[i] * (double)n) - 1];
		told = hist_quantile(&h, at[i]);
		ck_assert_int_le(llabs(told - exact), exact / 8);
	}
	ck_assert_uint_eq(hist_up_to(&h, 1000), 0);
	ck_assert_uint_eq(hist_up_to(&h, 100 * NSEC_PER_SEC), n);
	for (i = 0; v[i] <= 25000; i++)
		;
	ck_assert_uint_eq(hist_up_to(&h, 25000), i);
}
END_TEST

START_TEST(ends)
{
	static struct hist h, sum;

	ck_assert_int_eq(hist_quantile(&h, 0.5), 0);
	hist_observe(&h, -7);
	ck_assert_uint_eq(h.sum, 0);
	ck_assert_int_le(hist_quantile(&h, 0.5), 1000);
	hist_observe(&h, 1000 * NSEC_PER_SEC);
	ck_assert_int_eq(hist_quantile(&h, 0.99), 100 * NSEC_PER_SEC);
	ck_assert_uint_eq(h.sum, 1000 * (uint64_t)NSEC_PER_SEC);
	hist_add(&sum, &h);
	hist_add(&sum, &h);
	ck_assert_uint_eq(hist_count(&sum), 4);
	ck_assert_uint_eq(sum.sum, 2000 * (uint64_t)NSEC_PER_SEC);
}
END_TEST

Suite *
hist_suite(void)
{
	Suite *s = suite_create("hist");
	TCase *t = tcase_create("hist");

	tcase_add_loop_test(t, places, 0,
	    (int)(sizeof(placed) / sizeof(placed[0])));
	tcase_add_test(t, edges_are_true);
	tcase_add_test(t, quantiles);
	tcase_add_test(t, ends);
	suite_add_tcase(s, t);
	return s;
}
