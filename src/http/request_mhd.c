/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request as libmicrohttpd delivers it: the URI callback; the access
 * handler once with the head, once a piece of the body, once at its end.
 *
 * An answer queued in the first of these calls always ends the connection,
 * one in a piece call is refused; so requests are answered in the last call,
 * and a request that is not answered then is suspended.
 */
#include "http/mhd_priv.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/log.h"

/* ---- bytes ------------------------------------------------------------- */

static void
head_begins(struct conn *c, char first)
{
	bool nothing_before = c->received == c->used;

	c->head_begun = true;
	if (nothing_before && !http_is_token(&first, 1) && first != '\r' &&
	    first != '\n') {
		/* a TLS hello: it has no line end to wait for */
		request_on_library_error(c, 400);
		conn_shut(c);
	} else if (c->deadline == DEADLINE_IDLE && !c->half_closed)
		conn_deadline(c, DEADLINE_HEAD,
		    c->front->conf->timeouts_header);
}

/* false: the framing is broken. */
static bool
scan_chunks(struct conn *c, const char *p, size_t n)
{
	c->used += chunk_scan(&c->chunks, p, n);
	c->scans = c->chunks.state < CHUNK_DONE;
	return c->chunks.state != CHUNK_BAD;
}

/*
 * libmicrohttpd before 1.0 turns CR and LF into NUL as it goes: once it has
 * parsed a head, a NUL that was sent cannot be told from a line end any more.
 * So the lines behind the request line are looked at while they are raw:
 * here those that are in the buffer, in request_on_recv() those that follow.
 */
static void
look_for_nul(struct conn *c, const char *p, size_t n)
{
	char seam[6];
	size_t kept = sizeof(c->tail), part = n < 3 ? n : 3, end = n;
	const char *at;

	/* the end of the head may lie across two reads */
	memcpy(seam, c->tail, kept);
	memcpy(seam + kept, p, part);
	if ((at = memmem(seam, kept + part, "\r\n\r\n", 4)) != NULL)
		end = (size_t)(at + 4 - seam) - kept;
	else if ((at = memmem(p, n, "\r\n\r\n", 4)) != NULL)
		end = (size_t)(at + 4 - p);
	c->nul = c->nul || memchr(p, '\0', end) != NULL;
	c->head_open = at == NULL;
	memmove(seam, seam + part, kept);
	memcpy(c->tail, n < 3 ? seam : p + n - 3, kept);
}

/* The request line has been cut into its parts; `uri` is the second. */
static void
look_behind_request_line(struct conn *c, const char *uri)
{
	const char *end = c->pool + (c->received - c->used), *p;

	p = uri + strlen(uri) + 1;		/* the version */
	if (uri < c->pool || end > c->pool + MHD_POOL_SIZE || p >= end)
		return;
	p += strnlen(p, (size_t)(end - p));
	/* what was CR and LF, and stands for the end of a line still */
	memcpy(c->tail, "x\r\n", sizeof(c->tail));
	if (p + 2 <= end)
		look_for_nul(c, p + 2, (size_t)(end - p) - 2);
}

/* Empty lines before a request line are skipped; one that begins with a NUL
 * looks empty and is not. */
static bool
skipped_text(const struct conn *c, const char *method)
{
	const char *p;

	for (p = c->pool; p < method; p++)
		if (*p != '\0' && *p != '\r' && *p != '\n')
			return true;
	return false;
}

/* Is there a request whose answer is not out yet, and may still go? The
 * library would close on an end of file before it asks for that. */
static bool
is_owed(const struct conn *c)
{
	return c->stage == STAGE_FINAL && !c->closing && !c->dead &&
	    !c->aborted && !c->out_flushed;
}

int
request_on_recv(struct conn *c, const char *buf, ssize_t n)
{
	c->front->current = c;
	if (n == 0 && is_owed(c))
		return EAGAIN;
	/* the head will never be complete, and the library would wait */
	if (n == 0 && c->stage == STAGE_HEAD && c->head_begun)
		conn_shut(c);
	if (n <= 0)
		return 0;
	if (c->received == 0)
		c->pool = buf;
	if (c->stage == STAGE_HEAD && !c->head_begun)
		head_begins(c, *buf);
	c->received += (uint64_t)n;
	if (c->head_open)
		look_for_nul(c, buf, (size_t)n);
	if (!c->scans || scan_chunks(c, buf, (size_t)n))
		return 0;
	request_on_library_error(c, 400);
	return ECONNRESET;
}

/*
 * The head ends `size` octets after `head`; what follows in the buffer belongs
 * to the body, and to requests behind it. false: the framing is broken.
 */
static bool
scan_begin(struct conn *c, const char *head, size_t size)
{
	size_t end = (size_t)(head - c->pool) + size;	/* empty lines too */
	uint64_t left;

	c->used += end;
	left = c->received > c->used ? c->received - c->used : 0;
	if (head < c->pool || end + left > MHD_POOL_SIZE) {
		/* a library that keeps its buffer otherwise: hands off */
		c->used = c->received;
		return true;
	}
	if (!c->facts.chunked) {
		c->used += c->facts.length;
		return true;
	}
	c->chunks = (struct chunk_scan){ 0 };
	c->scans = true;
	return left == 0 || scan_chunks(c, head + size, (size_t)left);
}

/* Some request lines make the library close without a word. */
void
request_on_shutdown(struct conn *c)
{
	bool more = c->head_begun ||
	    (c->received > c->used && c->used > 0 && !c->said_close);

	if (c->stage == STAGE_HEAD && c->answer == ANSWER_NONE && more &&
	    !c->lingers)
		request_on_library_error(c, 400);
}

/* ---- the head ----------------------------------------------------------- */

/*
 * Before anything is parsed. A NUL behind '?' keeps the library from parsing
 * query arguments, which costs time and pool, hangs 0.9.75 and crashes 1.0.1.
 */
void *
request_on_uri(void *cls UNUSED, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *c = info->socket_context;
	char *q;

	c->front->current = c;
	c->target = (char *)(uintptr_t)uri;
	c->target_len = uri != NULL ? strlen(uri) : 0;
	if (!MHD_1_0 && uri != NULL)
		look_behind_request_line(c, uri);
	if (uri != NULL && (q = strchr(c->target, '?')) != NULL) {
		c->cut = q + 1;
		c->cut_char = *c->cut;
		*c->cut = '\0';
	}
	return c;
}

static enum MHD_Result
collect_field(void *cls, enum MHD_ValueKind kind UNUSED, const char *name,
    size_t nlen, const char *value, size_t vlen)
{
	struct front *f = cls;
	struct http_field *fields;
	size_t cap;

	if (f->nfields == f->fields_cap) {
		cap = f->fields_cap > 0 ? 2 * f->fields_cap : 64;
		fields = realloc(f->fields, cap * sizeof(*fields));
		if (fields == NULL)
			return MHD_NO;
		f->fields = fields;
		f->fields_cap = cap;
	}
	f->fields[f->nfields++] = (struct http_field){ { name, nlen },
	    { value, value != NULL ? vlen : 0 } };
	return MHD_YES;
}

/* false: out of memory, some are missing. */
static bool
collect_fields(struct conn *c)
{
	struct front *f = c->front;
	size_t i;
	int n;

	f->nfields = 0;
	n = MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND,
	    collect_field, f);
	f->fields_of = c;
	for (i = 0; i < f->nfields; i++)
		if (f->fields[i].value.p == NULL)
			f->fields[i].value = STR("");
	return n >= 0 && (size_t)n == f->nfields;
}

static void
trim_fields(struct front *f)
{
	size_t i;

	for (i = 0; i < f->nfields; i++)
		f->fields[i].value = str_trim(f->fields[i].value);
}

static bool
has_padded_encoding(const struct front *f)
{
	const struct http_field *field;
	size_t i;

	for (i = 0; i < f->nfields; i++) {
		field = &f->fields[i];
		if (str_ieq(field->name, STR("Transfer-Encoding")) &&
		    str_trim(field->value).n != field->value.n)
			return true;
	}
	return false;
}

static enum refusal
check_conn(struct conn *c, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd,
	    MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct front *f = c->front;
	struct check_head head = { .method = str_of(method),
	    .target = { c->target, c->target_len },
	    .version = str_of(version),
	    .header_size = info != NULL ? info->header_size : 0 };
	enum refusal r;

	c->req.method = head.method;
	c->req.path = head.target;
	if (c->cut != NULL)
		*c->cut = c->cut_char;
	if (!collect_fields(c))
		return REFUSAL_MEMORY;
	head.fields = f->fields;
	head.nfields = f->nfields;
	/* the library has put a NUL where the '?' was */
	if (c->cut != NULL)
		c->cut[-1] = '?';
	if (!MHD_1_0 && c->target != NULL && (c->nul ||
	    skipped_text(c, method) || !check_contiguous(&head)))
		return REFUSAL_SYNTAX;
	/* "chunked" with blanks behind it is another coding to the library */
	if (!MHD_1_0 && has_padded_encoding(f))
		return REFUSAL_TE;
	trim_fields(f);
	if (c->target == NULL)
		return REFUSAL_TARGET;
	r = check_request(&head, &f->limits, &c->facts);
	c->req.minor = c->facts.minor;
	if (r == REFUSAL_NONE &&
	    !scan_begin(c, method, head.header_size))
		r = REFUSAL_BODY;
	if (r == REFUSAL_NONE) {
		c->req.path = c->facts.path;
		c->req.query = c->facts.query;
	}
	return r;
}

static bool
has_body(const struct conn *c)
{
	return c->facts.chunked || c->facts.length > 0;
}

static enum refusal
admit(struct conn *c)
{
	struct front *f = c->front;

	if (f->conf->limits_concurrency > 0 &&
	    STAT_GET(in_flight) >= (uint64_t)f->conf->limits_concurrency)
		return REFUSAL_BUSY;
	c->counted = true;
	STAT_ADD(in_flight, 1);
	return REFUSAL_NONE;
}

static void
note_refusal(struct conn *c, enum refusal why)
{
	char text[HTTP_DESCRIBE_MAX];

	http_describe(&c->req, text);
	log_info("refused: %s: %u %s", text, refusals[why].status,
	    refusals[why].text);
	c->lingers = true;
}

/* Any answer in the library's first call ends the connection; ours waits
 * until the client has read it. */
static enum MHD_Result
refuse(struct conn *c, enum refusal why)
{
	note_refusal(c, why);
	c->stage = STAGE_REFUSED;
	direct_refuse(c, why);
	return MHD_NO;
}

/* What the library refuses by itself, by its status. */
static enum refusal
library_refusal(const struct conn *c, unsigned status)
{
	static const enum refusal by_status[] = { REFUSAL_HEADER_SIZE,
	    REFUSAL_TARGET_SIZE, REFUSAL_BODY_SIZE, REFUSAL_VERSION,
	    REFUSAL_UNSUPPORTED };
	size_t i;

	if (c->stage == STAGE_HEAD && status == 413)
		return REFUSAL_LENGTH;	/* more than 64 bits */
	for (i = 0; i < countof(by_status); i++)
		if (refusals[by_status[i]].status == status)
			return by_status[i];
	return c->stage == STAGE_HEAD ? REFUSAL_SYNTAX : REFUSAL_BODY;
}

/*
 * Its own answer is a page of HTML, without a Date: ours goes out first, and
 * what the library sends after it finds the sending side shut.
 */
void
request_on_library_error(struct conn *c, unsigned status)
{
	enum refusal why = library_refusal(c, status);

	if (c->answer != ANSWER_NONE)
		return;
	note_refusal(c, why);
	direct_refuse(c, why);
	shutdown(c->fd, SHUT_WR);
	conn_tell_gone(c);
}

static enum MHD_Result
on_head(struct conn *c, const char *method, const char *version)
{
	struct front *f = c->front;
	enum refusal why;

	c->started = mono_now();
	conn_set_active(c, true);
	why = check_conn(c, method, version);
	if (why == REFUSAL_NONE && has_body(c))
		why = admit(c);
	if (why != REFUSAL_NONE)
		return refuse(c, why);
	c->stage = STAGE_BODY;
	if (!has_body(c))
		return MHD_YES;
	conn_deadline(c, DEADLINE_BODY, f->conf->timeouts_body);
	if (c->facts.expect_continue && c->req.minor == 1) {
		c->stage = STAGE_EXPECT;
		conn_deadline(c, DEADLINE_NONE, 0);
		conn_suspend(c);
	}
	loop_work_add(f->loop, &c->dispatch);
	return MHD_YES;
}

/* ---- the body ----------------------------------------------------------- */

static void
dispatch(struct conn *c, nsec_t now)
{
	struct front *f = c->front;

	loop_work_del(f->loop, &c->dispatch);
	c->dispatched = true;
	c->req.began = now;
	if (f->fields_of != c) {
		collect_fields(c);
		trim_fields(f);
	}
	c->req.fields = f->fields;
	c->req.nfields = f->nfields;
	STAT_ADD(requests, 1);
	f->ops->request(&c->req, f->ops_arg);
	c->req.fields = NULL;
	c->req.nfields = 0;
	if (f->max_requests > 0 && STAT_GET(requests) == f->max_requests)
		f->events->served_out(f->events_arg);
	if (c->half_closed && c->answer != ANSWER_WHOLE)
		conn_tell_gone(c);
}

void
request_dispatch(struct loop *loop UNUSED, struct loop_work *w)
{
	dispatch(container_of(w, struct conn, dispatch), mono_now());
}

/* Does anybody want body bytes still? */
static bool
discards(const struct conn *c)
{
	return c->answer == ANSWER_HELD || c->aborted ||
	    (c->answer == ANSWER_DIRECT && c->out_end);
}

static enum MHD_Result
on_piece(struct conn *c, const char *data, size_t *size)
{
	struct front *f = c->front;
	size_t n = *size;

	*size = 0;
	c->body_in += n;
	if (c->stage != STAGE_BODY || discards(c))
		return MHD_YES;
	if (f->limits.body_size > 0 && c->body_in > f->limits.body_size) {
		if (c->answer == ANSWER_NONE)
			direct_refuse(c, REFUSAL_BODY_SIZE);
		else {
			STAT_ADD(errors_limit, 1);
			conn_shut(c);
		}
		conn_tell_gone(c);
		return MHD_YES;
	}
	buf_put(&c->req.body, data, n);
	if (c->req.body.failed)
		return MHD_NO;
	conn_deadline(c, DEADLINE_BODY, f->conf->timeouts_body);
	if (c->dispatched)
		f->ops->body(&c->req);
	/* nothing follows, unless this was the end: on_end() is next then */
	if (c->half_closed && !conn_has_unread(c))
		conn_tell_gone(c);
	if (c->req.body.len >= HTTP_HIGH_WATER)
		conn_suspend(c);
	return MHD_YES;
}

/* The last call of a request, and again after each resumption. */
static enum MHD_Result
on_end(struct conn *c)
{
	if (c->stage == STAGE_BODY) {
		c->stage = STAGE_FINAL;
		c->req.body_done = true;
		if (c->answer == ANSWER_NONE)
			conn_deadline(c, DEADLINE_NONE, 0);
		if (!c->dispatched && !c->counted && admit(c) != REFUSAL_NONE)
			return reply_refusal(c, REFUSAL_BUSY);
		if (!c->dispatched)
			dispatch(c, has_body(c) ? mono_now() : c->started);
		else {
			c->front->ops->body(&c->req);
			if (c->half_closed)
				conn_tell_gone(c);
		}
	}
	if (c->held != NULL)
		return answer_release_held(c);
	if (c->resp != NULL)
		return reply_queue(c);
	if (c->aborted || c->dead || c->closing || c->out_flushed)
		return MHD_NO;
	conn_suspend(c);
	return MHD_YES;
}

/* Still the library's first call: 100 Continue goes out when we return. */
static enum MHD_Result
on_expect(struct conn *c)
{
	if (c->resp != NULL)
		return reply_queue(c);
	if (c->aborted || c->dead || c->closing)
		return MHD_NO;
	if (c->want_body) {
		STAT_ADD(responses_1xx, 1);
		c->stage = STAGE_BODY;
		conn_deadline(c, DEADLINE_BODY,
		    c->front->conf->timeouts_body);
	} else
		conn_suspend(c);
	return MHD_YES;
}

enum MHD_Result
request_on_access(void *cls UNUSED, struct MHD_Connection *mhd UNUSED,
    const char *url UNUSED, const char *method, const char *version,
    const char *data, size_t *size, void **ctx)
{
	struct conn *c = *ctx;

	enum MHD_Result r;

	if (c == NULL)
		return MHD_NO;
	c->front->current = c;
	if (c->stage == STAGE_HEAD)
		r = on_head(c, method, version);
	else if (c->stage == STAGE_EXPECT)
		r = on_expect(c);
	else
		r = *size > 0 ? on_piece(c, data, size) : on_end(c);
	return r;
}
