/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers written past the library, straight to the socket: where it cannot
 * answer (before the request body has ended, to a half-closed client) or
 * would not (no room for the head).  The library goes on parsing the request
 * meanwhile; the connection always ends after such an answer, with a
 * lingering close so that the client can read it.
 */
#include "http/mhd_priv.h"

#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/date.h"

#define LINGER		(2 * NSEC_PER_SEC)

/* Hand malloc'ed text to the queue. */
static void
put_text(struct conn *c, struct buf *b)
{
	if (b->failed || outq_put(&c->out, (struct http_data){ b->data, b->len,
	    b->data, free }) == -1) {
		if (b->failed)
			buf_fini(b);
		c->aborted = true;
	}
}

static void
put_head(struct conn *c, const struct http_head *head, int64_t length)
{
	const struct conf *conf = c->front->conf;
	struct buf b = BUF_INIT;
	const char *name, *value;
	size_t pos = 0;

	buf_printf(&b, "HTTP/1.1 %u %s\r\nConnection: close\r\n", head->status,
	    http_reason(head->status));
	if (!head->has_date)
		buf_printf(&b, "Date: %s\r\n", date_http());
	if (!head->has_server && conf->server_header[0] != '\0')
		buf_printf(&b, "Server: %s\r\n", conf->server_header);
	while (http_head_next(head, &pos, &name, &value))
		buf_printf(&b, "%s: %s\r\n", name, value);
	if (head->status == 204)
		;
	else if (length != HTTP_LENGTH_NONE)
		buf_printf(&b, "Content-Length: %" PRId64 "\r\n", length);
	else if (c->out_chunked)
		buf_puts(&b, "Transfer-Encoding: chunked\r\n");
	buf_puts(&b, "\r\n");
	put_text(c, &b);
}

void
direct_start(struct conn *c, const struct http_head *head, int64_t length)
{
	c->answer = ANSWER_DIRECT;
	c->out_chunked = length == HTTP_LENGTH_NONE && c->req.minor == 1 &&
	    !reply_bodyless(c, head->status);
	put_head(c, head, length);
	conn_deadline(c, DEADLINE_WRITE, c->front->conf->timeouts_write);
}

static void
put_chunk_size(struct conn *c, size_t n)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%zx\r\n", n);
	put_text(c, &b);
}

static void
put_static(struct conn *c, const char *text)
{
	if (outq_put(&c->out, (struct http_data){ .p = text,
	    .n = strlen(text) }) == -1)
		c->aborted = true;
}

void
direct_put(struct conn *c, struct http_data d)
{
	if (d.n == 0 || reply_bodyless(c, c->status)) {
		http_data_release(&d);
		return;
	}
	if (c->out_chunked)
		put_chunk_size(c, d.n);
	c->body_bytes += d.n;
	if (outq_put(&c->out, d) == -1)
		c->aborted = true;
	if (c->out_chunked)
		put_static(c, "\r\n");
}

void
direct_end(struct conn *c)
{
	c->out_end = true;
	if (c->out_chunked && !c->out_cut)
		put_static(c, "0\r\n\r\n");
}

/* All is with the kernel: wait for the client's close, reading what it still
 * sends, so that no reset overtakes the answer (RFC 9112 9.6). */
static void
linger(struct conn *c)
{
	c->out_flushed = true;
	shutdown(c->fd, SHUT_WR);
	conn_deadline(c, DEADLINE_LINGER, LINGER);
	buf_reset(&c->req.body);
	conn_resume(c);
}

void
direct_flush(struct conn *c)
{
	ssize_t n = 0;

	if (c->out_flushed || c->dead)
		return;
	while (c->out.bytes > 0 && (n = outq_send(&c->out, c->fd)) > 0) {
		if (!c->front->running)		/* the tap has seen it */
			STAT_ADD(sent, (size_t)n);
		conn_deadline(c, DEADLINE_WRITE,
		    c->front->conf->timeouts_write);
	}
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		c->aborted = true;
	if (c->aborted) {
		conn_shut(c);
		return;
	}
	loop_io_set(c->front->loop, &c->io, LOOP_RDHUP | LOOP_EDGE |
	    (c->out.bytes > 0 ? LOOP_WRITE : 0));
	conn_wake_writer(c);
	if (c->out.bytes == 0 && c->out_end)
		linger(c);
}

void
direct_refuse(struct conn *c, enum refusal why)
{
	struct http_data body = refusal_body(why);
	struct http_head head;

	stats_add(refusals[why].counter, 1);
	refusal_head(&head, why);
	c->status = head.status;
	direct_start(c, &head, (int64_t)body.n);
	direct_put(c, body);
	direct_end(c);
	http_head_fini(&head);
	direct_flush(c);
}
