/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/linger.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "stats/stats.h"

#define LINGER_TIME	(2 * NSEC_PER_SEC)
#define LINGER_MAX	256
/* Read so much a wake-up, and so much in all. */
#define LINGER_READS	4
#define LINGER_BYTES	(1024 * 1024)

struct lingerer {
	struct lingerers *of;
	struct list	 node;
	struct loop_io	 io;
	struct loop_timer timer;
	size_t		 bytes;
};

static void
end(struct lingerer *l)
{
	struct loop *loop = l->of->loop;

	loop_io_del(loop, &l->io);
	loop_timer_del(loop, &l->timer);
	close(l->io.fd);
	list_remove(&l->node);
	l->of->n--;
	free(l);
}

static void
on_io(struct loop *loop UNUSED, struct loop_io *io, unsigned revents UNUSED)
{
	struct lingerer *l = container_of(io, struct lingerer, io);
	char drop[16 * 1024];
	ssize_t n;
	int i;

	for (i = 0; i < LINGER_READS; i++) {
		n = recvfrom(io->fd, drop, sizeof(drop), MSG_DONTWAIT, NULL,
		    NULL);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		l->bytes += n > 0 ? (size_t)n : 0;
		STAT_ADD(received, n > 0 ? (size_t)n : 0);
		if (n <= 0 || l->bytes > LINGER_BYTES) {
			end(l);
			return;
		}
	}
}

static void
on_timer(struct loop *loop UNUSED, struct loop_timer *t)
{
	end(container_of(t, struct lingerer, timer));
}

void
linger_init(struct lingerers *of, struct loop *loop)
{
	of->loop = loop;
	of->n = 0;
	list_init(&of->all);
}

void
linger_add(struct lingerers *of, int fd)
{
	struct lingerer *l;
	int copy;

	if (of->n >= LINGER_MAX ||
	    (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1)
		return;
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		close(copy);
		return;
	}
	l->of = of;
	shutdown(copy, SHUT_WR);
	loop_io_init(&l->io, copy, on_io);
	loop_timer_init(&l->timer, on_timer);
	loop_timer_set(of->loop, &l->timer, loop_now(of->loop) + LINGER_TIME);
	list_append(&of->all, &l->node);
	of->n++;
	if (loop_io_set(of->loop, &l->io, LOOP_READ) == -1)
		end(l);
}

void
linger_fini(struct lingerers *of)
{
	while (!list_empty(&of->all))
		end(list_entry(of->all.next, struct lingerer, node));
}

void
linger_forked(struct lingerers *of)
{
	struct list *pos;

	for (pos = of->all.next; pos != &of->all; pos = pos->next)
		fd_close(&list_entry(pos, struct lingerer, node)->io.fd);
}
