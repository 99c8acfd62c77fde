/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/accept.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"

#define BATCH	16
#define RETRY	(1 * NSEC_PER_SEC)
#define TELL_EVERY	(60 * NSEC_PER_SEC)

static void
on_retry(struct loop *loop, struct loop_timer *t)
{
	struct acceptor *a = container_of(t, struct acceptor, retry);

	if (loop_io_set(loop, &a->io, LOOP_READ) == -1)
		loop_timer_set(loop, t, mono_now() + RETRY);
}

static void
on_readable(struct loop *loop, struct loop_io *io, unsigned revents UNUSED)
{
	struct acceptor *a = container_of(io, struct acceptor, io);
	int fd, i, failed;

	for (i = 0; i < BATCH; i++) {
		fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd == -1)
			break;
		a->cb(a, fd);
	}
	if (i == BATCH || errno == EAGAIN || errno == EINTR ||
	    errno == ECONNABORTED)
		return;
	failed = errno;
	if (mono_rarely(&a->told, TELL_EVERY))
		log_warn("%s: accept: %s", a->what, strerror(failed));
	(void)loop_io_set(loop, io, 0);
	loop_timer_set(loop, &a->retry, mono_now() + RETRY);
}

void
acceptor_init(struct acceptor *a, struct loop *loop, const char *what,
    accept_f *cb)
{
	a->loop = loop;
	a->what = what;
	a->cb = cb;
	a->told = 0;
	loop_io_init(&a->io, -1, on_readable);
	loop_timer_init(&a->retry, on_retry);
}

int
acceptor_begin(struct acceptor *a, int fd)
{
	loop_io_init(&a->io, fd, on_readable);
	return loop_io_set(a->loop, &a->io, LOOP_READ);
}

void
acceptor_end(struct acceptor *a)
{
	loop_timer_del(a->loop, &a->retry);
	loop_io_del(a->loop, &a->io);
	fd_close(&a->io.fd);
}
