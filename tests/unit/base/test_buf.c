/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/buf.h"

#include <stdint.h>
#include <string.h>

#include "test_base.h"

START_TEST(empty_is_a_string)
{
	struct buf b = BUF_INIT;

	ck_assert_str_eq(buf_str(&b), "");
	buf_fini(&b);
	buf_fini(&b);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(appends)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "one");
	buf_putc(&b, ' ');
	buf_put(&b, "two three", 3);
	buf_printf(&b, " %d%s", 3, "!");
	ck_assert_str_eq(buf_str(&b), "one two 3!");
	ck_assert_uint_eq(b.len, 10);
	buf_reset(&b);
	ck_assert_str_eq(buf_str(&b), "");
	buf_puts(&b, "x");
	ck_assert_str_eq(buf_str(&b), "x");
	ck_assert(!b.failed);
	buf_fini(&b);
}
END_TEST

START_TEST(grows_and_stays_terminated)
{
	struct buf b = BUF_INIT;
	char line[300];
	size_t i;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (i = 0; i < 1000; i++) {
		buf_put(&b, "\0\n", 2);
		buf_printf(&b, "%s", line);
		ck_assert_uint_eq(b.len, (i + 1) * 301);
		ck_assert_int_eq(b.data[b.len], '\0');
		ck_assert_uint_gt(b.cap, b.len);
	}
	ck_assert_int_eq(b.data[301 * 999], '\0');
	ck_assert_int_eq(b.data[301 * 999 + 2], 'x');
	buf_fini(&b);
}
END_TEST

START_TEST(drops_from_the_front)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "abcdef");
	buf_drop(&b, 0);
	ck_assert_str_eq(buf_str(&b), "abcdef");
	buf_drop(&b, 4);
	ck_assert_str_eq(buf_str(&b), "ef");
	buf_drop(&b, 2);
	ck_assert_uint_eq(b.len, 0);
	buf_puts(&b, "g");
	ck_assert_str_eq(buf_str(&b), "g");
	buf_fini(&b);
}
END_TEST

START_TEST(reserve_is_writable)
{
	struct buf b = BUF_INIT;
	char *to;

	buf_puts(&b, "ab");
	to = buf_reserve(&b, 5000);
	ck_assert_ptr_nonnull(to);
	memset(to, 'c', 5000);
	b.len += 5000;
	buf_putc(&b, 'd');
	ck_assert_int_eq(b.data[1], 'b');
	ck_assert_int_eq(b.data[5001], 'c');
	ck_assert_str_eq(b.data + 5002, "d");
	buf_fini(&b);
}
END_TEST

START_TEST(failure_is_remembered)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "kept");
	ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX - 2));
	ck_assert(b.failed);
	ck_assert_str_eq(buf_str(&b), "kept");
	buf_fini(&b);
}
END_TEST

Suite *
buf_suite(void)
{
	Suite *s = suite_create("buf");
	TCase *t = tcase_create("buf");

	tcase_add_test(t, empty_is_a_string);
	tcase_add_test(t, appends);
	tcase_add_test(t, grows_and_stays_terminated);
	tcase_add_test(t, drops_from_the_front);
	tcase_add_test(t, reserve_is_writable);
	tcase_add_test(t, failure_is_remembered);
	suite_add_tcase(s, t);
	return s;
}
