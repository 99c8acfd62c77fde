/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/str.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test_base.h"

START_TEST(compares)
{
	ck_assert(str_eq(STR("abc"), str_of("abc")));
	ck_assert(!str_eq(STR("abc"), STR("abd")));
	ck_assert(!str_eq(STR("abc"), STR("ab")));
	ck_assert(str_eq((struct str){ NULL, 0 }, STR("")));
	ck_assert(str_ieq(STR("Content-Length"), STR("content-LENGTH")));
	ck_assert(!str_ieq(STR("a"), STR("b")));
}
END_TEST

START_TEST(trims)
{
	ck_assert(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
	ck_assert(str_eq(str_trim(STR(" \t ")), STR("")));
	ck_assert(str_eq(str_trim(STR("")), STR("")));
	ck_assert(str_eq(str_trim(STR("\na\r")), STR("\na\r")));
}
END_TEST

START_TEST(lists)
{
	struct str rest = STR(" a ,,\tb c , ,d"), e;

	ck_assert(str_next_element(&rest, &e) && str_eq(e, STR("a")));
	ck_assert(str_next_element(&rest, &e) && str_eq(e, STR("b c")));
	ck_assert(str_next_element(&rest, &e) && str_eq(e, STR("d")));
	ck_assert(!str_next_element(&rest, &e));
	ck_assert(str_has_token(STR("keep-alive, Upgrade"), STR("upgrade")));
	ck_assert(str_has_token(STR("close"), STR("close")));
	ck_assert(!str_has_token(STR("not-close, closed"), STR("close")));
	ck_assert(!str_has_token(STR(""), STR("close")));
}
END_TEST

static const struct {
	const char	*text;
	int64_t		 value;		/* -1: refused */
} sizes[] = {
	{ "0", 0 }, { "512", 512 }, { "16K", 16384 }, { "16k", 16384 },
	{ "1M", 1048576 }, { "2G", 2147483648 }, { "1.5K", 1536 },
	{ "9223372036854775807", INT64_MAX },
	{ "", -1 }, { "K", -1 }, { "-1", -1 }, { "+1", -1 }, { " 1", -1 },
	{ "1 ", -1 }, { "1KB", -1 }, { "1T", -1 }, { "1.", -1 },
	{ ".5", -1 }, { "0x10", -1 }, { "1s", -1 }, { "1.2.3", -1 },
	{ "99999999999999999999", -1 }, { "99999999999G", -1 },
}, durations[] = {
	{ "0", 0 }, { "10", 10 * NSEC_PER_SEC }, { "10s", 10 * NSEC_PER_SEC },
	{ "250ms", 250 * NSEC_PER_MSEC }, { "5m", 300 * NSEC_PER_SEC },
	{ "1h", 3600 * NSEC_PER_SEC }, { "1.5s", 1500 * NSEC_PER_MSEC },
	{ "0.25", 250 * NSEC_PER_MSEC }, { "7us", 7000 }, { "7ns", 7 },
	{ "9223372036s", 9223372036 * NSEC_PER_SEC },
	{ "", -1 }, { "s", -1 }, { "-1s", -1 }, { "1 s", -1 }, { "1d", -1 },
	{ "1min", -1 }, { "1s1", -1 }, { "inf", -1 }, { "nan", -1 },
	{ "9223372037s", -1 }, { "1e3", -1 }, { "1.1234567890s", -1 },
};

START_TEST(sizes_are_strict)
{
	uint64_t v = 4711;

	if (sizes[_i].value == -1) {
		ck_assert_int_eq(str_to_size(sizes[_i].text, &v), -1);
	} else {
		ck_assert_int_eq(str_to_size(sizes[_i].text, &v), 0);
		ck_assert_uint_eq(v, (uint64_t)sizes[_i].value);
	}
}
END_TEST

START_TEST(durations_are_strict)
{
	nsec_t v = 4711;

	if (durations[_i].value == -1) {
		ck_assert_int_eq(str_to_duration(durations[_i].text, &v), -1);
	} else {
		ck_assert_int_eq(str_to_duration(durations[_i].text, &v), 0);
		ck_assert_int_eq(v, durations[_i].value);
	}
}
END_TEST

START_TEST(uints_are_strict)
{
	uint64_t v;

	ck_assert_int_eq(str_to_uint(STR("18446744073709551615"), &v), 0);
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert_int_eq(str_to_uint(STR("007"), &v), 0);
	ck_assert_uint_eq(v, 7);
	ck_assert_int_eq(str_to_uint(STR("18446744073709551616"), &v), -1);
	ck_assert_int_eq(str_to_uint(STR(""), &v), -1);
	ck_assert_int_eq(str_to_uint(STR("-1"), &v), -1);
	ck_assert_int_eq(str_to_uint(STR("1 "), &v), -1);
	ck_assert_int_eq(str_to_uint((struct str){ "12x", 2 }, &v), 0);
	ck_assert_uint_eq(v, 12);
}
END_TEST

/* Any value, of any magnitude, is printed so that it reads back the same. */
START_TEST(printed_values_read_back)
{
	uint64_t n, back;
	nsec_t dback;
	char text[32];
	int i;

	srand(3);
	for (i = 0; i < 20000; i++) {
		n = (uint64_t)rand() << 32 | (uint64_t)rand();
		n = (n >> (rand() % 63)) & INT64_MAX;
		if (i % 2 == 0)
			n -= n % (UINT64_C(1) << (rand() % 32));
		str_from_size(n, text);
		ck_assert_int_eq(str_to_size(text, &back), 0);
		ck_assert_uint_eq(back, n);
		str_from_duration((nsec_t)n, text);
		ck_assert_int_eq(str_to_duration(text, &dback), 0);
		ck_assert_int_eq(dback, (nsec_t)n);
	}
	str_from_size(16384, text);
	ck_assert_str_eq(text, "16K");
	str_from_size(0, text);
	ck_assert_str_eq(text, "0");
	str_from_duration(90 * NSEC_PER_SEC, text);
	ck_assert_str_eq(text, "90s");
	str_from_duration(0, text);
	ck_assert_str_eq(text, "0s");
}
END_TEST

static const struct {
	double		 seconds;
	const char	*text;
} ages[] = {
	{ 0, "0.0s" }, { 3.29, "3.2s" }, { 59.99, "59.9s" }, { 60, "1m00s" },
	{ 845.9, "14m05s" }, { 3599.9, "59m59s" }, { 3600, "1h00m" },
	{ 86399, "23h59m" }, { 86400, "1d00h" }, { 273600, "3d04h" },
	{ 1e9, "11574d01h" },
};

START_TEST(ages_for_people)
{
	char text[32];

	str_from_age((nsec_t)(ages[_i].seconds * 1e9), text);
	ck_assert_str_eq(text, ages[_i].text);
}
END_TEST

START_TEST(distances)
{
	ck_assert_uint_eq(str_distance("", ""), 0);
	ck_assert_uint_eq(str_distance("abc", "abc"), 0);
	ck_assert_uint_eq(str_distance("", "abc"), 3);
	ck_assert_uint_eq(str_distance("abc", ""), 3);
	ck_assert_uint_eq(str_distance("haeder", "header"), 2);
	ck_assert_uint_eq(str_distance("kitten", "sitting"), 3);
	ck_assert_uint_eq(str_distance("sitting", "kitten"), 3);
}
END_TEST

Suite *
str_suite(void)
{
	Suite *s = suite_create("str");
	TCase *t = tcase_create("str");

	tcase_add_test(t, compares);
	tcase_add_test(t, trims);
	tcase_add_test(t, lists);
	tcase_add_loop_test(t, sizes_are_strict, 0, (int)countof(sizes));
	tcase_add_loop_test(t, durations_are_strict, 0,
	    (int)countof(durations));
	tcase_add_test(t, uints_are_strict);
	tcase_add_test(t, printed_values_read_back);
	tcase_add_loop_test(t, ages_for_people, 0, (int)countof(ages));
	tcase_add_test(t, distances);
	suite_add_tcase(s, t);
	return s;
}
