/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "test_http.h"

#define RAW(lit)	{ (lit), sizeof(lit) - 1 }

/* Bodies, complete; what follows them is not looked at. */
static const struct str complete[] = {
	RAW("0\r\n\r\n"),
	RAW("000\r\n\r\n"),
	RAW("5\r\nhello\r\n0\r\n\r\n"),
	RAW("0000000000000005\r\nhello\r\n0\r\n\r\n"),
	RAW("1\r\na\r\na\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
	RAW("5\r\n\r\n0\r\n\r\n0\r\n\r\n"),
	RAW("4\r\n\0\n\r\xff\r\n0\r\n\r\n"),
	RAW("1;\r\na\r\n0;\r\n\r\n"),
	RAW("1;name=value;other=\"quoted; \t text\"\r\na\r\n0;x\r\n\r\n"),
	RAW("0\r\nTrailer: value\r\n\r\n"),
	RAW("0\r\nTrailer: value\r\nOther:\r\n\r\n"),
	RAW("10\r\n0123456789abcdef\r\n0\r\n\r\n"),
};

/* Bodies, broken at their last octet and not before. */
static const struct str broken[] = {
	RAW("\r"), RAW("\n"), RAW(" "), RAW("g"), RAW("-"), RAW("+"),
	RAW(";"), RAW("\0"), RAW("0x"), RAW("5 "), RAW("5\t"), RAW("5\0"),
	RAW("5\n"), RAW("5\r\r"), RAW("5\r "), RAW("5\xff"),
	RAW("5;a\n"), RAW("5;\0"), RAW("5;a\x7f"), RAW("5;a\r\r"),
	RAW("5\r\nhello\n"), RAW("5\r\nhello0"), RAW("5\r\nhello\r0"),
	RAW("5\r\nhello\r\r"), RAW("5\r\nhello\r\n\r"),
	RAW("5\r\nhello\r\n\n"), RAW("5\r\nhello,"),
	RAW("0\n"), RAW("0\r\n\n"), RAW("0\r\n\r\r"), RAW("0\r\n\rx"),
	RAW("0\r\nA: b\n"), RAW("0\r\nA: b\r\r"), RAW("0\r\nA: \0"),
	RAW("0\r\n\x01"), RAW("0\r\nA: b\r\n\n"),
	/* the sum must not wrap around */
	RAW("ffffffffffffffff"), RAW("10000000000000000"),
};

static struct chunk_scan
scan(struct str s, size_t *used)
{
	struct chunk_scan c = { 0 };

	*used = chunk_scan(&c, s.p, s.n);
	return c;
}

START_TEST(complete_bodies)
{
	static const char next[] = "GET / HTTP/1.1\r\n\r\n0\r\n\r\n";
	struct str body = complete[_i];
	struct buf b = BUF_INIT;
	size_t used, i;

	ck_assert_int_eq(scan(body, &used).state, CHUNK_DONE);
	ck_assert_uint_eq(used, body.n);
	buf_put(&b, body.p, body.n);
	buf_puts(&b, next);
	ck_assert_int_eq(scan((struct str){ b.data, b.len }, &used).state,
	    CHUNK_DONE);
	ck_assert_uint_eq(used, body.n);
	buf_fini(&b);
	for (i = 0; i < body.n; i++) {
		ck_assert_int_lt(scan((struct str){ body.p, i }, &used).state,
		    CHUNK_DONE);
		ck_assert_uint_eq(used, i);
	}
}
END_TEST

/* Nothing else ends it: the same with any line end cut is not complete. */
START_TEST(line_ends_are_needed)
{
	struct str body = complete[_i];
	char text[128];
	size_t i, used;

	ck_assert_uint_le(body.n, sizeof(text));
	for (i = 0; i < body.n - 1; i++) {
		if (body.p[i] != '\r' || body.p[i + 1] != '\n')
			continue;
		memcpy(text, body.p, i);
		memcpy(text + i, body.p + i + 1, body.n - i - 1);
		ck_assert_msg(scan((struct str){ text, body.n - 1 },
		    &used).state != CHUNK_DONE || used < body.n - 1,
		    "without the CR at %zu", i);
	}
}
END_TEST

START_TEST(broken_bodies)
{
	struct str body = broken[_i];
	struct chunk_scan c;
	size_t used;

	c = scan((struct str){ body.p, body.n - 1 }, &used);
	ck_assert_uint_eq(used, body.n - 1);
	ck_assert_int_lt(c.state, CHUNK_DONE);
	c = scan(body, &used);
	ck_assert_int_eq(c.state, CHUNK_BAD);
	ck_assert_uint_eq(used, body.n);
	/* for good */
	ck_assert_uint_eq(chunk_scan(&c, "0\r\n\r\n", 5), 0);
	ck_assert_int_eq(c.state, CHUNK_BAD);
}
END_TEST

static void
check_split(struct str body, size_t a, size_t b)
{
	struct chunk_scan c = { 0 }, all = { 0 };
	size_t n, used = chunk_scan(&all, body.p, body.n);

	n = chunk_scan(&c, body.p, a);
	n += chunk_scan(&c, body.p + a, b - a);
	n += chunk_scan(&c, body.p + b, body.n - b);
	ck_assert_uint_eq(n, used);
	ck_assert_int_eq(c.state, all.state);
	ck_assert_uint_eq(c.left, all.left);
	ck_assert_uint_eq(c.line, all.line);
}

START_TEST(split_anywhere)
{
	size_t a, b;

	for (a = 0; a <= complete[_i].n; a++)
		for (b = a; b <= complete[_i].n; b++)
			check_split(complete[_i], a, b);
}
END_TEST

START_TEST(broken_and_split)
{
	size_t a, b;

	for (a = 0; a <= broken[_i].n; a++)
		for (b = a; b <= broken[_i].n; b++)
			check_split(broken[_i], a, b);
}
END_TEST

/* No more is read of it than a size allows. */
START_TEST(large_sizes)
{
	struct chunk_scan c = { 0 };
	char data[4096];
	uint64_t left = UINT64_C(0x3ffffffffffffff);
	int i;

	memset(data, 'x', sizeof(data));
	ck_assert_uint_eq(chunk_scan(&c, "3ffffffffffffff\r\n", 17), 17);
	ck_assert_int_eq(c.state, CHUNK_DATA);
	for (i = 0; i < 100; i++) {
		ck_assert_uint_eq(c.left, left);
		ck_assert_uint_eq(chunk_scan(&c, data, sizeof(data)),
		    sizeof(data));
		left -= sizeof(data);
	}
	ck_assert_int_eq(c.state, CHUNK_DATA);
	ck_assert_uint_eq(chunk_scan(&c, data, 0), 0);
	ck_assert_uint_eq(c.left, left);
}
END_TEST

static enum chunk_state
repeated(const char *start, char c, size_t n, const char *end)
{
	struct buf b = BUF_INIT;
	enum chunk_state state;
	size_t used;

	buf_puts(&b, start);
	while (n-- > 0)
		buf_putc(&b, c);
	buf_puts(&b, end);
	state = scan((struct str){ b.data, b.len }, &used).state;
	buf_fini(&b);
	return state;
}

START_TEST(long_sizes)
{
	ck_assert_int_eq(repeated("", '0', 1000, "\r\n\r\n"), CHUNK_DONE);
	ck_assert_int_eq(repeated("", '0', 1100, ""), CHUNK_BAD);
	ck_assert_int_eq(repeated("1\r\nx\r\n", '0', 1100, ""), CHUNK_BAD);
	ck_assert_int_eq(repeated("000000000000000000000000000000;", 'x',
	    1000, ""), CHUNK_BAD);
}
END_TEST

START_TEST(long_extensions)
{
	ck_assert_int_eq(repeated("0;", 'x', 1000, "\r\n\r\n"), CHUNK_DONE);
	ck_assert_int_eq(repeated("0;", 'x', 1100, ""), CHUNK_BAD);
	ck_assert_int_eq(repeated("1;a\r\nx\r\n0;", 'x', 1000, "\r\n\r\n"),
	    CHUNK_DONE);
	ck_assert_int_eq(repeated("1;a\r\nx\r\n0;", 'x', 1100, ""),
	    CHUNK_BAD);
}
END_TEST

/* The limit is one for each line: many of them are no long one. */
START_TEST(many_extensions)
{
	struct chunk_scan c = { 0 };
	int i;

	for (i = 0; i < 5000; i++) {
		ck_assert_uint_eq(chunk_scan(&c, "1;ext\r\nx\r\n", 10), 10);
		ck_assert_int_eq(c.state, CHUNK_SIZE);
	}
	ck_assert_uint_eq(chunk_scan(&c, "0\r\n\r\n", 5), 5);
	ck_assert_int_eq(c.state, CHUNK_DONE);
}
END_TEST

START_TEST(long_trailers)
{
	ck_assert_int_eq(repeated("0\r\nA:", 'x', 8000, "\r\n\r\n"),
	    CHUNK_DONE);
	ck_assert_int_eq(repeated("0\r\nA:", 'x', 8200, ""), CHUNK_BAD);
	/* together */
	ck_assert_int_eq(repeated("0\r\nA: b\r\nB:", 'x', 8188, ""),
	    CHUNK_BAD);
}
END_TEST

START_TEST(many_trailers)
{
	struct chunk_scan c = { 0 };
	int i;

	ck_assert_uint_eq(chunk_scan(&c, "0\r\n", 3), 3);
	for (i = 0; i < 5000 && c.state != CHUNK_BAD; i++)
		(void)chunk_scan(&c, "A:b\r\n", 5);
	ck_assert_int_eq(c.state, CHUNK_BAD);
	ck_assert_int_gt(i, 1000);
}
END_TEST

Suite *
chunk_suite(void)
{
	Suite *s = suite_create("chunk");
	TCase *t = tcase_create("chunk");

	tcase_add_loop_test(t, complete_bodies, 0, (int)countof(complete));
	tcase_add_loop_test(t, line_ends_are_needed, 0,
	    (int)countof(complete));
	tcase_add_loop_test(t, broken_bodies, 0, (int)countof(broken));
	tcase_add_loop_test(t, split_anywhere, 0, (int)countof(complete));
	tcase_add_loop_test(t, broken_and_split, 0, (int)countof(broken));
	tcase_add_test(t, large_sizes);
	tcase_add_test(t, long_sizes);
	tcase_add_test(t, long_extensions);
	tcase_add_test(t, many_extensions);
	tcase_add_test(t, long_trailers);
	tcase_add_test(t, many_trailers);
	suite_add_tcase(s, t);
	return s;
}
