/* SPDX-License-Identifier: BSD-3-Clause
 *
 * check_contiguous(), on buffers as libmicrohttpd 0.9.75 leaves them.
 */
#include "http/check.h"

#include <stdlib.h>
#include <string.h>

#include "mhd_head.h"
#include "test_http.h"

#define RAW(lit)	{ (lit), sizeof(lit) - 1 }
#define LINE		"GET /p?q=1 HTTP/1.1\r\n"

static const struct str whole[] = {
	RAW("GET / HTTP/1.0\r\n\r\n"),
	RAW(LINE "\r\n"),
	RAW(LINE "Host: x\r\n\r\n"),
	RAW(LINE "Host:x\r\nA:\r\nB: \r\nC:\t \r\n\r\n"),
	RAW(LINE "Host: \t x \t\r\nA: b : c\r\nLong-Name: v w\r\n\r\n"),
	RAW(LINE "Host: x\r\n\r\nbody\n\0body"),
	RAW("\r\n\r\n" LINE "Host: x\r\n\r\n"),
	/* right places: the characters are somebody else's to refuse */
	RAW(LINE "Host : x\r\n\r\n"),
	RAW(LINE "A: \x01\r\r\n\r\n"),
	RAW("G(T /\x80 HTTP/1.1\r\n\r\n"),
};

static const struct str broken[] = {
	/* bare LF: after each kind of line */
	RAW("GET / HTTP/1.1\nHost: x\r\n\r\n"),
	RAW(LINE "Host: x\n\r\n"),
	RAW(LINE "Host: x\nA: b\r\n\r\n"),
	RAW(LINE "Host: x\r\n\n"),
	RAW(LINE "Host: x\nA: b\n\n"),
	RAW(LINE "\n"),
	/* folded lines */
	RAW(LINE "Host: x\r\n y\r\n\r\n"),
	RAW(LINE "Host: x\r\n\ty\r\nA: b\r\n\r\n"),
	RAW(LINE "Host: x\r\n \r\n\r\n"),
	RAW(LINE "Host: x\r\n Content-Length: 5\r\n\r\n"),
	RAW(LINE "Host: x\r\n a\r\n b\r\n\r\n"),
	/* NUL */
	RAW("G\0T / HTTP/1.1\r\nHost: x\r\n\r\n"),
	RAW("GET /\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
	RAW("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
	RAW(LINE "Host: x\0\r\n\r\n"),
	RAW(LINE "Host: x\0y\r\n\r\n"),
	RAW(LINE "Host: x\0y\r\nA: b\r\n\r\n"),
	RAW(LINE "Host: x\0\0Content-Length: 5\r\n\r\n"),
	RAW(LINE "Host: \0x\r\n\r\n"),
	RAW(LINE "Host: x\r\n\0\r\n"),
	RAW(LINE "Host: x\r\n\0A: b\r\n\r\n"),
	/* blanks in the request line */
	RAW("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
};

static bool
is_contiguous(struct str raw)
{
	struct mhd_head m;
	bool result;

	ck_assert(mhd_head_parse(&m, raw.p, raw.n));
	result = check_contiguous(&m.head);
	mhd_head_fini(&m);
	return result;
}

START_TEST(whole_heads)
{
	ck_assert(is_contiguous(whole[_i]));
}
END_TEST

START_TEST(broken_heads)
{
	ck_assert(!is_contiguous(broken[_i]));
}
END_TEST

START_TEST(gives_the_parts_back)
{
	struct mhd_head m;

	ck_assert(mhd_head_parse(&m, whole[4].p, whole[4].n));
	ck_assert(str_eq(m.head.method, STR("GET")));
	ck_assert(str_eq(m.head.target, STR("/p?q=1")));
	ck_assert(str_eq(m.head.version, STR("HTTP/1.1")));
	ck_assert_uint_eq(m.head.nfields, 3);
	ck_assert_uint_eq(m.head.header_size, whole[4].n);
	ck_assert(str_eq(m.fields[0].value, STR("x \t")));
	mhd_head_trim(&m);
	ck_assert(str_eq(m.fields[0].value, STR("x")));
	ck_assert(str_eq(m.fields[1].value, STR("b : c")));
	mhd_head_fini(&m);
}
END_TEST

static const char good[] = "POST /path?query HTTP/1.1\r\n"
    "Host: example.org\r\nContent-Length: 5\r\nX:\r\n\r\n";

/* As the front does. */
static bool
passes(const char *text, size_t n)
{
	static const struct check_limits limits = { 8192, 0 };
	struct check_facts facts;
	struct mhd_head m;
	bool result = false;

	if (mhd_head_parse(&m, text, n) && check_contiguous(&m.head)) {
		mhd_head_trim(&m);
		result = check_request(&m.head, &limits, &facts) ==
		    REFUSAL_NONE;
	}
	mhd_head_fini(&m);
	return result;
}

/* No control character can be slipped in anywhere between the first and the
 * last octet, and no CR or LF left out. */
START_TEST(no_octet_more)
{
	static const char evil[] = { '\0', '\r', '\n', '\v', '\x7f' };
	char text[sizeof(good)];
	size_t n = sizeof(good) - 1, i;

	ck_assert(passes(good, n));
	for (i = 1; i < n - 1; i++) {
		memcpy(text, good, i);
		text[i] = evil[_i];
		memcpy(text + i + 1, good + i, n - i);
		ck_assert_msg(!passes(text, n + 1), "0x%02x at %zu", evil[_i],
		    i);
	}
}
END_TEST

START_TEST(no_line_end_less)
{
	char text[sizeof(good)];
	size_t n = sizeof(good) - 1, i;

	for (i = 0; i < n; i++) {
		if (good[i] != '\r' && good[i] != '\n')
			continue;
		memcpy(text, good, i);
		memcpy(text + i, good + i + 1, n - i - 1);
		ck_assert_msg(!passes(text, n - 1), "%zu", i);
	}
}
END_TEST

Suite *
contiguous_suite(void)
{
	Suite *s = suite_create("contiguous");
	TCase *t = tcase_create("contiguous");

	tcase_add_loop_test(t, whole_heads, 0, (int)countof(whole));
	tcase_add_loop_test(t, broken_heads, 0, (int)countof(broken));
	tcase_add_test(t, gives_the_parts_back);
	tcase_add_loop_test(t, no_octet_more, 0, 5);
	tcase_add_test(t, no_line_end_less);
	suite_add_tcase(s, t);
	return s;
}
