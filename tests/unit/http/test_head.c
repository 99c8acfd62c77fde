/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/head.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "test_http.h"

static struct http_head head;

static void
setup(void)
{
	http_head_init(&head);
	http_head_reset(&head, 200);
}

static void
teardown(void)
{
	http_head_fini(&head);
}

static enum http_head_error
add(struct str name, struct str value)
{
	return http_head_add(&head, name.p, name.n, value.p, value.n);
}

#define ADD(name, value)	add(STR(name), STR(value))

/* All fields as "name=value|..." */
static const char *
shown(const struct http_head *h)
{
	static char text[1024];
	const char *name, *value;
	size_t pos = 0, n = 0, count = 0;

	text[0] = '\0';
	while (http_head_next(h, &pos, &name, &value)) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s|",
		    name, value);
		ck_assert_uint_lt(n, sizeof(text));
		count++;
	}
	ck_assert_uint_eq(count, h->nfields);
	ck_assert(!http_head_next(h, &pos, &name, &value));
	return text;
}

/* ---- characters ---- */

START_TEST(tokens)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	char c;
	int i;
	bool token;

	for (i = 0; i < 256; i++) {
		c = (char)i;
		token = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') ||
		    (i >= 'A' && i <= 'Z') ||
		    (i != 0 && strchr(others, i) != NULL);
		ck_assert_msg(http_is_token(&c, 1) == token, "0x%02x", i);
	}
	ck_assert(!http_is_token("", 0));
	ck_assert(http_is_token("abc", 3));
	ck_assert(!http_is_token("ab ", 3));
	ck_assert(!http_is_token(" ab", 3));
}
END_TEST

START_TEST(values)
{
	char c;
	int i;

	for (i = 0; i < 256; i++) {
		c = (char)i;
		ck_assert_msg(http_is_field_value(&c, 1) ==
		    (i == '\t' || (i >= ' ' && i != 0x7f)), "0x%02x", i);
	}
	ck_assert(http_is_field_value("", 0));
	ck_assert(!http_is_field_value("ab\n", 3));
	ck_assert(!http_is_field_value("\rab", 3));
}
END_TEST

/* ---- adding ---- */

START_TEST(adds_in_order)
{
	ck_assert_str_eq(shown(&head), "");
	ck_assert_int_eq(ADD("X-One", "1"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("set-cookie", "a=b"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("Set-Cookie", "c=d"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("empty", ""), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("trimmed", " \t a\tb \t"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("blank", " \t "), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("latin", "\xe9"), HTTP_HEAD_OK);
	ck_assert_str_eq(shown(&head), "X-One=1|set-cookie=a=b|Set-Cookie=c=d|"
	    "empty=|trimmed=a\tb|blank=|latin=\xe9|");
	ck_assert_int_eq(head.length, HTTP_LENGTH_NONE);
	ck_assert(!head.close && !head.has_date && !head.has_server);
}
END_TEST

static const struct refused {
	struct str	 name, value;
	enum http_head_error error;
} refused[] = {
#define R(n, v, e)	{ { n, sizeof(n) - 1 }, { v, sizeof(v) - 1 }, e }
	R("", "v", HTTP_HEAD_NAME),
	R("a b", "v", HTTP_HEAD_NAME),
	R("a:", "v", HTTP_HEAD_NAME),
	R("a\r\nb", "v", HTTP_HEAD_NAME),
	R("a\0", "v", HTTP_HEAD_NAME),
	R("\xc3\xa9", "v", HTTP_HEAD_NAME),
	R(" a", "v", HTTP_HEAD_NAME),
	R("a", "v\r\nSet-Cookie: x", HTTP_HEAD_VALUE),
	R("a", "v\n", HTTP_HEAD_VALUE),
	R("a", "\rv", HTTP_HEAD_VALUE),
	R("a", "v\0w", HTTP_HEAD_VALUE),
	R("a", "v\x7f", HTTP_HEAD_VALUE),
	R("content-length", "1\r\n", HTTP_HEAD_VALUE),
	R("connection", "close\n", HTTP_HEAD_VALUE),
	R("transfer-encoding", "\0", HTTP_HEAD_VALUE),
	R("content-length", "", HTTP_HEAD_LENGTH),
	R("content-length", "-1", HTTP_HEAD_LENGTH),
	R("content-length", "+1", HTTP_HEAD_LENGTH),
	R("content-length", "1x", HTTP_HEAD_LENGTH),
	R("content-length", "0x1", HTTP_HEAD_LENGTH),
	R("content-length", "1, 1", HTTP_HEAD_LENGTH),
	R("content-length", "1000000000000000000", HTTP_HEAD_LENGTH),
	R("content-length", "18446744073709551617", HTTP_HEAD_LENGTH),
#undef R
};

START_TEST(refuses)
{
	const struct refused *r = &refused[_i];

	ck_assert_int_eq(ADD("before", "1"), HTTP_HEAD_OK);
	ck_assert_int_eq(add(r->name, r->value), r->error);
	ck_assert_int_eq(ADD("after", "2"), HTTP_HEAD_OK);
	ck_assert_str_eq(shown(&head), "before=1|after=2|");
	ck_assert_int_eq(head.length, HTTP_LENGTH_NONE);
	ck_assert(!head.close);
}
END_TEST

START_TEST(lengths)
{
	ck_assert_int_eq(ADD("Content-Length", " 42 "), HTTP_HEAD_OK);
	ck_assert_int_eq(head.length, 42);
	ck_assert_int_eq(ADD("CONTENT-LENGTH", "042"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("content-length", "43"), HTTP_HEAD_LENGTH);
	ck_assert_int_eq(head.length, 42);
	ck_assert_str_eq(shown(&head), "");
	http_head_reset(&head, 200);
	ck_assert_int_eq(ADD("content-length", "0"), HTTP_HEAD_OK);
	ck_assert_int_eq(head.length, 0);
	ck_assert_int_eq(ADD("content-length", "1"), HTTP_HEAD_LENGTH);
	http_head_reset(&head, 200);
	ck_assert_int_eq(ADD("content-length", "999999999999999999"),
	    HTTP_HEAD_OK);
	ck_assert_int_eq(head.length, 999999999999999999);
}
END_TEST

static const struct {
	struct str	 name, value;
	bool		 close, has_date, has_server;
	const char	*shown;
} specials[] = {
#define S(n, v, ...)	{ { n, sizeof(n) - 1 }, { v, sizeof(v) - 1 }, \
			    __VA_ARGS__ }
	S("Connection", "close", true, false, false, ""),
	S("CONNECTION", "x, Close ,y", true, false, false, ""),
	S("connection", "keep-alive", false, false, false, ""),
	S("connection", "closed, not-close", false, false, false, ""),
	S("connection", "", false, false, false, ""),
	S("Keep-Alive", "timeout=5", false, false, false, ""),
	S("Transfer-Encoding", "chunked", false, false, false, ""),
	S("transfer-encoding", "gzip", false, false, false, ""),
	S("Date", "x", false, true, false, "Date=x|"),
	S("server", "y", false, false, true, "server=y|"),
	S("dates", "x", false, false, false, "dates=x|"),
	S("x-content-length", "x", false, false, false,
	    "x-content-length=x|"),
#undef S
};

START_TEST(special_fields)
{
	ck_assert_int_eq(add(specials[_i].name, specials[_i].value),
	    HTTP_HEAD_OK);
	ck_assert_int_eq(head.close, specials[_i].close);
	ck_assert_int_eq(head.has_date, specials[_i].has_date);
	ck_assert_int_eq(head.has_server, specials[_i].has_server);
	ck_assert_int_eq(head.length, HTTP_LENGTH_NONE);
	ck_assert_str_eq(shown(&head), specials[_i].shown);
}
END_TEST

START_TEST(close_stays)
{
	ck_assert_int_eq(ADD("connection", "close"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("connection", "keep-alive"), HTTP_HEAD_OK);
	ck_assert(head.close);
}
END_TEST

/* ---- life ---- */

START_TEST(reset_forgets_but_the_memory)
{
	const char *data;
	int i;

	for (i = 0; i < 100; i++)
		ADD("a-field", "with some text in it");
	ADD("content-length", "5");
	ADD("connection", "close");
	ADD("date", "d");
	ADD("server", "s");
	data = head.text.data;
	http_head_reset(&head, 404);
	ck_assert_uint_eq(head.status, 404);
	ck_assert_str_eq(shown(&head), "");
	ck_assert_int_eq(head.length, HTTP_LENGTH_NONE);
	ck_assert(!head.close && !head.has_date && !head.has_server);
	ck_assert_int_eq(ADD("content-length", "6"), HTTP_HEAD_OK);
	ck_assert_int_eq(ADD("b", "c"), HTTP_HEAD_OK);
	ck_assert_str_eq(shown(&head), "b=c|");
	ck_assert_ptr_eq(head.text.data, data);
}
END_TEST

START_TEST(copies_are_their_own)
{
	struct http_head copy, empty;

	http_head_copy(&empty, &head);
	ADD("a", "b");
	ADD("content-length", "7");
	ADD("connection", "close");
	ADD("server", "s");
	http_head_copy(&copy, &head);
	http_head_reset(&head, 500);
	ADD("zzzz", "zzzz");
	ck_assert(!copy.text.failed);
	ck_assert_uint_eq(copy.status, 200);
	ck_assert_int_eq(copy.length, 7);
	ck_assert(copy.close && copy.has_server && !copy.has_date);
	ck_assert_str_eq(shown(&copy), "a=b|server=s|");
	ck_assert_str_eq(shown(&empty), "");
	ck_assert_int_eq(http_head_add(&copy, "c", 1, "d", 1), HTTP_HEAD_OK);
	ck_assert_str_eq(shown(&copy), "a=b|server=s|c=d|");
	http_head_fini(&copy);
	http_head_fini(&empty);
}
END_TEST

START_TEST(many_and_long)
{
	static char value[70000];
	const char *n, *v;
	size_t pos = 0, i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(http_head_add(&head, "n", 1, value,
		    sizeof(value) - i), HTTP_HEAD_OK);
	for (i = 0; i < 20; i++) {
		ck_assert(http_head_next(&head, &pos, &n, &v));
		ck_assert_str_eq(n, "n");
		ck_assert_uint_eq(strlen(v), sizeof(value) - i);
	}
	ck_assert(!http_head_next(&head, &pos, &n, &v));
}
END_TEST

START_TEST(reasons)
{
	ck_assert_str_eq(http_reason(200), "OK");
	ck_assert_str_eq(http_reason(404), "Not Found");
	ck_assert_str_eq(http_reason(418), "I'm a Teapot");
	ck_assert_str_eq(http_reason(431), "Request Header Fields Too Large");
	ck_assert_str_eq(http_reason(599), "");
	ck_assert_str_eq(http_reason(299), "");
	ck_assert_str_eq(http_reason(0), "");
	ck_assert_str_eq(http_reason(600), "");
	ck_assert_str_eq(http_reason(999), "");
	ck_assert_str_eq(http_reason((unsigned)-1), "");
}
END_TEST

Suite *
head_suite(void)
{
	Suite *s = suite_create("head");
	TCase *t = tcase_create("head");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, tokens);
	tcase_add_test(t, values);
	tcase_add_test(t, adds_in_order);
	tcase_add_loop_test(t, refuses, 0, (int)countof(refused));
	tcase_add_test(t, lengths);
	tcase_add_loop_test(t, special_fields, 0, (int)countof(specials));
	tcase_add_test(t, close_stays);
	tcase_add_test(t, reset_forgets_but_the_memory);
	tcase_add_test(t, copies_are_their_own);
	tcase_add_test(t, many_and_long);
	tcase_add_test(t, reasons);
	suite_add_tcase(s, t);
	return s;
}
