/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"

#include <math.h>
#include <stdint.h>

#include "test_base.h"

START_TEST(nests)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_open(&j, NULL, '{');
	json_str(&j, "a", "x");
	json_open(&j, "list", '[');
	json_uint(&j, NULL, UINT64_MAX);
	json_int(&j, NULL, INT64_MIN);
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_open(&j, NULL, '[');
	json_close(&j, ']');
	json_null(&j, NULL);
	json_close(&j, ']');
	json_str(&j, "none", NULL);
	json_close(&j, '}');
	ck_assert_str_eq(buf_str(&b),
	    "{\"a\":\"x\",\"list\":[18446744073709551615,"
	    "-9223372036854775808,{},[],null],"
	    "\"none\":null}");
	buf_fini(&b);
}
END_TEST

static const struct {
	double		 value;
	const char	*text;
} numbers[] = {
	{ 0, "0" }, { 1.5, "1.5" }, { -0.25, "-0.25" }, { 0.1, "0.1" },
	{ 123456789, "123456789" }, { 1e300, "1e+300" },
	{ 1.0 / 3, "0.3333333333333333" }, { 1700000000.25, "1700000000.25" },
	{ NAN, "null" }, { INFINITY, "null" }, { -INFINITY, "null" },
};

START_TEST(prints_numbers)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_num(&j, NULL, numbers[_i].value);
	ck_assert_str_eq(buf_str(&b), numbers[_i].text);
	buf_fini(&b);
}
END_TEST

static const struct {
	const char	*text, *json;
} strings[] = {
	{ "", "" },
	{ "plain /text", "plain /text" },
	{ "\",\"forged\":\"", "\\\",\\\"forged\\\":\\\"" },
	{ "back\\slash\\", "back\\\\slash\\\\" },
	{ "\b\f\n\r\t", "\\b\\f\\n\\r\\t" },
	{ "\x01\x1f\x7f", "\\u0001\\u001f\\u007f" },
	{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	{ "\x80", "\\ufffd" },				/* alone */
	{ "\xc3", "\\ufffd" },				/* cut short */
	{ "\xe2\x82", "\\ufffd\\ufffd" },
	{ "\xe2\x82\"", "\\ufffd\\ufffd\\\"" },		/* eats no quote */
	{ "\xc0\xaf", "\\ufffd\\ufffd" },		/* too long a form */
	{ "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd" },
	{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },	/* a surrogate */
	{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xff\xfe", "\\ufffd\\ufffd" },
};

START_TEST(escapes)
{
	struct buf b = BUF_INIT, want = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_open(&j, NULL, '{');
	json_str(&j, strings[_i].text, strings[_i].text);
	json_close(&j, '}');
	buf_printf(&want, "{\"%s\":\"%s\"}", strings[_i].json,
	    strings[_i].json);
	ck_assert_str_eq(buf_str(&b), buf_str(&want));
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

Suite *
json_suite(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_add_test(t, nests);
	tcase_add_loop_test(t, prints_numbers, 0,
	    (int)(sizeof(numbers) / sizeof(numbers[0])));
	tcase_add_loop_test(t, escapes, 0,
	    (int)(sizeof(strings) / sizeof(strings[0])));
	suite_add_tcase(s, t);
	return s;
}
