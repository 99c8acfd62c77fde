/* SPDX-License-Identifier: BSD-3-Clause
 *
 * check_request(): what is taken and what is learned from it, what is refused
 * and why.
 */
#include "http/check.h"

#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "http/head.h"
#include "test_http.h"

#define MAX_FIELDS	8
#define HOST		"Host", "x"

/* A row: request line; names and values; ends with a NULL name. */
struct request {
	const char	*method, *target, *version;
	const char	*fields[2 * MAX_FIELDS + 1];
};

static enum refusal
check(const struct request *r, const struct check_limits *limits,
    struct check_facts *facts)
{
	struct http_field fields[MAX_FIELDS];
	struct check_head head = { .method = str_of(r->method),
	    .target = str_of(r->target), .version = str_of(r->version),
	    .fields = fields, .header_size = 100 };
	const char *const *f;

	for (f = r->fields; *f != NULL; f += 2)
		fields[head.nfields++] = (struct http_field){
		    str_of(f[0]), str_of(f[1]) };
	return check_request(&head, limits, facts);
}

/* ---- taken ---- */

static const struct good {
	struct request	 r;
	const char	*path, *query;
	int		 minor;
	uint64_t	 length;
	bool		 has_length, chunked, expects, closes;
} goods[] = {
	/* targets */
	{ { "GET", "/", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	{ { "GET", "/a/b?c=d&e", "HTTP/1.1", { HOST } },
	    "/a/b", "c=d&e", .minor = 1 },
	{ { "GET", "/?", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	{ { "GET", "/a?b?c", "HTTP/1.1", { HOST } }, "/a", "b?c", .minor = 1 },
	{ { "GET", "//x/%2e%2E/%00\"<>\\^`{|}", "HTTP/1.1", { HOST } },
	    "//x/%2e%2E/%00\"<>\\^`{|}", "", .minor = 1 },
	{ { "GET", "http://h", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	{ { "GET", "http://h?q", "HTTP/1.1", { HOST } }, "/", "q",
	    .minor = 1 },
	{ { "GET", "HTTP://h:80/p?q", "HTTP/1.1", { HOST } }, "/p", "q",
	    .minor = 1 },
	{ { "GET", "hTTps://[::1]:443/p/http://h", "HTTP/1.1", { HOST } },
	    "/p/http://h", "", .minor = 1 },
	{ { "OPTIONS", "*", "HTTP/1.1", { HOST } }, "*", "", .minor = 1 },
	{ { "OPTIONS", "/*?*", "HTTP/1.1", { HOST } }, "/*", "*", .minor = 1 },
	/* methods: any token, in its case */
	{ { "get", "/", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	{ { "M-SEARCH", "/", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	{ { "!#$%&'*+-.^_`|~09azAZ", "/", "HTTP/1.1", { HOST } }, "/", "",
	    .minor = 1 },
	{ { "connect", "/", "HTTP/1.1", { HOST } }, "/", "", .minor = 1 },
	/* versions; 1.0 needs no Host, and closes unless told otherwise */
	{ { "GET", "/", "HTTP/1.0", { NULL } }, "/", "",
	    .minor = 0, .closes = true },
	{ { "GET", "/", "HTTP/1.0", { HOST, "Connection", "Keep-Alive" } },
	    "/", "", .minor = 0 },
	{ { "GET", "/", "HTTP/1.0", { "Connection", "keep-alive, close" } },
	    "/", "", .minor = 0, .closes = true },
	{ { "GET", "/", "HTTP/1.1", { HOST, "Connection", "close" } },
	    "/", "", .minor = 1, .closes = true },
	{ { "GET", "/", "HTTP/1.1", { HOST, "connection", "x",
	    "CONNECTION", "upgrade ,\tClose" } }, "/", "", .minor = 1,
	    .closes = true },
	{ { "GET", "/", "HTTP/1.1", { HOST, "Connection", "closed" } },
	    "/", "", .minor = 1 },
	/* hosts */
	{ { "GET", "/", "HTTP/1.1", { "hOST", "" } }, "/", "", .minor = 1 },
	{ { "GET", "/", "HTTP/1.1", { "Host", "example.org:8080" } },
	    "/", "", .minor = 1 },
	{ { "GET", "/", "HTTP/1.1", { "Host", "[2001:db8::1]:80" } },
	    "/", "", .minor = 1 },
	/* values: text of any octets from 0x80 on, blanks inside, none */
	{ { "GET", "/", "HTTP/1.1", { HOST, "A", "", "B", "\x80\xff\t ~",
	    "A", "again" } }, "/", "", .minor = 1 },
	/* framing */
	{ { "POST", "/", "HTTP/1.1", { HOST, "Content-Length", "0" } },
	    "/", "", .minor = 1, .length = 0, .has_length = true },
	{ { "POST", "/", "HTTP/1.1", { HOST, "content-length", "0042" } },
	    "/", "", .minor = 1, .length = 42, .has_length = true },
	{ { "POST", "/", "HTTP/1.0", { "Content-Length",
	    "999999999999999999" } }, "/", "", .minor = 0,
	    .length = 999999999999999999,
	    .has_length = true, .closes = true },
	{ { "POST", "/", "HTTP/1.1", { HOST, "Transfer-Encoding",
	    "chunked" } }, "/", "", .minor = 1, .chunked = true },
	{ { "POST", "/", "HTTP/1.1", { HOST, "TRANSFER-ENCODING",
	    "Chunked" } }, "/", "", .minor = 1, .chunked = true },
	{ { "POST", "/", "HTTP/1.1", { HOST, "Content-Length", "3",
	    "Expect", "100-Continue" } }, "/", "", .minor = 1, .length = 3,
	    .has_length = true, .expects = true },
	{ { "POST", "/", "HTTP/1.1", { HOST, "Expect", "more" } },
	    "/", "", .minor = 1 },
};

START_TEST(good_requests)
{
	static const struct check_limits none = { SIZE_MAX, 0 };
	const struct good *g = &goods[_i];
	struct check_facts facts;

	memset(&facts, 0xa5, sizeof(facts));
	ck_assert_int_eq(check(&g->r, &none, &facts), REFUSAL_NONE);
	ck_assert(str_eq(facts.path, str_of(g->path)));
	ck_assert(str_eq(facts.query, str_of(g->query)));
	ck_assert_int_eq(facts.minor, g->minor);
	ck_assert_uint_eq(facts.length, g->length);
	ck_assert_int_eq(facts.has_length, g->has_length);
	ck_assert_int_eq(facts.chunked, g->chunked);
	ck_assert_int_eq(facts.expect_continue, g->expects);
	ck_assert_int_eq(facts.closes, g->closes);
}
END_TEST

/* ---- refused ---- */

#define GET(...)	{ "GET", "/", "HTTP/1.1", { __VA_ARGS__ } }
#define POST(...)	{ "POST", "/", "HTTP/1.1", { HOST, __VA_ARGS__ } }
#define TARGET_OF(t)	{ { "GET", t, "HTTP/1.1", { HOST } }, REFUSAL_TARGET }
#define VERSION_OF(v)	{ { "GET", "/", v, { HOST } }, REFUSAL_VERSION }
#define METHOD_OF(m)	{ { m, "/", "HTTP/1.1", { HOST } }, REFUSAL_METHOD }
#define HOST_OF(h)	{ GET("Host", h), REFUSAL_HOST }
#define NAME_OF(n)	{ GET(HOST, n, "v"), REFUSAL_NAME }
#define VALUE_OF(v)	{ GET(HOST, "A", v), REFUSAL_VALUE }
#define LENGTH_OF(l)	{ POST("Content-Length", l), REFUSAL_LENGTH }
#define TE_OF(e)	{ POST("Transfer-Encoding", e), REFUSAL_TE }

static const struct bad {
	struct request	 r;
	enum refusal	 why;
} bads[] = {
	METHOD_OF(""), METHOD_OF("GE T"), METHOD_OF("GET\t"),
	METHOD_OF("G\x80T"), METHOD_OF("GET:"), METHOD_OF("\"GET\""),
	METHOD_OF("\x16\x03\x01"),
	VERSION_OF(""), VERSION_OF("HTTP/1.2"), VERSION_OF("HTTP/2.0"),
	VERSION_OF("HTTP/0.9"), VERSION_OF("http/1.1"), VERSION_OF("HTTP/1"),
	VERSION_OF("HTTP/1.10"), VERSION_OF("HTTP/1.1 "),
	VERSION_OF("HTTPS/1.1"),
	TARGET_OF(""), TARGET_OF("x"), TARGET_OF("?q"), TARGET_OF("*"),
	TARGET_OF("*/"), TARGET_OF("/a b"), TARGET_OF("/a\tb"),
	TARGET_OF("/a\rb"), TARGET_OF("/\x01"), TARGET_OF("/\x7f"),
	TARGET_OF("/\x80"), TARGET_OF("/?\xff"), TARGET_OF("/a#b"),
	TARGET_OF("http://"), TARGET_OF("http:///p"), TARGET_OF("http://?q"),
	TARGET_OF("http:/h/p"), TARGET_OF("ftp://h/p"), TARGET_OF("h:80"),
	{ { "OPTIONS", "*?q", "HTTP/1.1", { HOST } }, REFUSAL_TARGET },
	{ { "CONNECT", "h:443", "HTTP/1.1", { HOST } }, REFUSAL_CONNECT },
	{ { "CONNECT", "/", "HTTP/1.1", { HOST } }, REFUSAL_CONNECT },
	NAME_OF(""), NAME_OF("A "), NAME_OF(" A"), NAME_OF("A\tB"),
	NAME_OF("A\x80"), NAME_OF("A(B)"), NAME_OF("Host "), NAME_OF("A\r"),
	NAME_OF("Content-Length "),
	VALUE_OF("a\rb"), VALUE_OF("a\nb"), VALUE_OF("\x01"),
	VALUE_OF("a\x7f"), VALUE_OF("\x1b[0m"), VALUE_OF("a\r"),
	{ GET("Host", "x\r"), REFUSAL_VALUE },
	{ GET(NULL), REFUSAL_HOST_MISSING },
	{ GET("Hos", "x", "Hosts", "y"), REFUSAL_HOST_MISSING },
	{ { "GET", "http://h/", "HTTP/1.1", { NULL } },
	    REFUSAL_HOST_MISSING },
	{ GET(HOST, "hOST", "x"), REFUSAL_HOST_TWICE },
	{ GET("Host", "", HOST), REFUSAL_HOST_TWICE },
	{ { "GET", "/", "HTTP/1.0", { HOST, HOST } }, REFUSAL_HOST_TWICE },
	HOST_OF("a b"), HOST_OF("a\tb"), HOST_OF("a/b"), HOST_OF("a?b"),
	HOST_OF("a#b"), HOST_OF("u@h"), HOST_OF("a\\b"), HOST_OF("a,b"),
	LENGTH_OF(""), LENGTH_OF("-1"), LENGTH_OF("+1"), LENGTH_OF("1 2"),
	LENGTH_OF("1, 1"), LENGTH_OF("0x10"), LENGTH_OF("1e3"),
	LENGTH_OF("1.0"), LENGTH_OF("1234567890123456789"),
	LENGTH_OF("18446744073709551616"), LENGTH_OF("\xb9"),
	{ POST("Content-Length", "1", "Content-Length", "1"),
	    REFUSAL_LENGTH_TWICE },
	{ POST("Content-Length", "1", "content-length", "2"),
	    REFUSAL_LENGTH_TWICE },
	{ POST("Content-Length", "1", "Transfer-Encoding", "chunked"),
	    REFUSAL_LENGTH_AND_TE },
	{ POST("Transfer-Encoding", "chunked", "Content-Length", "0"),
	    REFUSAL_LENGTH_AND_TE },
	{ { "POST", "/", "HTTP/1.0", { "Transfer-Encoding", "chunked",
	    "Content-Length", "5" } }, REFUSAL_LENGTH_AND_TE },
	TE_OF(""), TE_OF("identity"), TE_OF("gzip"), TE_OF("gzip, chunked"),
	TE_OF("chunked, gzip"), TE_OF("chunked, chunked"), TE_OF("xchunked"),
	TE_OF("chunkedx"), TE_OF("chunked;a=b"), TE_OF("\"chunked\""),
	TE_OF(",chunked"), TE_OF("chunked,"), TE_OF("chunked "),
	{ POST("Transfer-Encoding", "chunked", "Transfer-Encoding",
	    "chunked"), REFUSAL_TE },
	{ POST("Transfer-Encoding", "gzip", "Transfer-Encoding",
	    "chunked"), REFUSAL_TE },
	{ { "POST", "/", "HTTP/1.0", { "Transfer-Encoding", "chunked" } },
	    REFUSAL_TE_1_0 },
};

static const struct sized {
	struct request	 r;
	uint64_t	 header, body;
	enum refusal	 why;
} sizes[] = {
	/* the head itself is said to have 100 octets */
	{ GET(HOST), 100, 0, REFUSAL_NONE },
	{ GET(HOST), 99, 0, REFUSAL_HEADER_SIZE },
	{ { "GET", "/234567890", "HTTP/1.1", { HOST } }, 9, 0,
	    REFUSAL_TARGET_SIZE },
	{ { "GET", "/234567890", "HTTP/1.1", { HOST } }, 10, 0,
	    REFUSAL_HEADER_SIZE },
	{ POST("Content-Length", "10"), 100, 10, REFUSAL_NONE },
	{ POST("Content-Length", "11"), 100, 10, REFUSAL_BODY_SIZE },
	{ POST("Content-Length", "999999999999999999"), 100, 10,
	    REFUSAL_BODY_SIZE },
	{ POST("Content-Length", "999999999999999999"), 100, 0,
	    REFUSAL_NONE },
	{ POST("Transfer-Encoding", "chunked"), 100, 10, REFUSAL_NONE },
};

START_TEST(bad_requests)
{
	static const struct check_limits none = { SIZE_MAX, 0 };
	struct check_facts facts;

	ck_assert_int_eq(check(&bads[_i].r, &none, &facts), bads[_i].why);
}
END_TEST

START_TEST(limits)
{
	const struct sized *s = &sizes[_i];
	struct check_limits l = { s->header, s->body };
	struct check_facts facts;

	ck_assert_int_eq(check(&s->r, &l, &facts), s->why);
}
END_TEST

/* A NUL is an octet like others here, and never right. */
START_TEST(nul_is_refused)
{
	static const struct check_limits none = { SIZE_MAX, 0 };
	struct http_field host[2] = { { STR("Host"), STR("x") } };
	struct check_head head = { STR("GET"), STR("/"), STR("HTTP/1.1"),
	    host, 1, 100 }, h = head;
	struct check_facts facts;

	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_NONE);
	h.method = STR("GET\0");
	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_METHOD);
	h = head;
	h.target = STR("/\0");
	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_TARGET);
	h = head;
	h.version = STR("HTTP/1.1\0");
	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_VERSION);
	h = head;
	host[0].value = STR("x\0");
	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_VALUE);
	host[0].name = STR("Host\0");
	ck_assert_int_eq(check_request(&h, &none, &facts), REFUSAL_NAME);
}
END_TEST

/* ---- the table of refusals ---- */

/* Found by others than check_request(). */
static const enum refusal elsewhere[] = { REFUSAL_SYNTAX, REFUSAL_BODY,
	REFUSAL_UNSUPPORTED, REFUSAL_BUSY, REFUSAL_MEMORY,
	REFUSAL_TIMEOUT };

START_TEST(all_are_reached)
{
	bool reached[REFUSAL_COUNT] = { [REFUSAL_NONE] = true };
	size_t i;

	for (i = 0; i < countof(elsewhere); i++)
		reached[elsewhere[i]] = true;
	for (i = 0; i < countof(bads); i++)
		reached[bads[i].why] = true;
	for (i = 0; i < countof(sizes); i++)
		reached[sizes[i].why] = true;
	for (i = 0; i < REFUSAL_COUNT; i++)
		ck_assert_msg(reached[i], "no case for: %s",
		    refusals[i].text);
}
END_TEST

static const char *
field_of(const struct http_head *head, const char *name)
{
	const char *n, *v, *found = NULL;
	size_t pos = 0;

	while (http_head_next(head, &pos, &n, &v))
		if (strcasecmp(n, name) == 0) {
			ck_assert_ptr_null(found);
			found = v;
		}
	return found;
}

START_TEST(answers)
{
	struct http_data body = refusal_body((enum refusal)_i);
	struct http_head head;
	const char *retry;

	refusal_head(&head, (enum refusal)_i);
	ck_assert_uint_eq(head.status, refusals[_i].status);
	ck_assert_uint_ge(head.status, 400);
	ck_assert_str_ne(http_reason(head.status), "");
	ck_assert(!head.text.failed);
	ck_assert_str_eq(field_of(&head, "content-type"),
	    "text/plain; charset=utf-8");
	retry = field_of(&head, "retry-after");
	ck_assert_int_eq(retry != NULL, head.status == 503);
	/* RFC 9110 15.5.6 */
	ck_assert_int_eq(field_of(&head, "allow") != NULL,
	    head.status == 405);
	ck_assert_uint_gt(body.n, 0);
	ck_assert_uint_eq(body.n, strlen(refusals[_i].text));
	ck_assert_ptr_null(body.release);
	http_head_fini(&head);
}
END_TEST

Suite *
check_suite(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_add_loop_test(t, good_requests, 0, (int)countof(goods));
	tcase_add_loop_test(t, bad_requests, 0, (int)countof(bads));
	tcase_add_loop_test(t, limits, 0, (int)countof(sizes));
	tcase_add_test(t, nul_is_refused);
	tcase_add_test(t, all_are_reached);
	tcase_add_loop_test(t, answers, REFUSAL_NONE + 1, REFUSAL_COUNT);
	suite_add_tcase(s, t);
	return s;
}
