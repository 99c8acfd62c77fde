/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections of the metrics listener.  One is read up to the end of the
 * head, answered, and closed when the client has closed it or time is over.
 */
#include "master/metrics.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "master/accept.h"
#include "master/hint.h"
#include "master/names.h"
#include "master/tcp.h"

#define CLIENTS_MAX	32
#define ADDRESSES_MAX	8
/* For a request, and again for taking the answer. */
#define PATIENCE	(10 * NSEC_PER_SEC)

struct client {
	struct metrics	*of;
	struct list	 node;		/* of->clients, oldest first */
	struct loop_io	 io;
	struct loop_timer timer;
	struct buf	 in, out;
	bool		 answered;
};

struct address {
	struct metrics	*of;
	struct acceptor	 acceptor;
};

struct metrics {
	struct loop	*loop;
	metrics_render_f *render;
	void		*arg;
	struct address	 addresses[ADDRESSES_MAX];
	size_t		 naddresses;
	struct list	 clients;
	size_t		 nclients;
};

/* ---- a connection ------------------------------------------------------- */

static void
client_free(struct client *c)
{
	struct metrics *m = c->of;

	loop_timer_del(m->loop, &c->timer);
	loop_io_del(m->loop, &c->io);
	close(c->io.fd);
	list_remove(&c->node);
	m->nclients--;
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void
on_patience(struct loop *loop UNUSED, struct loop_timer *t)
{
	client_free(container_of(t, struct client, timer));
}

/* As far as the socket takes it; then the client's close is waited for, for
 * a close with something unread would destroy the answer on its way. */
static void
flush(struct client *c)
{
	ssize_t n = send(c->io.fd, c->out.data, c->out.len, MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		client_free(c);
		return;
	}
	buf_drop(&c->out, n > 0 ? (size_t)n : 0);
	if (c->out.len == 0)
		shutdown(c->io.fd, SHUT_WR);
	if (loop_io_set(c->of->loop, &c->io, c->out.len > 0 ? LOOP_WRITE :
	    LOOP_READ) == -1)
		client_free(c);
}

static void
answer(struct client *c, size_t head)
{
	struct metrics *m = c->of;

	c->answered = true;
	metrics_answer(buf_str(&c->in), head, m->render, m->arg, &c->out);
	buf_fini(&c->in);
	if (c->out.failed) {
		client_free(c);
		return;
	}
	loop_timer_set(m->loop, &c->timer, loop_now(m->loop) + PATIENCE);
	flush(c);
}

/* Bytes of a request up to its empty line; 0: that has not come yet. What is
 * behind it, a body or another request, is of no interest. */
static size_t
head_length(const struct buf *b)
{
	const char *data = buf_str(b), *end = data + b->len, *p = data;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (p < end && *p == '\n')
			return (size_t)(p + 1 - data);
		if (p + 1 < end && p[0] == '\r' && p[1] == '\n')
			return (size_t)(p + 2 - data);
	}
	return 0;
}

/* One read a wake-up, the rest is there in the next turn. */
static void
take(struct client *c)
{
	char bytes[METRICS_HEAD_MAX];
	ssize_t n = recv(c->io.fd, bytes, sizeof(bytes), 0);
	size_t head;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	if (c->answered)
		return;
	buf_put(&c->in, bytes, (size_t)n);
	head = head_length(&c->in);
	if (c->in.failed)
		client_free(c);
	else if (head > 0 || c->in.len >= METRICS_HEAD_MAX)
		answer(c, head > 0 ? head : c->in.len);
}

static void
on_client(struct loop *loop UNUSED, struct loop_io *io, unsigned revents)
{
	struct client *c = container_of(io, struct client, io);

	if (c->out.len == 0)
		take(c);
	else if (revents & LOOP_HUP)
		client_free(c);
	else
		flush(c);
}

/* ---- accepting ---------------------------------------------------------- */

/* Somebody who has been silent for longest gives way. */
static void
make_room(struct metrics *m)
{
	struct client *c, *oldest = NULL;
	struct list *pos, *tmp;

	if (m->nclients < CLIENTS_MAX)
		return;
	list_foreach_safe(pos, tmp, &m->clients) {
		c = list_entry(pos, struct client, node);
		if (oldest == NULL || (oldest->answered && !c->answered))
			oldest = c;
	}
	client_free(oldest);
}

static void
client_new(struct metrics *m, int fd)
{
	struct client *c;

	make_room(m);
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->of = m;
	loop_io_init(&c->io, fd, on_client);
	loop_timer_init(&c->timer, on_patience);
	list_append(&m->clients, &c->node);
	m->nclients++;
	loop_timer_set(m->loop, &c->timer, loop_now(m->loop) + PATIENCE);
	if (loop_io_set(m->loop, &c->io, LOOP_READ) == -1)
		client_free(c);
}

static void
on_accept(struct acceptor *a, int fd)
{
	client_new(container_of(a, struct address, acceptor)->of, fd);
}

/* ---- listening ---------------------------------------------------------- */

static int
listen_at(struct metrics *m, const struct sock_addr *a)
{
	struct address *new = &m->addresses[m->naddresses];
	int fd = tcp_bind(a, false);

	new->of = m;
	acceptor_init(&new->acceptor, m->loop, "metrics.listen", on_accept);
	if (fd == -1 || listen(fd, SOMAXCONN) == -1 ||
	    acceptor_begin(&new->acceptor, fd) == -1) {
		fd_close(&fd);
		return -1;
	}
	m->naddresses++;
	return 0;
}

/* One of the addresses has to work, and those that this machine has. */
static int
open_all(struct metrics *m, const char *address)
{
	struct buf hint = BUF_INIT;
	in_port_t port = htons((in_port_t)atoi(strrchr(address, ':') + 1));
	const struct sock_addr *list;
	struct sock_addr a;
	char host[TCP_HOST_MAX];
	size_t i, n;
	int failed = 0, rv;

	tcp_host(address, host);
	if ((rv = names_host(host, &list, &n)) != 0) {
		log_err("metrics.listen %s: %s", address,
		    names_host_error(rv));
		return -1;
	}
	for (i = 0; i < n && m->naddresses < ADDRESSES_MAX; i++) {
		a = list[i];
		*tcp_port(&a) = port;
		if (listen_at(m, &a) == 0)
			continue;
		failed = errno;
		if (failed != EAFNOSUPPORT && failed != EADDRNOTAVAIL)
			break;
	}
	if ((i == n || m->naddresses == ADDRESSES_MAX) && m->naddresses > 0)
		return 0;
	hint_listen(&a, failed, &hint);
	log_err("metrics.listen %s: %s%s", address, strerror(failed),
	    buf_str(&hint));
	buf_fini(&hint);
	return -1;
}

struct metrics *
metrics_new(struct loop *loop, const char *address, metrics_render_f *render,
    void *arg)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		log_err("metrics.listen: %s", strerror(errno));
		return NULL;
	}
	m->loop = loop;
	m->render = render;
	m->arg = arg;
	list_init(&m->clients);
	if (open_all(m, address) == -1)
		metrics_free(&m);
	return m;
}

void
metrics_free(struct metrics **mp)
{
	struct metrics *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	while (!list_empty(&m->clients))
		client_free(list_entry(m->clients.next, struct client, node));
	while (m->naddresses > 0)
		acceptor_end(&m->addresses[--m->naddresses].acceptor);
	free(m);
}

void
metrics_text(const struct metrics *m, char text[SOCK_TEXT_MAX])
{
	struct sock_addr a = { .len = sizeof(a.ss) };

	if (getsockname(m->addresses[0].acceptor.io.fd,
	    (struct sockaddr *)&a.ss, &a.len) == 0)
		sock_text(&a, text);
	else
		snprintf(text, SOCK_TEXT_MAX, "?");
}
