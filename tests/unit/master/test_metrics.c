/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The metrics listener: what it answers, and what becomes of clients that do
 * not behave.  The loop runs in a thread of its own.
 */
#include "master/metrics.h"

#include <netinet/in.h>

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/log.h"

static const char *const words[] = {
	[METRICS_OPENMETRICS] = "# open\n",
	[METRICS_PROMETHEUS] = "# old\n",
	[METRICS_TEXT] = "a <b> & \"c\"\n",
};

/* How often the words are said, for an answer that no socket takes at once. */
static size_t times = 1;

static void
render(enum metrics_format format, struct buf *to, void *arg)
{
	size_t i;

	ck_assert_ptr_eq(arg, &times);
	for (i = 0; i < times; i++)
		buf_puts(to, words[format]);
}

/* ---- answers ------------------------------------------------------------ */

#define V1	" HTTP/1.1\r\nHost: x\r\n"
#define GET	"GET /metrics" V1
#define OPEN	"application/openmetrics-text"

static const struct {
	const char	*head, *status, *body;
} answers[] = {
	{ GET "\r\n", "200 OK", "# old\n" },
	{ GET "Accept: */*\r\n\r\n", "200 OK", "# old\n" },
	{ GET "accept: " OPEN "\r\n\r\n", "200 OK", "# open\n" },
	{ GET "Accept:" OPEN ";version=1.0.0;q=0.5," OPEN ";version=0.0.1;"
	    "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1\r\n\r\n",
	    "200 OK", "# open\n" },
	{ GET "Accept: text/plain;q=0.5, " OPEN ";q=0.4\r\n\r\n", "200 OK",
	    "# old\n" },
	{ GET "Accept: " OPEN ";q=0\r\n\r\n", "200 OK", "# old\n" },
	{ GET "Accept: x" OPEN "\r\n\r\n", "200 OK", "# old\n" },
	{ GET "Accept: ;;,,;q=,q=;" OPEN "\r\n\r\n", "200 OK", "# old\n" },
	{ "GET /metrics?x=/y HTTP/1.0\r\n\r\n", "200 OK", "# old\n" },
	{ "GET /metrics HTTP/1.0\n\n", "200 OK", "# old\n" },
	{ "GET http://x:1/metrics" V1 "\r\n", "200 OK", "# old\n" },
	{ "HEAD /metrics" V1 "\r\n", "200 OK", "" },
	{ "GET /" V1 "\r\n", "200 OK", NULL },
	{ "GET HTTP://x" V1 "\r\n", "200 OK", NULL },
	{ "HEAD /" V1 "\r\n", "200 OK", "" },
	{ "GET /metrics/" V1 "\r\n", "404 Not Found", "Not Found\n" },
	{ "GET *" V1 "\r\n", "404 Not Found", "Not Found\n" },
	{ "HEAD /x" V1 "\r\n", "404 Not Found", "" },
	{ "POST /metrics" V1 "\r\n", "405 Method Not Allowed",
	    "Method Not Allowed\n" },
	{ "get /metrics" V1 "\r\n", "405 Method Not Allowed",
	    "Method Not Allowed\n" },
	{ "\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET /metrics\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET  /metrics" V1 "\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", "400 Bad Request",
	    "Bad Request\n" },
	{ "GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request",
	    "Bad Request\n" },
	{ GET "Host: y\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ GET "no field\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ GET "a b: c\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ GET " folded: c\r\n\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET /\xff" V1 "\r\n", "400 Bad Request", "Bad Request\n" },
	{ "GET /\x01" V1 "\r\n", "400 Bad Request", "Bad Request\n" },
};

static const char page[] =
    "<pre>\na &lt;b&gt; &amp; &quot;c&quot;\n</pre>";

/* Status and body are as expected, and the length is said rightly. */
static void
check_answer(const char *text, const char *status, const char *body,
    bool head_only)
{
	const char *end = strstr(text, "\r\n\r\n"), *length;

	ck_assert_msg(strncmp(text, "HTTP/1.1 ", 9) == 0 &&
	    strncmp(text + 9, status, strlen(status)) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\r\nConnection: close\r\n"));
	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_nonnull(strstr(text, " GMT\r\n"));
	length = strstr(text, "\r\nContent-Length: ");
	ck_assert_ptr_nonnull(length);
	if (!head_only)
		ck_assert_uint_eq(strtoul(length + 18, NULL, 10),
		    strlen(end + 4));
	else
		ck_assert_uint_gt(strtoul(length + 18, NULL, 10), 0);
	if (body != NULL)
		ck_assert_str_eq(end + 4, body);
	else
		ck_assert_ptr_nonnull(strstr(end, page));
	ck_assert_int_eq(strstr(text, "\r\nAllow: GET, HEAD\r\n") != NULL,
	    status[2] == '5');
}

START_TEST(answers_rightly)
{
	const char *head = answers[_i].head;
	struct buf b = BUF_INIT;

	metrics_answer(head, strlen(head), render, &times, &b);
	check_answer(buf_str(&b), answers[_i].status, answers[_i].body,
	    strncmp(head, "HEAD", 4) == 0);
	buf_fini(&b);
}
END_TEST

START_TEST(tells_the_dialect)
{
	static const char plain[] = GET "\r\n",
	    open[] = GET "Accept: " OPEN "\r\n\r\n";
	struct buf b = BUF_INIT;

	metrics_answer(plain, strlen(plain), render, &times, &b);
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "\r\nContent-Type: "
	    "text/plain; version=0.0.4; charset=utf-8\r\n"));
	buf_reset(&b);
	metrics_answer(open, strlen(open), render, &times, &b);
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "\r\nContent-Type: " OPEN
	    "; version=1.0.0; charset=utf-8\r\n"));
	buf_fini(&b);
}
END_TEST

/* ---- connections -------------------------------------------------------- */

static struct loop *loop;
static struct metrics *metrics;
static pthread_t thread;
static int stop[2];		/* written to: the loop is left */
static char address[SOCK_TEXT_MAX];

static void
on_stop(struct loop *l, struct loop_io *io UNUSED, unsigned revents UNUSED)
{
	loop_stop(l);
}

static void *
run(void *arg)
{
	loop_run(loop);
	return arg;
}

static struct loop_io stop_io;

static void
set_up(void)
{
	log_set_level(LOG_L_CRITICAL);
	times = 1;
	ck_assert_ptr_nonnull(loop = loop_new());
	ck_assert_int_eq(pipe(stop), 0);
	loop_io_init(&stop_io, stop[0], on_stop);
	ck_assert_int_eq(loop_io_set(loop, &stop_io, LOOP_READ), 0);
	metrics = metrics_new(loop, "127.0.0.1:0", render, &times);
	ck_assert_ptr_nonnull(metrics);
	metrics_text(metrics, address);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void
tear_down(void)
{
	ck_assert_int_eq(write(stop[1], "x", 1), 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	metrics_free(&metrics);
	ck_assert_ptr_null(metrics);
	loop_free(&loop);
	close(stop[0]);
	close(stop[1]);
}

static int
connect_client(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((in_port_t)atoi(strchr(address, ':') + 1)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	size_t n = strlen(text);

	ck_assert_int_eq(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* All up to the end of file. */
static size_t
hear(int fd, struct buf *to)
{
	char *room;
	ssize_t n;

	for (;;) {
		ck_assert_ptr_nonnull(room = buf_reserve(to, 65536));
		if ((n = recv(fd, room, 65536, 0)) <= 0)
			break;
		to->len += (size_t)n;
		to->data[to->len] = '\0';
	}
	ck_assert_int_eq(n, 0);
	close(fd);
	return to->len;
}

static void
fetch(const char *head, const char *status, const char *body)
{
	struct buf b = BUF_INIT;
	int fd = connect_client();

	say(fd, head);
	hear(fd, &b);
	check_answer(buf_str(&b), status, body, false);
	buf_fini(&b);
}

START_TEST(serves)
{
	int i;

	for (i = 0; i < 100; i++) {
		fetch(GET "\r\n", "200 OK", "# old\n");
		fetch("GET /" V1 "\r\n", "200 OK", NULL);
		fetch("BREW /" V1 "\r\n", "405 Method Not Allowed",
		    "Method Not Allowed\n");
	}
}
END_TEST

START_TEST(takes_pieces)
{
	static const char head[] = GET "Accept: " OPEN "\r\n\r\n";
	struct buf b = BUF_INIT;
	int fd = connect_client();
	size_t i;

	for (i = 0; head[i] != '\0'; i++) {
		say(fd, (char []){ head[i], '\0' });
		fetch(GET "\r\n", "200 OK", "# old\n");
	}
	hear(fd, &b);
	check_answer(buf_str(&b), "200 OK", "# open\n", false);
	buf_fini(&b);
}
END_TEST

/* Bytes behind the head do no harm to the answer. */
START_TEST(ignores_what_follows)
{
	struct buf b = BUF_INIT, all = BUF_INIT;
	int fd = connect_client();

	say(fd, GET "\r\n" GET "\r\n");
	say(fd, GET "\r\n");
	hear(fd, &b);
	check_answer(buf_str(&b), "200 OK", "# old\n", false);
	/* nor are they taken for a part of it */
	while (all.len < 2 * METRICS_HEAD_MAX)
		buf_puts(&all, GET "\r\n");
	fetch(buf_str(&all), "200 OK", "# old\n");
	buf_fini(&all);
	buf_fini(&b);
}
END_TEST

START_TEST(heads_are_bounded)
{
	struct buf head = BUF_INIT, b = BUF_INIT;
	int fd = connect_client();

	buf_puts(&head, GET);
	while (head.len < METRICS_HEAD_MAX)
		buf_puts(&head, "x: y\r\n");
	say(fd, buf_str(&head));
	hear(fd, &b);
	check_answer(buf_str(&b), "431 Request Header Fields Too Large",
	    "Request Header Fields Too Large\n", false);
	buf_fini(&head);
	buf_fini(&b);
}
END_TEST

/* Somebody who does not read what he asked for keeps nobody from it. */
START_TEST(answers_wait_for_slow_readers)
{
	struct buf b = BUF_INIT;
	size_t many = 4 * 1024 * 1024;
	int slow = connect_client();

	times = many;
	say(slow, GET "\r\n");
	ck_assert_int_eq(recv(slow, (char [1]){ 0 }, 1, MSG_PEEK), 1);
	times = 1;
	fetch(GET "\r\n", "200 OK", "# old\n");
	ck_assert_uint_gt(hear(slow, &b), many * strlen("# old\n"));
	buf_fini(&b);
}
END_TEST

START_TEST(leavers_are_forgotten)
{
	int i, fd;

	for (i = 0; i < 200; i++) {
		fd = connect_client();
		if (i % 3 == 1)
			say(fd, "GET /me");
		if (i % 3 == 2)
			say(fd, GET "\r\n");
		close(fd);
	}
	fetch(GET "\r\n", "200 OK", "# old\n");
}
END_TEST

/* The silent give way to those who come, the oldest first. */
START_TEST(the_silent_give_way)
{
	struct buf b = BUF_INIT;
	int fds[40];
	size_t i;

	for (i = 0; i < countof(fds); i++) {
		fds[i] = connect_client();
		/* it has been accepted when this is answered */
		fetch(GET "\r\n", "200 OK", "# old\n");
	}
	/* 32 at a time, one of them the last fetch's; a few others' ends may
	 * not have been seen yet when the next one came */
	for (i = 0; i < countof(fds) - 31; i++)
		ck_assert_uint_eq(hear(fds[i], &b), 0);
	for (; i < countof(fds) - 20; i++)
		close(fds[i]);
	for (; i < countof(fds); i++) {
		say(fds[i], GET "\r\n");
		buf_reset(&b);
		hear(fds[i], &b);
		check_answer(buf_str(&b), "200 OK", "# old\n", false);
	}
	buf_fini(&b);
}
END_TEST

START_TEST(ends_with_its_clients)
{
	int fd = connect_client();

	fetch(GET "\r\n", "200 OK", "# old\n");
	tear_down();
	ck_assert_int_eq(recv(fd, (char [1]){ 0 }, 1, 0), 0);
	close(fd);
	set_up();
}
END_TEST

/* One in use, none of ours, a name that no server has to be asked for, who
 * may be slow: a part of it is too long. */
START_TEST(refuses_addresses)
{
	struct loop *other = loop_new();
	char name[80] = "";

	memset(name, 'x', 70);
	strcat(name, ".test:0");
	ck_assert_ptr_null(metrics_new(other, address, render, &times));
	ck_assert_ptr_null(metrics_new(other, "192.0.2.1:0", render, &times));
	ck_assert_ptr_null(metrics_new(other, name, render, &times));
	loop_free(&other);
}
END_TEST

static const char *const all_sorts[] = { ":0", "*:0", "[::1]:0",
	"localhost:0", "0.0.0.0:0" };

START_TEST(takes_addresses)
{
	struct loop *other = loop_new();
	struct metrics *m = metrics_new(other, all_sorts[_i], render, &times);
	char text[SOCK_TEXT_MAX];

	if (strchr(all_sorts[_i], '[') == NULL || m != NULL) {
		ck_assert_ptr_nonnull(m);
		metrics_text(m, text);
		ck_assert_int_gt(atoi(strrchr(text, ':') + 1), 0);
	}
	metrics_free(&m);
	loop_free(&other);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { serves, takes_pieces,
		ignores_what_follows, heads_are_bounded,
		answers_wait_for_slow_readers, leavers_are_forgotten,
		the_silent_give_way, ends_with_its_clients,
		refuses_addresses };
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("answers"), *u = tcase_create("connections");
	SRunner *runner;
	size_t i;
	int failed;

	tcase_add_loop_test(t, answers_rightly, 0, (int)countof(answers));
	tcase_add_test(t, tells_the_dialect);
	tcase_add_loop_test(t, takes_addresses, 0, (int)countof(all_sorts));
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(u, set_up, tear_down);
	tcase_set_timeout(u, 60);
	for (i = 0; i < countof(tests); i++)
		tcase_add_test(u, tests[i]);
	suite_add_tcase(s, u);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
