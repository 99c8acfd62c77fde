/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers through libmicrohttpd.  A response is queued inside the access
 * handler only; what the library answers to that is returned to it, for a
 * refused response that is ignored is a busy loop.
 */
#include "http/mhd_priv.h"

#include <string.h>

#include "base/date.h"

/* Block of a sized callback response, behind the response struct. */
#define SIZED_BLOCK	(16 * 1024)
/* Fields are kept by the library in nodes of about this size. */
#define POOL_NODE	72

bool
reply_bodyless(const struct conn *c, unsigned status)
{
	return status == 204 || status == 304 || conn_is_head(c);
}

bool
reply_fits(const struct conn *c, const struct http_head *head)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd,
	    MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size_t used = info != NULL ? info->header_size : 0;
	/* name: value CRLF, and the library's own lines */
	size_t need = head->text.len + 2 * head->nfields + 512;

	used += POOL_NODE * (used / 24 + 8);
	return head->text.len < 1024 || used + need < MHD_POOL_SIZE;
}

static bool
add_field(struct MHD_Response *r, const char *name, const char *value)
{
	/* an empty value is refused; a blank parses as empty */
	return MHD_add_response_header(r, name,
	    value[0] != '\0' ? value : " ") == MHD_YES;
}

/* Our fields, then the application's. NULLs and frees *r on failure. */
static struct MHD_Response *
add_fields(struct conn *c, struct MHD_Response *r,
    const struct http_head *head)
{
	const struct front *f = c->front;
	const char *name, *value;
	size_t pos = 0;
	bool ok = r != NULL;

	c->said_close = head->close || f->draining || c->closing ||
	    c->facts.closes || c->req.minor == 0;
	/* before Date: the library forgets that flag otherwise */
	if (ok && (head->close || f->draining || c->closing))
		ok = add_field(r, "Connection", "close");
	if (ok && !head->has_date)
		ok = add_field(r, "Date", date_http());
	if (ok && !head->has_server && f->conf->server_header[0] != '\0')
		ok = add_field(r, "Server", f->conf->server_header);
	while (ok && http_head_next(head, &pos, &name, &value))
		ok = add_field(r, name, value);
	if (!ok && r != NULL) {
		MHD_destroy_response(r);
		r = NULL;
	}
	return r;
}

/* Never asked: the length of a body that is not sent. */
static ssize_t
read_nothing(void *cls UNUSED, uint64_t pos UNUSED, char *to UNUSED,
    size_t max UNUSED)
{
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/*
 * HEAD and 304 promise the length a GET would have had, or its chunked coding
 * (RFC 9112 6.1), without a body.  After a chunked head the library before
 * 0.9.77 sends the last chunk all the same.
 */
static struct MHD_Response *
make_bodyless(struct conn *c, const struct http_head *head, int64_t length)
{
	if (head->status == 204)
		return MHD_create_response_from_buffer(0, NULL,
		    MHD_RESPMEM_PERSISTENT);
#if MHD_1_0
	if (length == HTTP_LENGTH_NONE)
		return MHD_create_response_empty(MHD_RF_HEAD_ONLY_RESPONSE);
#endif
	c->strays = length == HTTP_LENGTH_NONE;
	return MHD_create_response_from_callback(c->strays ?
	    MHD_SIZE_UNKNOWN : (uint64_t)length, 1, read_nothing, NULL, NULL);
}

bool
reply_is_stray(const struct conn *c, const char *p, size_t n)
{
	return c->strays && n == 5 && memcmp(p, "0\r\n\r\n", 5) == 0;
}

struct MHD_Response *
reply_whole(struct conn *c, const struct http_head *head, struct http_data d)
{
	struct MHD_Response *r;
	int64_t length = head->length;

	if (reply_bodyless(c, head->status)) {
		if (length == HTTP_LENGTH_NONE && head->status != 304)
			length = (int64_t)d.n;
		r = make_bodyless(c, head, length);
		http_data_release(&d);
	} else if (d.release == NULL) {
		r = MHD_create_response_from_buffer(d.n,
		    (void *)(uintptr_t)d.p, MHD_RESPMEM_PERSISTENT);
	} else {
		r = MHD_create_response_from_buffer_with_free_callback_cls(d.n,
		    (void *)(uintptr_t)d.p, d.release, d.owner);
		if (r == NULL)
			http_data_release(&d);
	}
	return add_fields(c, r, head);
}

/* ---- streaming: the library asks, we copy ------------------------------- */

static ssize_t
read_stream(void *cls, uint64_t pos UNUSED, char *to, size_t max)
{
	struct conn *c = cls;
	size_t n;

	if (c->aborted)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if ((n = outq_copy(&c->out, to, max)) > 0) {
		conn_deadline(c, DEADLINE_WRITE,
		    c->front->conf->timeouts_write);
		conn_wake_writer(c);
		return (ssize_t)n;
	}
	if (c->out_cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (c->out_end)
		return MHD_CONTENT_READER_END_OF_STREAM;
	/* 0 without a suspension would be asked again at once, for ever */
	conn_deadline(c, DEADLINE_NONE, 0);
	MHD_suspend_connection(c->mhd);
	c->suspended = true;
	return 0;
}

struct MHD_Response *
reply_stream(struct conn *c, const struct http_head *head)
{
	struct MHD_Response *r;

	if (reply_bodyless(c, head->status))
		r = make_bodyless(c, head, head->length);
	else
		r = MHD_create_response_from_callback(
		    head->length == HTTP_LENGTH_NONE ? MHD_SIZE_UNKNOWN :
		    (uint64_t)head->length, SIZED_BLOCK, read_stream, c, NULL);
	return add_fields(c, r, head);
}

/* ---- queueing ----------------------------------------------------------- */

enum MHD_Result
reply_queue(struct conn *c)
{
	struct MHD_Response *r = c->resp;
	enum MHD_Result result;

	c->resp = NULL;
	conn_deadline(c, DEADLINE_WRITE, c->front->conf->timeouts_write);
	result = MHD_queue_response(c->mhd, c->status, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result
reply_refusal(struct conn *c, enum refusal why)
{
	struct http_data body = refusal_body(why);
	struct http_head head;

	stats_add(refusals[why].counter, 1);
	refusal_head(&head, why);
	c->status = head.status;
	c->answer = ANSWER_WHOLE;
	c->body_bytes = body.n;
	c->resp = reply_whole(c, &head, body);
	http_head_fini(&head);
	return c->resp != NULL ? reply_queue(c) : MHD_NO;
}
