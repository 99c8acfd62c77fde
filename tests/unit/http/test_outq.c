/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/outq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_http.h"

/* More than one sendmsg() is given. */
#define PIECES		100
#define PIECE_MAX	9000

struct piece {
	char		*bytes;
	size_t		 n, end;	/* end: of it, in the whole stream */
	int		 released;
};

static struct outq q;
static struct piece pieces[PIECES];
static size_t total;

/* The bytes go away with the owner: used afterwards, the sanitizer says so. */
static void
release(void *owner)
{
	struct piece *p = owner;

	p->released++;
	free(p->bytes);
	p->bytes = NULL;
}

/* Octet i of the stream. */
static char
octet(size_t i)
{
	return (char)(i * 31 + i / 256 * 7);
}

static struct http_data
make_piece(struct piece *p, size_t n)
{
	size_t i;

	*p = (struct piece){ .n = n, .bytes = malloc(n > 0 ? n : 1) };
	ck_assert_ptr_nonnull(p->bytes);
	for (i = 0; i < n; i++)
		p->bytes[i] = octet(total + i);
	total += n;
	p->end = total;
	return (struct http_data){ p->bytes, n, p, release };
}

static void
put_pieces(int count)
{
	int i;

	for (i = 0; i < count; i++)
		ck_assert_int_eq(outq_put(&q, make_piece(&pieces[i],
		    (size_t)(i * 977 % PIECE_MAX + 1))), 0);
	ck_assert_uint_eq(q.bytes, total);
}

/* Each piece is let go once, when its last octet was taken, not before. */
static void
check_released(size_t taken)
{
	int i;

	for (i = 0; i < PIECES && pieces[i].n > 0; i++)
		ck_assert_int_eq(pieces[i].released, pieces[i].end <= taken);
	ck_assert_uint_eq(q.bytes, total - taken);
}

static void
setup(void)
{
	q = (struct outq){ 0 };
	memset(pieces, 0, sizeof(pieces));
	total = 0;
}

static void
teardown(void)
{
	int i;

	outq_fini(&q);
	for (i = 0; i < PIECES && pieces[i].n > 0; i++)
		ck_assert_int_eq(pieces[i].released, 1);
}

START_TEST(copies_and_releases)
{
	static char to[PIECES * PIECE_MAX];
	size_t done = 0, n, i, want = 1;

	put_pieces(PIECES);
	check_released(0);
	while (done < total) {
		n = outq_copy(&q, to + done, want);
		ck_assert_uint_eq(n, want < total - done ? want :
		    total - done);
		done += n;
		check_released(done);
		want = want * 3 % 20011;
	}
	ck_assert_uint_eq(outq_copy(&q, to, sizeof(to)), 0);
	for (i = 0; i < total; i++)
		ck_assert_int_eq(to[i], octet(i));
}
END_TEST

START_TEST(copies_nothing)
{
	char c;

	ck_assert_uint_eq(outq_copy(&q, &c, 1), 0);
	put_pieces(2);
	ck_assert_uint_eq(outq_copy(&q, &c, 0), 0);
	check_released(0);
}
END_TEST

START_TEST(empty_data_are_released_at_once)
{
	ck_assert_int_eq(outq_put(&q, make_piece(&pieces[0], 0)), 0);
	ck_assert_int_eq(pieces[0].released, 1);
	ck_assert_uint_eq(q.bytes, 0);
	ck_assert_uint_eq(q.end, q.first);
}
END_TEST

START_TEST(static_data_need_no_release)
{
	char to[8] = "";

	ck_assert_int_eq(outq_put(&q, (struct http_data){ .p = "abc",
	    .n = 3 }), 0);
	ck_assert_int_eq(outq_put(&q, (struct http_data){ .p = "def",
	    .n = 3 }), 0);
	ck_assert_uint_eq(outq_copy(&q, to, 4), 4);
	ck_assert_str_eq(to, "abcd");
	outq_clear(&q);
	ck_assert_uint_eq(q.bytes, 0);
}
END_TEST

START_TEST(releases_once)
{
	struct http_data d = make_piece(&pieces[0], 5);

	http_data_release(&d);
	http_data_release(&d);
	ck_assert_int_eq(pieces[0].released, 1);
}
END_TEST

START_TEST(clears)
{
	char to[1000];

	put_pieces(50);
	ck_assert_uint_eq(outq_copy(&q, to, 1000), 1000);
	outq_clear(&q);
	total = 0;
	ck_assert_uint_eq(q.bytes, 0);
	outq_clear(&q);
	/* and can be used again, from the start of the data */
	pieces[0].n = 0;
	ck_assert_int_eq(outq_put(&q, make_piece(&pieces[50], 3)), 0);
	ck_assert_uint_eq(outq_copy(&q, to, 10), 3);
	ck_assert_int_eq(to[0], octet(0));
	ck_assert_int_eq(pieces[50].released, 1);
	ck_assert_int_eq(pieces[49].released, 1);
	memset(pieces, 0, sizeof(pieces));
}
END_TEST

/* As streaming does: never empty, of a changing length. */
START_TEST(moves_along)
{
	struct piece *p;
	char to[64];
	size_t done = 0, n, i;
	int put = 0, in = 0;

	for (put = 0; put < 5000; put++) {
		/* the oldest of a ring of pieces: it must have gone */
		p = &pieces[put % PIECES];
		ck_assert(put < PIECES || p->released == 1);
		ck_assert_int_eq(outq_put(&q, make_piece(p, 1 +
		    (size_t)put % 7)), 0);
		in++;
		while (in > put / 20 % 60 + 3) {
			n = outq_copy(&q, to, (size_t)(put % 5 + 1));
			for (i = 0; i < n; i++)
				ck_assert_int_eq(to[i], octet(done + i));
			done += n;
			in = (int)(q.end - q.first);
		}
		ck_assert_uint_eq(q.bytes, total - done);
	}
	ck_assert_uint_gt(q.cap, 60);
	ck_assert_uint_lt(q.cap, 1000);
}
END_TEST

/* ---- sending ---- */

static size_t
drain(int fd, size_t *got, size_t max)
{
	static char in[4096];
	ssize_t n, i;

	n = read(fd, in, max < sizeof(in) ? max : sizeof(in));
	if (n == -1) {
		ck_assert_int_eq(errno, EAGAIN);
		return 0;
	}
	for (i = 0; i < n; i++)
		ck_assert_int_eq(in[i], octet(*got + (size_t)i));
	*got += (size_t)n;
	return (size_t)n;
}

START_TEST(sends_what_fits)
{
	size_t sent = 0, got = 0, blocked = 0, partial = 0;
	int fds[2], small = 4096;
	ssize_t n;

	test_pair(fds);
	ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
	put_pieces(PIECES);
	while (q.bytes > 0) {
		n = outq_send(&q, fds[0]);
		if (n == -1) {
			ck_assert_int_eq(errno, EAGAIN);
			blocked++;
			ck_assert_uint_gt(drain(fds[1], &got, 3001), 0);
		} else {
			ck_assert_int_gt(n, 0);
			sent += (size_t)n;
			partial += q.taken > 0;
		}
		check_released(sent);
	}
	ck_assert_uint_gt(blocked, 0);
	ck_assert_uint_gt(partial, 0);
	while (got < total)
		ck_assert_uint_gt(drain(fds[1], &got, 4096), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(sends_at_once)
{
	size_t got = 0;
	int fds[2];

	test_pair(fds);
	ck_assert_int_eq(outq_put(&q, make_piece(&pieces[0], 10)), 0);
	ck_assert_int_eq(outq_put(&q, make_piece(&pieces[1], 20)), 0);
	ck_assert_int_eq(outq_put(&q, make_piece(&pieces[2], 30)), 0);
	ck_assert_int_eq(outq_send(&q, fds[0]), 60);
	check_released(60);
	ck_assert_uint_eq(drain(fds[1], &got, 100), 60);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* No signal, and the data still belong to the queue. */
START_TEST(peer_has_gone)
{
	int fds[2];

	test_pair(fds);
	close(fds[1]);
	put_pieces(5);
	ck_assert_int_eq(outq_send(&q, fds[0]), -1);
	ck_assert_int_eq(errno, EPIPE);
	check_released(0);
	close(fds[0]);
}
END_TEST

Suite *
outq_suite(void)
{
	Suite *s = suite_create("outq");
	TCase *t = tcase_create("outq");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, copies_and_releases);
	tcase_add_test(t, copies_nothing);
	tcase_add_test(t, empty_data_are_released_at_once);
	tcase_add_test(t, static_data_need_no_release);
	tcase_add_test(t, releases_once);
	tcase_add_test(t, clears);
	tcase_add_test(t, moves_along);
	tcase_add_test(t, sends_what_fits);
	tcase_add_test(t, sends_at_once);
	tcase_add_test(t, peer_has_gone);
	suite_add_tcase(s, t);
	return s;
}
