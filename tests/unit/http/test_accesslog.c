/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lines of the access log: their formats, what cannot be forged, and when
 * they are written.
 */
#include "http/accesslog.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/date.h"
#include "base/defs.h"
#include "base/log.h"
#include "test_http.h"

static struct loop *loop;
static struct accesslog alog;
static struct http_ends ends;
static int fd;

static int
new_file(void)
{
	int file = memfd_create("access", MFD_CLOEXEC);

	ck_assert_int_ne(file, -1);
	return file;
}

static size_t
size_of(int file)
{
	struct stat st;

	ck_assert_int_eq(fstat(file, &st), 0);
	return (size_t)st.st_size;
}

/* What was written, with "DATE" for dates of the right form. */
static const char *
written(int file)
{
	static char raw[8192], text[8192];
	ssize_t n = pread(file, raw, sizeof(raw) - 1, 0);
	const char *form, *from = raw;
	char *to = text;
	int i;

	ck_assert_int_ne(n, -1);
	raw[n] = '\0';
	while (*from != '\0') {
		if (strncmp(from, " - - [", 6) != 0) {
			*to++ = *from++;
			continue;
		}
		to = stpcpy(to, " - - [DATE");
		from += 6;
		form = "dd/aaa/dddd:dd:dd:dd sdddd]";
		for (i = 0; form[i] != '\0'; i++)
			ck_assert(form[i] == 'd' ? from[i] >= '0' &&
			    from[i] <= '9' : form[i] == 'a' ?
			    from[i] >= 'A' && from[i] <= 'z' :
			    form[i] == 's' ? from[i] == '+' ||
			    from[i] == '-' : from[i] == form[i]);
		from += DATE_CLF_LEN;
	}
	*to = '\0';
	return text;
}

static void
set_inet(const char *host, int port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&ends.peer.ss;

	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	ck_assert_int_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
	ends.peer.len = sizeof(*in);
}

static void
set_inet6(const char *host, int port)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ends.peer.ss;

	in->sin6_family = AF_INET6;
	in->sin6_port = htons((uint16_t)port);
	ck_assert_int_eq(inet_pton(AF_INET6, host, &in->sin6_addr), 1);
	ends.peer.len = sizeof(*in);
}

static void
set_unix(void)
{
	ends.peer.ss.ss_family = AF_UNIX;
	ends.peer.len = sizeof(sa_family_t);
}

static void
setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	fd = new_file();
	memset(&ends, 0, sizeof(ends));
	set_inet("192.0.2.7", 41822);
}

static void
teardown(void)
{
	loop_free(&loop);
	close(fd);
}

/* GET /p?q, 200, 13 octets. */
static struct accesslog_entry
entry(void)
{
	return (struct accesslog_entry){ .ends = &ends, .root_path = "",
	    .method = STR("GET"), .path = STR("/p"), .query = STR("q"),
	    .minor = 1, .status = 200, .bytes = 13,
	    .duration = 1234567890 };
}

/* One line, through all of it. */
static const char *
line(const char *format, struct accesslog_entry e)
{
	accesslog_init(&alog, loop, fd, format);
	accesslog_add(&alog, &e);
	accesslog_fini(&alog);
	return written(fd);
}

static void
next(void)
{
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
}

/* ---- formats ---- */

START_TEST(uvicorn_lines)
{
	struct accesslog_entry e = entry();

	ck_assert_str_eq(line("uvicorn", e), "INFO:     192.0.2.7:41822 - "
	    "\"GET /p?q HTTP/1.1\" 200 OK\n");
	next();
	e.root_path = "/root";
	e.query = STR("");
	e.minor = 0;
	e.status = 599;
	set_inet6("2001:db8::1", 80);
	ck_assert_str_eq(line("uvicorn", e), "INFO:     [2001:db8::1]:80 - "
	    "\"GET /root/p HTTP/1.0\" 599 \n");
	next();
	set_unix();
	ck_assert_str_eq(line("uvicorn", e), "INFO:      - "
	    "\"GET /root/p HTTP/1.0\" 599 \n");
}
END_TEST

START_TEST(common_lines)
{
	struct accesslog_entry e = entry();

	e.root_path = "/root";		/* in uvicorn's alone */
	ck_assert_str_eq(line("common", e),
	    "192.0.2.7 - - [DATE] \"GET /p?q HTTP/1.1\" 200 13\n");
	next();
	set_inet6("::ffff:192.0.2.8", 80);
	e.bytes = UINT64_MAX;
	ck_assert_str_eq(line("common", e), "192.0.2.8 - - [DATE] "
	    "\"GET /p?q HTTP/1.1\" 200 18446744073709551615\n");
	next();
	set_inet6("2001:db8::1", 80);
	e.bytes = 0;
	e.method = STR("");		/* nothing was understood */
	e.status = 400;
	ck_assert_str_eq(line("common", e),
	    "2001:db8::1 - - [DATE] \"-\" 400 0\n");
	next();
	set_unix();
	ck_assert_str_eq(line("common", e), "- - - [DATE] \"-\" 400 0\n");
}
END_TEST

START_TEST(combined_lines)
{
	struct accesslog_entry e = entry();

	ck_assert_str_eq(line("combined", e), "192.0.2.7 - - [DATE] "
	    "\"GET /p?q HTTP/1.1\" 200 13 \"-\" \"-\" 1.234567\n");
	next();
	e.referer = STR("http://r/?x");
	e.user_agent = STR("curl/8 (a; b)");
	e.duration = 42000;
	ck_assert_str_eq(line("combined", e), "192.0.2.7 - - [DATE] "
	    "\"GET /p?q HTTP/1.1\" 200 13 \"http://r/?x\" "
	    "\"curl/8 (a; b)\" 0.000042\n");
}
END_TEST

/* ---- forging ---- */

START_TEST(nothing_can_be_forged)
{
	static const struct str evil = STR("\" 200\n\r\0\\\x1b[2J\x7f\xe9 ~");
	static const char shown[] = "\\x22 200\\x0a\\x0d\\x00\\x5c\\x1b[2J"
	    "\\x7f\\xe9 ~";
	struct accesslog_entry e = entry();
	char expected[1024];

	e.method = e.path = e.query = e.referer = e.user_agent = evil;
	snprintf(expected, sizeof(expected), "INFO:     192.0.2.7:41822 - "
	    "\"%s %s?%s HTTP/1.1\" 200 OK\n", shown, shown, shown);
	accesslog_init(&alog, loop, fd, "uvicorn");
	accesslog_add(&alog, &e);
	ck_assert_str_eq(buf_str(&alog.lines), expected);
	accesslog_fini(&alog);
	next();
	accesslog_init(&alog, loop, fd, "combined");
	accesslog_add(&alog, &e);
	snprintf(expected, sizeof(expected), "\"%s %s?%s HTTP/1.1\" 200 13 "
	    "\"%s\" \"%s\" 1.234567\n", shown, shown, shown, shown, shown);
	ck_assert_ptr_nonnull(strstr(buf_str(&alog.lines), expected));
	accesslog_fini(&alog);
}
END_TEST

/* Each octet there is, in each text that comes from outside. */
START_TEST(one_line_of_printable_text)
{
	struct accesslog_entry e = entry();
	char all[256];
	size_t i, quotes = 0;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	e.method = e.path = e.query = e.referer = e.user_agent =
	    (struct str){ all, sizeof(all) };
	accesslog_init(&alog, loop, fd, "combined");
	accesslog_add(&alog, &e);
	for (i = 0; i + 1 < alog.lines.len; i++) {
		ck_assert_int_ge(alog.lines.data[i], ' ');
		ck_assert_int_lt(alog.lines.data[i], 0x7f);
		quotes += alog.lines.data[i] == '"';
	}
	ck_assert_int_eq(alog.lines.data[i], '\n');
	ck_assert_uint_eq(quotes, 6);
	accesslog_fini(&alog);
}
END_TEST

/* ---- writing ---- */

struct turn {
	struct loop_timer first, second;
	struct loop_work deferred;
	size_t		 at_first, at_deferred, at_second;
};

static void
on_first(struct loop *l, struct loop_timer *t)
{
	struct turn *turn = container_of(t, struct turn, first);
	struct accesslog_entry e = entry();

	accesslog_add(&alog, &e);
	accesslog_add(&alog, &e);
	turn->at_first = size_of(fd);
	loop_work_add(l, &turn->deferred);
}

static void
on_deferred(struct loop *l, struct loop_work *w)
{
	struct turn *turn = container_of(w, struct turn, deferred);
	struct accesslog_entry e = entry();

	accesslog_add(&alog, &e);
	turn->at_deferred = size_of(fd);
	loop_timer_set(l, &turn->second, 0);
}

static void
on_second(struct loop *l, struct loop_timer *t)
{
	struct turn *turn = container_of(t, struct turn, second);

	turn->at_second = size_of(fd);
	loop_stop(l);
}

START_TEST(written_at_the_end_of_the_turn)
{
	struct turn turn = { .at_first = 1, .at_deferred = 1 };
	size_t one = strlen(line("uvicorn", entry()));

	next();
	accesslog_init(&alog, loop, fd, "uvicorn");
	loop_timer_init(&turn.first, on_first);
	loop_timer_init(&turn.second, on_second);
	loop_work_init(&turn.deferred, LOOP_DEFERRED, on_deferred);
	loop_timer_set(loop, &turn.first, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(turn.at_first, 0);
	ck_assert_uint_eq(turn.at_deferred, 0);
	ck_assert_uint_eq(turn.at_second, 3 * one);
	ck_assert_uint_eq(alog.lines.len, 0);
	accesslog_fini(&alog);
	ck_assert_uint_eq(size_of(fd), 3 * one);
}
END_TEST

START_TEST(a_long_turn_writes_before_its_end)
{
	struct accesslog_entry e = entry();
	size_t one = strlen(line("uvicorn", e)), i;

	next();
	accesslog_init(&alog, loop, fd, "uvicorn");
	for (i = 1; i <= 5000; i++) {
		accesslog_add(&alog, &e);
		ck_assert_uint_le(alog.lines.len, 64 * 1024);
		ck_assert_uint_eq(size_of(fd) + alog.lines.len, i * one);
	}
	ck_assert_uint_gt(size_of(fd), 0);
	accesslog_fini(&alog);
	ck_assert_uint_eq(size_of(fd), 5000 * one);
}
END_TEST

START_TEST(reopened)
{
	struct accesslog_entry e = entry();
	size_t one = strlen(line("uvicorn", e));
	int other = new_file();

	next();
	accesslog_init(&alog, loop, fd, "uvicorn");
	accesslog_add(&alog, &e);
	accesslog_set_fd(&alog, other);
	ck_assert_uint_eq(size_of(fd), one);
	accesslog_add(&alog, &e);
	accesslog_add(&alog, &e);
	accesslog_fini(&alog);
	ck_assert_uint_eq(size_of(fd), one);
	ck_assert_uint_eq(size_of(other), 2 * one);
	/* fd stays the caller's */
	ck_assert_int_eq(close(other), 0);
}
END_TEST

START_TEST(off)
{
	struct accesslog_entry e = entry();

	accesslog_init(&alog, loop, -1, "uvicorn");
	accesslog_add(&alog, &e);
	ck_assert_uint_eq(alog.lines.len, 0);
	accesslog_set_fd(&alog, fd);
	accesslog_add(&alog, &e);
	ck_assert_uint_gt(alog.lines.len, 0);
	accesslog_fini(&alog);
	ck_assert_uint_gt(size_of(fd), 0);
}
END_TEST

/* A full disk is told once, and costs no memory. */
START_TEST(full_disk)
{
	struct accesslog_entry e = entry();
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), i;
	const char *text;

	ck_assert_int_ne(full, -1);
	log_adopt(fd, "errors", LOG_L_INFO, "test");
	accesslog_init(&alog, loop, full, "uvicorn");
	for (i = 0; i < 5000; i++)
		accesslog_add(&alog, &e);
	ck_assert_uint_le(alog.lines.len, 64 * 1024);
	accesslog_fini(&alog);
	text = strstr(written(fd), "access log: ");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strstr(text + 1, "access log: "));
	close(full);
}
END_TEST

Suite *
accesslog_suite(void)
{
	Suite *s = suite_create("accesslog");
	TCase *t = tcase_create("accesslog");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, uvicorn_lines);
	tcase_add_test(t, common_lines);
	tcase_add_test(t, combined_lines);
	tcase_add_test(t, nothing_can_be_forged);
	tcase_add_test(t, one_line_of_printable_text);
	tcase_add_test(t, written_at_the_end_of_the_turn);
	tcase_add_test(t, a_long_turn_writes_before_its_end);
	tcase_add_test(t, reopened);
	tcase_add_test(t, off);
	tcase_add_test(t, full_disk);
	suite_add_tcase(s, t);
	return s;
}
