/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/date.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test_base.h"

/* The text of some second since `from`, or, by a coarser clock, since the one
 * before. */
static void
assert_recent(const char *text, bool http, time_t from)
{
	time_t now = time(NULL), t;
	char expected[64];
	struct tm tm;

	for (t = from - 1; t <= now + 1; t++) {
		if (http)
			strftime(expected, sizeof(expected),
			    "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
		else
			strftime(expected, sizeof(expected),
			    "%d/%b/%Y:%H:%M:%S %z", localtime_r(&t, &tm));
		if (strcmp(expected, text) == 0)
			return;
	}
	ck_abort_msg("%s is not the time now, %s", text, expected);
}

START_TEST(http_date)
{
	time_t from = time(NULL);

	ck_assert_uint_eq(strlen(date_http()), DATE_HTTP_LEN);
	assert_recent(date_http(), true, from);
}
END_TEST

START_TEST(clf_date_in_time_zone)
{
	static const char *const zones[] = { "UTC0", "EST5", "IST-5:30",
		"NST3:30" };
	time_t from = time(NULL);

	setenv("TZ", zones[_i], 1);
	tzset();
	ck_assert_uint_eq(strlen(date_clf()), DATE_CLF_LEN);
	assert_recent(date_clf(), false, from);
}
END_TEST

START_TEST(both_texts_are_of_one_second)
{
	char http[DATE_HTTP_LEN + 1], clf[DATE_CLF_LEN + 1];
	uint64_t hits = 0, misses = 0, former;

	date_count(&hits, &misses);
	setenv("TZ", "UTC0", 1);
	tzset();
	do {	/* again if the second changed in between */
		date_http();
		former = misses;
		memcpy(http, date_http(), sizeof(http));
		memcpy(clf, date_clf(), sizeof(clf));
	} while (misses != former);
	/* "Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:08:49:37 +0000" */
	ck_assert_int_eq(strncmp(http + 17, clf + 12, 8), 0);
	ck_assert_int_eq(strncmp(http + 5, clf, 2), 0);
}
END_TEST

START_TEST(hits_are_counted)
{
	uint64_t hits = 0, misses = 0;
	int i;

	date_count(&hits, &misses);
	for (i = 0; i < 1000; i++)
		date_http();
	ck_assert_uint_eq(hits + misses, 1000);
	ck_assert_uint_ge(misses, 1);
	ck_assert_uint_ge(hits, 900);
}
END_TEST

Suite *
date_suite(void)
{
	Suite *s = suite_create("date");
	TCase *t = tcase_create("date");

	tcase_add_test(t, http_date);
	tcase_add_loop_test(t, clf_date_in_time_zone, 0, 4);
	tcase_add_test(t, both_texts_are_of_one_second);
	tcase_add_test(t, hits_are_counted);
	suite_add_tcase(s, t);
	return s;
}
