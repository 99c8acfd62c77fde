/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The answering half of http.h: which of the ways an answer takes.
 *
 *	request wholly here		through the library
 *	100 Continue still unsent	through the library, which then closes
 *	body still arriving		a whole answer is held back while what
 *					is missing is small (keep-alive
 *					survives); else direct
 *	half-closed client, huge head	direct
 */
#include "http/mhd_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So much of an unread body is drained for the sake of keep-alive, and so
 * long the answer waits for it. */
#define DRAIN_SIZE	(64 * 1024)
#define DRAIN_TIME	(250 * NSEC_PER_MSEC)

static struct conn *
conn_of(struct http_req *req)
{
	return container_of(req, struct conn, req);
}

static bool
unanswerable(const struct conn *c)
{
	return c->dead || c->aborted || c->answer != ANSWER_NONE;
}

static bool
must_be_direct(const struct conn *c, const struct http_head *head)
{
	switch (c->stage) {
	case STAGE_BODY:
		return true;
	case STAGE_FINAL:
		/* resuming would read the end of file before the answer */
		return (c->half_closed && c->suspended) ||
		    !reply_fits(c, head);
	default:
		return false;
	}
}

/* Make a library answer known: the access handler queues it. */
static int
give(struct conn *c, enum answer answer, struct MHD_Response *resp)
{
	if (resp == NULL) {
		c->aborted = true;
		conn_resume(c);
		return -1;
	}
	c->answer = answer;
	c->resp = resp;
	conn_resume(c);
	return 0;
}

static bool
can_hold(const struct conn *c)
{
	return c->stage == STAGE_BODY && c->facts.has_length &&
	    !c->half_closed && c->facts.length - c->body_in <= DRAIN_SIZE;
}

static int
hold(struct conn *c, const struct http_head *head, struct http_data d)
{
	if ((c->held = malloc(sizeof(*c->held))) == NULL) {
		http_data_release(&d);
		return give(c, ANSWER_HELD, NULL);
	}
	http_head_copy(&c->held->head, head);
	c->held->data = d;
	c->answer = ANSWER_HELD;
	buf_reset(&c->req.body);
	conn_deadline(c, DEADLINE_HOLD, DRAIN_TIME);
	conn_resume(c);
	return 0;
}

void
answer_forget_held(struct conn *c)
{
	if (c->held == NULL)
		return;
	http_data_release(&c->held->data);
	http_head_fini(&c->held->head);
	free(c->held);
	c->held = NULL;
}

static void
whole_direct(struct conn *c, const struct http_head *head, struct http_data d)
{
	direct_start(c, head, head->length != HTTP_LENGTH_NONE ?
	    head->length : (int64_t)d.n);
	c->body_bytes = 0;
	direct_put(c, d);
	direct_end(c);
	direct_flush(c);
}

/* The body has ended in time: an ordinary answer. */
enum MHD_Result
answer_release_held(struct conn *c)
{
	struct http_data d = c->held->data;

	c->held->data.release = NULL;
	c->resp = reply_whole(c, &c->held->head, d);
	answer_forget_held(c);
	c->answer = ANSWER_WHOLE;
	return c->resp != NULL ? reply_queue(c) : MHD_NO;
}

/* It has not: the client may be waiting for the answer first. */
void
answer_held_direct(struct conn *c)
{
	struct http_data d = c->held->data;

	c->held->data.release = NULL;
	whole_direct(c, &c->held->head, d);
	answer_forget_held(c);
}

int
http_reply(struct http_req *req, const struct http_head *head,
    struct http_data d)
{
	struct conn *c = conn_of(req);

	if (unanswerable(c)) {
		http_data_release(&d);
		return -1;
	}
	c->status = head->status;
	if (can_hold(c)) {
		c->body_bytes = reply_bodyless(c, c->status) ? 0 : d.n;
		return hold(c, head, d);
	}
	if (must_be_direct(c, head)) {
		whole_direct(c, head, d);
		return 0;
	}
	c->body_bytes = reply_bodyless(c, c->status) ? 0 : d.n;
	return give(c, ANSWER_WHOLE, reply_whole(c, head, d));
}

int
http_start(struct http_req *req, const struct http_head *head)
{
	struct conn *c = conn_of(req);

	if (unanswerable(c))
		return -1;
	c->status = head->status;
	if (must_be_direct(c, head)) {
		direct_start(c, head, head->length);
		direct_flush(c);
		return 0;
	}
	return give(c, ANSWER_STREAM, reply_stream(c, head));
}

int
http_send(struct http_req *req, struct http_data d)
{
	struct conn *c = conn_of(req);

	if (c->dead || c->aborted) {
		http_data_release(&d);
		return -1;
	}
	if (c->answer == ANSWER_DIRECT) {
		direct_put(c, d);
		direct_flush(c);
	} else if (reply_bodyless(c, c->status)) {
		http_data_release(&d);
	} else {
		c->body_bytes += d.n;
		if (outq_put(&c->out, d) == -1)
			c->aborted = true;
		conn_resume(c);
	}
	if (c->out.bytes > HTTP_HIGH_WATER)
		c->out_full = true;	/* until conn_wake_writer() */
	return c->dead || c->aborted ? -1 : 0;
}

bool
http_is_full(struct http_req *req)
{
	return conn_of(req)->out_full;
}

void
http_end(struct http_req *req)
{
	struct conn *c = conn_of(req);

	if (c->answer == ANSWER_DIRECT) {
		direct_end(c);
		direct_flush(c);
		return;
	}
	c->out_end = true;
	if (c->answer == ANSWER_STREAM)
		conn_resume(c);
}

void
http_abort(struct http_req *req)
{
	struct conn *c = conn_of(req);

	c->out_cut = true;
	if (c->answer == ANSWER_DIRECT) {
		direct_end(c);
		direct_flush(c);
		return;
	}
	if (c->answer != ANSWER_STREAM) {
		c->aborted = true;
		if (c->stage == STAGE_BODY)
			conn_shut(c);
	}
	conn_resume(c);
}

void
http_close_after(struct http_req *req)
{
	conn_of(req)->close_after = true;
}

void
http_want_body(struct http_req *req)
{
	struct conn *c = conn_of(req);

	c->want_body = true;
	if ((c->stage == STAGE_EXPECT && c->answer == ANSWER_NONE) ||
	    (c->stage == STAGE_BODY && req->body.len < HTTP_LOW_WATER))
		conn_resume(c);
}

void
http_describe(const struct http_req *req, char text[HTTP_DESCRIBE_MAX])
{
	char peer[SOCK_TEXT_MAX];
	size_t i, n;

	sock_text(&req->ends->peer, peer);
	if (req->method.n == 0) {
		snprintf(text, HTTP_DESCRIBE_MAX, "a request from %s", peer);
		return;
	}
	snprintf(text, HTTP_DESCRIBE_MAX, "%.*s %.*s", (int)req->method.n,
	    req->method.p, req->path.n > 120 ? 120 : (int)req->path.n,
	    req->path.p);
	n = strlen(text);
	for (i = 0; i < n; i++)		/* 8-bit paths are refused before */
		if (text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	snprintf(text + n, HTTP_DESCRIBE_MAX - n, " from %s", peer);
}
