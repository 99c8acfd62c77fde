/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libmicrohttpd inside our loop: its epoll descriptor is one watcher, it runs
 * in the LOOP_ENGINE phase when there is something to do, and connections
 * are accepted here and handed to it.
 */
#include "http/front.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "http/mhd_priv.h"
#include "http/tap.h"

/* Connections taken a wake-up: few, so that workers share fairly. */
#define ACCEPT_BATCH	8
/* Runs with a zero timeout in one turn, then others have their say. */
#define RUN_BUDGET	8
#define ACCEPT_RETRY	(100 * NSEC_PER_MSEC)
#define ACCEPT_TELL_EVERY	(60 * NSEC_PER_SEC)
/* Taken from a queue before it is left: more come all the time where nobody
 * refuses them. */
#define QUEUE_MAX	65536

/* ---- running the library ------------------------------------------------ */

void
front_need_run(struct front *f)
{
	loop_work_add(f->loop, &f->run);
}

static bool
wants_run(struct front *f)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	return MHD_get_timeout(f->mhd, &timeout) == MHD_YES && timeout == 0;
}

/* NULL: a descriptor of the application's. */
static struct conn *
conn_by_fd(const struct front *f, int fd)
{
	return fd >= 0 && (size_t)fd < f->nby_fd ? f->by_fd[fd] : NULL;
}

static int
on_received(void *arg, int fd, const char *buf, ssize_t n)
{
	struct conn *c = conn_by_fd(arg, fd);

	if (c == NULL)
		return 0;
	STAT_ADD(received, n > 0 ? (size_t)n : 0);
	return request_on_recv(c, buf, n);
}

static bool
on_sending(void *arg, int fd, const char *buf, size_t n)
{
	struct conn *c = conn_by_fd(arg, fd);

	return c == NULL || !reply_is_stray(c, buf, n);
}

static void
on_sent(void *arg, int fd, size_t n)
{
	if (conn_by_fd(arg, fd) != NULL)
		STAT_ADD(sent, n);
}

static void
on_shutting(void *arg, int fd)
{
	struct conn *c = conn_by_fd(arg, fd);

	if (c != NULL)
		request_on_shutdown(c);
}

static const struct tap front_tap = { on_received, on_sending, on_sent,
	on_shutting };

static void
on_run(struct loop *loop, struct loop_work *w)
{
	struct front *f = container_of(w, struct front, run);
	int budget = RUN_BUDGET;
	bool more;

	tap_open(&front_tap, f);
	f->running = true;
	do {
		MHD_run(f->mhd);
		more = wants_run(f);
	} while (more && --budget > 0);
	tap_open(NULL, NULL);
	f->running = false;
	f->current = NULL;
	if (more)
		loop_work_add(loop, w);
}

static void
on_mhd_io(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	front_need_run(container_of(io, struct front, mhd_io));
}

/* The library's words when it answers a request by itself. */
static const char refusal_words[] =
    "Error processing request (HTTP response code is %u";

static void
library_error(struct front *f, va_list ap)
{
	va_list copy;

	if (f->current == NULL)
		return;
	va_copy(copy, ap);
	request_on_library_error(f->current, va_arg(copy, unsigned));
	va_end(copy);
}

/*
 * What the library has to say is for a debugging eye: bad requests and lost
 * clients are not the administrator's errors.
 */
static void PRINTF(2, 0)
on_library_log(void *cls, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	if (strncmp(fmt, refusal_words, sizeof(refusal_words) - 1) == 0)
		library_error(cls, ap);
	if (!log_enabled(LOG_L_DEBUG))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	for (n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	log_debug("libmicrohttpd: %s", text);
}

/* Targets stay as received: decoding is the application layer's. */
static size_t
keep_escaped(void *cls UNUSED, struct MHD_Connection *c UNUSED, char *s)
{
	return strlen(s);
}

static struct MHD_Daemon *
start_library(struct front *f)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET |
	    MHD_USE_SUPPRESS_DATE_NO_CLOCK;

#if MHD_1_0
	flags |= MHD_USE_NO_THREAD_SAFETY;
#endif
	return MHD_start_daemon(flags, 0, NULL, NULL, request_on_access, f,
	    MHD_OPTION_EXTERNAL_LOGGER, on_library_log, f,
	    MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)f->conf->limits_connections + 16,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MHD_POOL_SIZE,
	    MHD_OPTION_CONNECTION_TIMEOUT, 0u,
	    MHD_OPTION_NOTIFY_CONNECTION, conn_on_notify, f,
	    MHD_OPTION_NOTIFY_COMPLETED, conn_on_completed, f,
	    MHD_OPTION_URI_LOG_CALLBACK, request_on_uri, f,
	    MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
#if MHD_1_0
	    MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
	    /* what 1 refuses it closes without an answer; we check */
	    MHD_OPTION_STRICT_FOR_CLIENT, 0,
#endif
	    MHD_OPTION_END);
}

/* ---- accepting ---------------------------------------------------------- */

static void
watch_listeners(struct front *f)
{
	bool on = f->accepting && !f->paused && !f->draining;
	size_t i;

	for (i = 0; i < f->nlisteners; i++)
		loop_io_set(f->loop, &f->listeners[i].io,
		    on ? LOOP_READ | LOOP_EXCLUSIVE : 0);
}

static void
set_paused(struct front *f, bool paused)
{
	if (f->paused == paused)
		return;
	f->paused = paused;
	watch_listeners(f);
}

static bool
is_full(const struct front *f)
{
	return f->nconns >= (unsigned)f->conf->limits_connections;
}

static void
on_retry(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct front *f = container_of(t, struct front, retry);

	set_paused(f, is_full(f));
}

static void
accept_failed(struct front *f)
{
	int failed;

	if (errno == EAGAIN)
		return;
	failed = errno;
	if (mono_rarely(&f->accept_told, ACCEPT_TELL_EVERY))
		log_warn("accept: %s", strerror(failed));
	/* no descriptors or memory: what is queued would wake us for ever */
	set_paused(f, true);
	loop_timer_set(f->loop, &f->retry, loop_now(f->loop) + ACCEPT_RETRY);
}

/* The name the client reached us by; asked of the kernel only for a wildcard
 * listener. */
static const struct sock_addr *
local_of(struct conn *c, const struct listener *l)
{
	struct sock_addr *own;

	if (!l->wildcard)
		return &l->local;
	own = (struct sock_addr *)(c + 1);
	own->len = sizeof(own->ss);
	if (getsockname(c->fd, (struct sockaddr *)&own->ss, &own->len) == -1)
		return &l->local;
	return own;
}

static int
make_slot(struct front *f, int fd)
{
	size_t n = f->nby_fd > 0 ? f->nby_fd : 64;
	struct conn **by_fd;

	if ((size_t)fd < f->nby_fd)
		return 0;
	while (n <= (size_t)fd)
		n *= 2;
	if ((by_fd = realloc(f->by_fd, n * sizeof(*by_fd))) == NULL)
		return -1;
	memset(by_fd + f->nby_fd, 0, (n - f->nby_fd) * sizeof(*by_fd));
	f->by_fd = by_fd;
	f->nby_fd = n;
	return 0;
}

static void
take(struct front *f, const struct listener *l, int fd,
    const struct sock_addr *peer)
{
	struct conn *c = calloc(1, sizeof(*c) +
	    (l->wildcard ? sizeof(struct sock_addr) : 0));

	if (c == NULL || make_slot(f, fd) == -1) {
		free(c);
		close(fd);
		return;
	}
	c->front = f;
	c->fd = fd;
	c->ends.peer = *peer;
	c->ends.local = local_of(c, l);
	c->rested = mono_now();
	f->adding = c;
	STAT_ADD(accepted, 1);
	/* consumes fd in any case; conn_new() has c from here on */
	if (MHD_add_connection(f->mhd, fd, (const struct sockaddr *)&peer->ss,
	    peer->len) != MHD_YES && f->adding != NULL)
		free(c);
	f->adding = NULL;
}

/* At most so many. What it returns is less when there are no more. */
static int
accept_some(struct listener *l, int max)
{
	struct front *f = l->front;
	struct sock_addr peer;
	int fd, i;

	for (i = 0; i < max && !is_full(f); i++) {
		peer.len = sizeof(peer.ss);
		fd = accept4(l->io.fd, (struct sockaddr *)&peer.ss, &peer.len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd == -1) {
			accept_failed(f);
			break;
		}
		take(f, l, fd, &peer);
	}
	return i;
}

static void
on_listener(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	struct listener *l = container_of(io, struct listener, io);
	int n = accept_some(l, ACCEPT_BATCH);

	if (is_full(l->front))
		set_paused(l->front, true);
	if (n > 0)
		front_need_run(l->front);
}

static bool
is_wildcard(const struct sock_addr *a)
{
	const struct sockaddr_in *in = (const void *)&a->ss;
	const struct sockaddr_in6 *in6 = (const void *)&a->ss;

	if (a->ss.ss_family == AF_INET)
		return in->sin_addr.s_addr == htonl(INADDR_ANY);
	return a->ss.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

int
front_listen(struct front *f, const int *fds, size_t n)
{
	struct listener *l;
	size_t i;

	if ((f->listeners = calloc(n, sizeof(*l))) == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		l = &f->listeners[i];
		l->front = f;
		l->local.len = sizeof(l->local.ss);
		if (getsockname(fds[i], (struct sockaddr *)&l->local.ss,
		    &l->local.len) == -1) {
			log_err("listener %d: %s", fds[i], strerror(errno));
			return -1;
		}
		l->wildcard = is_wildcard(&l->local);
		loop_io_init(&l->io, fds[i], on_listener);
		f->nlisteners++;
	}
	return 0;
}

void
front_go(struct front *f)
{
	f->accepting = true;
	watch_listeners(f);
}

/* ---- draining ----------------------------------------------------------- */

static void
check_drained(struct front *f)
{
	if (!f->draining || f->told_drained || f->nconns > 0)
		return;
	f->told_drained = true;
	f->events->drained(f->events_arg);
}

void
front_conn_gone(struct front *f)
{
	f->nconns--;
	if (f->paused && !is_full(f) && !loop_timer_armed(&f->retry))
		set_paused(f, false);
	check_drained(f);
}

static void
take_queue(struct listener *l)
{
	int n = 0;

	while (n < QUEUE_MAX && accept_some(l, ACCEPT_BATCH) == ACCEPT_BATCH)
		n += ACCEPT_BATCH;
}

/* `others`: they serve on where the listener stays. */
static void
leave_queue(struct listener *l, bool others)
{
	bool last = sock_is_last(l->io.fd);

	if (last || !others)
		take_queue(l);
	if (!last)
		return;
	(void)sock_refuse(l->io.fd);
	take_queue(l);
}

static void
close_listeners(struct front *f, bool others)
{
	struct listener *l;
	size_t i;

	for (i = 0; i < f->nlisteners; i++) {
		l = &f->listeners[i];
		if (f->draining && f->accepting)
			leave_queue(l, others);
		loop_io_del(f->loop, &l->io);
		close(l->io.fd);
	}
	f->nlisteners = 0;
}

/*
 * An idle connection is closed; one that was busy, or made, a moment ago is
 * likely to have a request under way already, and gets that answered, with
 * "Connection: close".  So is one whose head has begun, in its usual time.
 */
static void
drain_idle(struct conn *c)
{
	nsec_t rest = loop_now(c->front->loop) - c->rested;

	if (c->head_begun || c->received > c->used)
		return;
	if (rest < DRAIN_GRACE)
		conn_deadline(c, DEADLINE_IDLE, DRAIN_GRACE - rest);
	else
		conn_let_go(c);
}

void
front_drain(struct front *f, bool others)
{
	struct list *pos, *tmp;
	struct conn *c;

	if (f->draining)
		return;
	f->draining = true;
	close_listeners(f, others);
	list_foreach_safe(pos, tmp, &f->conns) {
		c = list_entry(pos, struct conn, node);
		if (c->stage == STAGE_HEAD)
			drain_idle(c);
	}
	front_need_run(f);
	check_drained(f);
}

void
front_abort(struct front *f)
{
	struct list *pos, *tmp;
	struct conn *c;

	list_foreach_safe(pos, tmp, &f->conns) {
		c = list_entry(pos, struct conn, node);
		c->aborted = true;
		c->closing = false;
		conn_shut(c);
	}
	front_need_run(f);
}

/* ---- life --------------------------------------------------------------- */

static uint64_t
with_jitter(const struct conf *conf)
{
	uint64_t max = (uint64_t)conf->workers_max_requests;
	uint64_t jitter = (uint64_t)conf->workers_max_requests_jitter;

	if (max == 0 || jitter == 0)
		return max;
	return max + (uint64_t)(mono_now() ^ getpid()) % (jitter + 1);
}

struct front *
front_new(struct loop *loop, const struct conf *conf,
    const struct http_ops *ops, void *ops_arg,
    const struct front_events *events, void *events_arg)
{
	const union MHD_DaemonInfo *info;
	struct front *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->loop = loop;
	f->conf = conf;
	f->ops = ops;
	f->ops_arg = ops_arg;
	f->events = events;
	f->events_arg = events_arg;
	f->limits = (struct check_limits){ conf->limits_header_size,
	    conf->limits_body_size };
	f->max_requests = with_jitter(conf);
	list_init(&f->conns);
	loop_work_init(&f->run, LOOP_ENGINE, on_run);
	loop_timer_init(&f->retry, on_retry);
	linger_init(&f->lingerers, loop);
	accesslog_init(&f->log, loop, -1, conf->log_format);
	if ((f->mhd = start_library(f)) == NULL) {
		log_err("libmicrohttpd: cannot start: %s", strerror(errno));
		free(f);
		return NULL;
	}
	info = MHD_get_daemon_info(f->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	loop_io_init(&f->mhd_io, info->epoll_fd, on_mhd_io);
	loop_io_set(loop, &f->mhd_io, LOOP_READ);
	return f;
}

void
front_free(struct front **fp)
{
	struct front *f = *fp;
	struct list *pos, *tmp;

	if (f == NULL)
		return;
	close_listeners(f, true);
	/* stopping with a suspended connection aborts the process */
	list_foreach_safe(pos, tmp, &f->conns)
		conn_resume(list_entry(pos, struct conn, node));
	loop_io_del(f->loop, &f->mhd_io);
	MHD_stop_daemon(f->mhd);
	loop_work_del(f->loop, &f->run);
	loop_timer_del(f->loop, &f->retry);
	linger_fini(&f->lingerers);
	accesslog_fini(&f->log);
	free(f->by_fd);
	free(f->listeners);
	free(f->fields);
	free(f);
	*fp = NULL;
}

void
front_forked(struct front *f)
{
	struct list *pos;
	size_t i;

	for (i = 0; i < f->nlisteners; i++)
		fd_close(&f->listeners[i].io.fd);
	for (pos = f->conns.next; pos != &f->conns; pos = pos->next)
		fd_close(&list_entry(pos, struct conn, node)->fd);
	linger_forked(&f->lingerers);
	/* the library's own: it is not called again */
	fd_close(&f->mhd_io.fd);
}

void
front_set_access_fd(struct front *f, int fd)
{
	accesslog_set_fd(&f->log, fd);
}

const char *
front_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd %s", MHD_get_version());
	return text;
}
