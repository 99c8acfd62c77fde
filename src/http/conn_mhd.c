/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A connection's life: start and end, suspension, the watch for hang-ups, the
 * deadlines, the rest between two requests.
 */
#include "http/mhd_priv.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

/* The end of file that comes with the last bytes is not seen by the library,
 * which takes a short read for the end of what there is. Requests that it has
 * read already are served before this time is over. */
#define HALF_CLOSED_TIME	(5 * NSEC_PER_MSEC)
#define LET_GO_TIME	(250 * NSEC_PER_MSEC)

bool
conn_is_head(const struct conn *c)
{
	return str_eq(c->req.method, STR("HEAD"));
}

/* ---- suspension --------------------------------------------------------- */

void
conn_suspend(struct conn *c)
{
	if (c->suspended)
		return;
	MHD_suspend_connection(c->mhd);
	c->suspended = true;
}

/* Before 1.0 the library does not wake itself for a resumed connection. */
void
conn_resume(struct conn *c)
{
	if (!c->suspended)
		return;
	c->suspended = false;
	MHD_resume_connection(c->mhd);
	front_need_run(c->front);
}

/*
 * The library reads the end of file and closes.  One that it has read already,
 * while it sent an answer, it has forgotten, and no event will come any more:
 * a connection that is suspended and resumed is looked at again.  Only from
 * outside its run, though.
 */
void
conn_shut(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	shutdown(c->fd, SHUT_RDWR);
	if (c->half_closed && !c->front->running)
		conn_suspend(c);
	conn_resume(c);
}

/*
 * Close it unless a request is in the socket's queue: that is read after
 * SHUT_RD, and answered.  A while later it is shut in any case.
 */
void
conn_let_go(struct conn *c)
{
	c->shut_rd = true;
	shutdown(c->fd, SHUT_RD);
	conn_deadline(c, DEADLINE_IDLE, LET_GO_TIME);
}

/* Called where the unsent part of an answer shrinks. */
void
conn_wake_writer(struct conn *c)
{
	if (c->out_full && c->out.bytes <= HTTP_LOW_WATER) {
		c->out_full = false;
		if (c->dispatched)
			c->front->ops->drained(&c->req);
	}
}

/* ---- deadlines: one lazy timer a connection ----------------------------- */

void
conn_deadline(struct conn *c, enum deadline kind, nsec_t timeout)
{
	c->deadline = kind;
	c->looked = false;
	c->until = timeout > 0 ? loop_now(c->front->loop) + timeout :
	    NSEC_NEVER;
	if (c->until == NSEC_NEVER)
		return;			/* an armed timer finds that out */
	if (!loop_timer_armed(&c->timer) || c->timer.when > c->until)
		loop_timer_set(c->front->loop, &c->timer, c->until);
}

static bool
tcp_info(const struct conn *c, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

static void
expire(struct conn *c)
{
	STAT_ADD(errors_timeout, 1);
	conn_shut(c);
}

/* What the client sends now may have been under way. */
static void
expire_idle(struct conn *c)
{
	if (c->front->draining && !c->half_closed && !c->close_after &&
	    !c->shut_rd)
		conn_let_go(c);
	else
		conn_shut(c);
}

static void
expire_head(struct conn *c)
{
	direct_refuse(c, REFUSAL_TIMEOUT);
	conn_shut(c);
}

static void
expire_body(struct conn *c)
{
	if (c->suspended) {		/* it is us who do not read */
		conn_deadline(c, DEADLINE_BODY, c->front->conf->timeouts_body);
		return;
	}
	if (c->answer != ANSWER_NONE) {
		expire(c);
		return;
	}
	direct_refuse(c, REFUSAL_TIMEOUT);
	conn_shut(c);
}

/* Only a client that takes nothing of what there is to take is at fault. */
static void
expire_write(struct conn *c)
{
	struct tcp_info info;
	uint64_t acked = 0;
	int unsent = 0;

	ioctl(c->fd, SIOCOUTQ, &unsent);
	if (tcp_info(c, &info))
		acked = info.tcpi_bytes_acked;
	else
		acked = (uint64_t)(INT32_MAX - unsent);
	if (unsent > 0 && acked == c->acked) {
		expire(c);
		return;
	}
	c->acked = acked;
	conn_deadline(c, DEADLINE_WRITE, c->front->conf->timeouts_write);
}

/* A connection that is resumed is looked at. */
static void
expire_cut(struct conn *c)
{
	conn_suspend(c);
	conn_resume(c);
}

typedef void expire_f(struct conn *);

static expire_f *const expiries[] = {
	[DEADLINE_NONE]		= NULL,
	[DEADLINE_FIRST]	= expire_head,
	[DEADLINE_IDLE]		= expire_idle,
	[DEADLINE_HEAD]		= expire_head,
	[DEADLINE_BODY]		= expire_body,
	[DEADLINE_WRITE]	= expire_write,
	[DEADLINE_HOLD]		= answer_held_direct,
	[DEADLINE_CUT]		= expire_cut,
	[DEADLINE_LINGER]	= conn_shut,
};

/*
 * What has come in time counts, also when the loop was too busy to look at it:
 * the library has one more run before the deadline is over.
 */
static bool
last_look(struct conn *c)
{
	bool begun = c->stage == STAGE_HEAD && c->received > c->used;

	if (c->looked || c->suspended || c->deadline == DEADLINE_WRITE ||
	    c->deadline >= DEADLINE_CUT || !(begun || conn_has_unread(c)))
		return false;
	c->looked = true;
	front_need_run(c->front);
	return true;
}

static void
on_timer(struct loop *loop, struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);

	if (c->until == NSEC_NEVER ||
	    (c->closing && c->deadline != DEADLINE_CUT))
		return;
	if (loop_now(loop) < c->until)
		loop_timer_set(loop, t, c->until);
	else if (last_look(c))
		loop_timer_set(loop, t, loop_now(loop));
	else if (expiries[c->deadline] != NULL)
		expiries[c->deadline](c);
}

/* ---- hang-ups ----------------------------------------------------------- */

bool
conn_has_unread(const struct conn *c)
{
	int n;

	return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

void
conn_tell_gone(struct conn *c)
{
	if (!c->dispatched || c->req.gone)
		return;
	c->req.gone = true;
	c->front->ops->gone(&c->req);
}

static void
on_io(struct loop *loop UNUSED, struct loop_io *io, unsigned revents)
{
	struct conn *c = container_of(io, struct conn, io);

	if (revents & LOOP_WRITE)
		direct_flush(c);
	if (!(revents & (LOOP_RDHUP | LOOP_HUP)) || c->closing ||
	    (c->shut_rd && !(revents & LOOP_HUP)))
		return;
	c->half_closed = true;
	if (revents & LOOP_HUP || c->stage == STAGE_EXPECT) {
		c->dead = true;
		c->aborted = true;
	}
	/* the rest of a body may be in the queue: see on_piece() */
	if (c->dead || c->stage != STAGE_BODY || !conn_has_unread(c))
		conn_tell_gone(c);
	if (c->dead)
		conn_resume(c);
	else if (c->stage == STAGE_HEAD)
		conn_deadline(c, DEADLINE_IDLE, HALF_CLOSED_TIME);
}

/* ---- start and end ------------------------------------------------------ */

static void
conn_new(struct front *f, struct MHD_Connection *mhd, void **ctx)
{
	struct conn *c = f->adding;

	f->adding = NULL;
	c->mhd = mhd;
	loop_io_init(&c->io, c->fd, on_io);
	loop_timer_init(&c->timer, on_timer);
	loop_work_init(&c->dispatch, LOOP_DEFERRED, request_dispatch);
	c->req.ends = &c->ends;
	list_append(&f->conns, &c->node);
	f->by_fd[c->fd] = c;
	f->nconns++;
	STAT_ADD(conns_idle, 1);
	loop_io_set(f->loop, &c->io, LOOP_RDHUP | LOOP_EDGE);
	conn_deadline(c, DEADLINE_FIRST, f->conf->timeouts_header);
	*ctx = c;
}

static void
log_access(struct conn *c, nsec_t now)
{
	struct accesslog_entry e = { .ends = &c->ends,
	    .root_path = c->front->conf->root_path,
	    .method = c->req.method, .path = c->req.path,
	    .query = c->req.query, .minor = c->req.minor,
	    .status = c->status != 0 ? c->status : 499,
	    .bytes = c->body_bytes };
	const char *v;

	if (c->front->log.out.fd == -1)
		return;
	if (c->started != 0)
		e.duration = now - c->started;
	if (c->mhd != NULL) {
		v = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND,
		    "Referer");
		e.referer = v != NULL ? str_of(v) : STR("");
		v = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND,
		    "User-Agent");
		e.user_agent = v != NULL ? str_of(v) : STR("");
	}
	accesslog_add(&c->front->log, &e);
}

/* Was it the client who kept the answer from being complete? */
static bool
was_left(const struct conn *c)
{
	return c->half_closed || c->dead ||
	    !(c->closing || c->aborted || c->out_cut);
}

static void
count(struct conn *c, bool ok, nsec_t now)
{
	unsigned class = c->status / 100;

	if (class >= 1 && class <= 5)
		stats_add(STAT_responses_1xx + class - 1, 1);
	if (!c->dispatched)
		return;
	STAT_OBSERVE(total, now - c->started);
	if (!ok && was_left(c))
		STAT_ADD(errors_aborted, 1);
}

void
conn_set_active(struct conn *c, bool active)
{
	if (c->active == active)
		return;
	c->active = active;
	STAT_ADD(conns_active, active ? 1 : -1);
	STAT_ADD(conns_idle, active ? -1 : 1);
}

/* The exchange is over: back to between two requests. */
static void
rest(struct conn *c, bool ok)
{
	struct front *f = c->front;
	nsec_t now = mono_now();

	loop_work_del(f->loop, &c->dispatch);
	if (c->dispatched || c->status != 0) {
		log_access(c, now);
		count(c, ok, now);
	}
	if (c->dispatched)
		f->ops->done(&c->req, ok);
	if (c->counted)
		STAT_SUB(in_flight, 1);
	conn_set_active(c, false);
	if (c->resp != NULL)
		MHD_destroy_response(c->resp);
	answer_forget_held(c);
	outq_fini(&c->out);
	buf_fini(&c->req.body);
	c->req = (struct http_req){ .ends = &c->ends };
	c->stage = STAGE_HEAD;
	c->answer = ANSWER_NONE;
	c->resp = NULL;
	c->dispatched = c->want_body = c->aborted = c->counted = false;
	c->out_end = c->out_cut = c->out_flushed = false;
	c->out_chunked = c->out_full = false;
	c->status = 0;
	c->body_bytes = c->body_in = 0;
	c->started = 0;
	c->head_begun = c->scans = c->strays = false;
	c->head_open = c->nul = false;
	c->target = c->cut = NULL;
	c->rested = now;		/* a turn may have lasted */
	c->said_close = c->said_close || !ok;
	if (f->fields_of == c)
		f->fields_of = NULL;
	/* a library that ends a stream when it was resumed has it in no epoll
	 * set, and would not look at it again to close it */
	if (!ok)
		conn_deadline(c, DEADLINE_CUT, 1);
	else if (c->half_closed || c->close_after)
		conn_deadline(c, DEADLINE_IDLE, HALF_CLOSED_TIME);
	else if (c->received > c->used)	/* a next head */
		conn_deadline(c, DEADLINE_HEAD, f->conf->timeouts_header);
	else
		conn_deadline(c, DEADLINE_IDLE, f->draining ? DRAIN_GRACE :
		    f->conf->timeouts_keep_alive);
}

static void
conn_free(struct conn *c)
{
	struct front *f = c->front;

	/* heads that were never complete; and 0.9.75 forgets the completion
	 * callback after some parse errors. The pool is gone by now. */
	if (c->stage != STAGE_HEAD || c->dispatched || c->status != 0) {
		c->mhd = NULL;
		c->req.method = c->req.path = c->req.query = STR("");
		rest(c, false);
	}
	STAT_SUB(conns_idle, 1);
	f->ops->closed(&c->ends);
	if (c->lingers)
		linger_add(&f->lingerers, c->fd);
	f->by_fd[c->fd] = NULL;
	if (f->current == c)
		f->current = NULL;
	loop_timer_del(f->loop, &c->timer);
	loop_io_forget(f->loop, &c->io);
	list_remove(&c->node);
	free(c);
	front_conn_gone(f);
}

void
conn_on_notify(void *cls, struct MHD_Connection *mhd, void **ctx,
    enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_new(cls, mhd, ctx);
	else if (*ctx != NULL)
		conn_free(*ctx);
}

void
conn_on_completed(void *cls UNUSED, struct MHD_Connection *mhd UNUSED,
    void **ctx, enum MHD_RequestTerminationCode code)
{
	struct conn *c = *ctx;

	if (c == NULL)
		return;
	*ctx = NULL;
	c->front->current = c;
	rest(c, c->answer == ANSWER_DIRECT ? c->out_flushed :
	    code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}
