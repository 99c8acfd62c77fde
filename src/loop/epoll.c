/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Descriptors on epoll, the wait, and waking the loop from outside.
 */
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "loop/impl.h"
#include "stats/stats.h"

#define NEVENTS		256

static uint32_t
to_epoll(unsigned events)
{
	return (events & LOOP_READ ? EPOLLIN : 0)
	    | (events & LOOP_WRITE ? EPOLLOUT : 0)
	    | (events & LOOP_RDHUP ? EPOLLRDHUP : 0)
	    | (events & LOOP_EDGE ? EPOLLET : 0)
	    | (events & LOOP_EXCLUSIVE ? EPOLLEXCLUSIVE : 0);
}

static unsigned
from_epoll(uint32_t e)
{
	return (e & EPOLLIN ? LOOP_READ : 0)
	    | (e & EPOLLOUT ? LOOP_WRITE : 0)
	    | (e & EPOLLRDHUP ? LOOP_RDHUP : 0)
	    | (e & (EPOLLERR | EPOLLHUP) ? LOOP_HUP : 0);
}

static int
control(struct loop *l, int op, int fd, uint32_t gen, unsigned events)
{
	struct epoll_event ev = {
		.events = to_epoll(events),
		.data.u64 = (uint64_t)gen << 32 | (uint32_t)fd,
	};

	return epoll_ctl(l->epfd, op, fd, &ev);
}

/* ---- watchers ----------------------------------------------------------- */

static struct io_slot *
slot_of(struct loop *l, int fd)
{
	size_t have = (size_t)l->nslots, n;
	struct io_slot *slots;

	if (fd < l->nslots)
		return &l->slots[fd];
	/* nothing grows to a number that is no descriptor */
	if (fcntl(fd, F_GETFD) == -1)
		return NULL;
	for (n = have > 0 ? have : 64; n <= (size_t)fd; n *= 2)
		continue;
	slots = reallocarray(l->slots, n, sizeof(*slots));
	if (slots == NULL)
		return NULL;
	memset(slots + have, 0, (n - have) * sizeof(*slots));
	l->slots = slots;
	l->nslots = n < INT_MAX ? (int)n : INT_MAX;
	return &l->slots[fd];
}

void
loop_io_init(struct loop_io *io, int fd, loop_io_f *cb)
{
	io->fd = fd;
	io->events = 0;
	io->cb = cb;
	io->active = false;
}

static int
io_add(struct loop *l, struct loop_io *io, unsigned events)
{
	struct io_slot *s;
	int rc;

	if (io->fd < 0) {
		errno = EBADF;
		return -1;
	}
	s = slot_of(l, io->fd);
	if (s == NULL)
		return -1;
	rc = control(l, EPOLL_CTL_ADD, io->fd, s->gen + 1, events);
	if (rc == -1 && errno == EEXIST && s->io == NULL)
		/* forgotten, yet still open */
		rc = control(l, EPOLL_CTL_MOD, io->fd, s->gen + 1, events);
	if (rc == -1)
		return -1;
	if (s->io != NULL) {
		/* its descriptor was closed behind our back, and the number
		 * used again: that watcher is dead */
		s->io->active = false;
		s->io->events = 0;
	}
	s->io = io;
	s->gen++;
	io->active = true;
	io->events = events;
	return 0;
}

/* EPOLLEXCLUSIVE can neither be set nor be kept by a modification. */
static int
io_change(struct loop *l, struct loop_io *io, unsigned events)
{
	uint32_t gen = l->slots[io->fd].gen;
	int rc;

	if ((events | io->events) & LOOP_EXCLUSIVE) {
		(void)control(l, EPOLL_CTL_DEL, io->fd, gen, 0);
		rc = control(l, EPOLL_CTL_ADD, io->fd, gen, events);
	} else {
		rc = control(l, EPOLL_CTL_MOD, io->fd, gen, events);
		if (rc == -1 && errno == ENOENT)
			/* closed and opened again under the same number */
			rc = control(l, EPOLL_CTL_ADD, io->fd, gen, events);
	}
	if (rc == 0)
		io->events = events;
	return rc;
}

int
loop_io_set(struct loop *l, struct loop_io *io, unsigned events)
{
	if (events == 0) {
		loop_io_del(l, io);
		return 0;
	}
	if (!io->active)
		return io_add(l, io, events);
	if (io->events == events)
		return 0;
	return io_change(l, io, events);
}

void
loop_io_forget(struct loop *l, struct loop_io *io)
{
	if (!io->active)
		return;
	l->slots[io->fd].io = NULL;
	l->slots[io->fd].gen++;
	io->active = false;
	io->events = 0;
}

void
loop_io_del(struct loop *l, struct loop_io *io)
{
	if (!io->active)
		return;
	/* an error says that the descriptor is closed: gone, as wished */
	(void)control(l, EPOLL_CTL_DEL, io->fd, 0, 0);
	loop_io_forget(l, io);
}

/* ---- waking ------------------------------------------------------------- */

void
loop_wake(struct loop *l)
{
	static const uint64_t one = 1;
	int saved = errno;

	/* the descriptor is edge-triggered: it needs no reading, ever */
	if (atomic_exchange(&l->wake, WAKE_WOKEN) == WAKE_SLEEPING)
		while (write(l->wakefd, &one, sizeof(one)) == -1 &&
		    errno == EINTR)
			continue;
	errno = saved;
}

/* ---- steps 5 and 6 ------------------------------------------------------ */

static int
wait_ms(struct loop *l, struct epoll_event *ev, nsec_t timeout)
{
	nsec_t ms;

	if (timeout == NSEC_NEVER)
		return epoll_wait(l->epfd, ev, NEVENTS, -1);
	/* up, so as not to wake early and turn in vain */
	ms = timeout / NSEC_PER_MSEC + (timeout % NSEC_PER_MSEC > 0);
	return epoll_wait(l->epfd, ev, NEVENTS, ms < INT32_MAX ? (int)ms
	    : INT32_MAX);
}

static int
wait_events(struct loop *l, struct epoll_event *ev, nsec_t timeout)
{
#ifdef SYS_epoll_pwait2
	struct timespec ts;
	int n;

	if (timeout > 0 && timeout != NSEC_NEVER && !l->no_pwait2) {
		ts.tv_sec = timeout / NSEC_PER_SEC;
		ts.tv_nsec = timeout % NSEC_PER_SEC;
		n = (int)syscall(SYS_epoll_pwait2, l->epfd, ev, NEVENTS, &ts,
		    NULL, (size_t)0);
		/* EPERM: a seccomp filter older than the call */
		if (n != -1 || (errno != ENOSYS && errno != EPERM))
			return n;
		l->no_pwait2 = true;
	}
#endif
	return wait_ms(l, ev, timeout);
}

static void
dispatch(struct loop *l, const struct epoll_event *ev, int n)
{
	const struct io_slot *s;
	int fd, i;

	for (i = 0; i < n; i++) {
		fd = (int)(uint32_t)ev[i].data.u64;
		if (fd == l->wakefd)
			continue;
		s = &l->slots[fd];
		if (s->io != NULL && s->gen == ev[i].data.u64 >> 32)
			s->io->cb(l, s->io, from_epoll(ev[i].events));
	}
}

int
loop_io_turn(struct loop *l, nsec_t timeout)
{
	struct epoll_event ev[NEVENTS];
	int awake = WAKE_AWAKE, n;

	if (timeout > 0 && !atomic_compare_exchange_strong(&l->wake, &awake,
	    WAKE_SLEEPING))
		timeout = 0;
	if (timeout > 0 && l->counted)
		stats_turn_over();
	l->hooks->wait_enter(l->hooks_arg, timeout > 0);
	n = wait_events(l, ev, timeout);
	if (UNLIKELY(n == -1 && errno != EINTR)) {
		if (l->epfd == -1)	/* loop_forked() */
			_exit(EXIT_FAILURE);
		/* somebody closed our descriptor: deaf, and would spin */
		log_crit("loop: epoll_wait: %s", strerror(errno));
		abort();
	}
	atomic_store(&l->wake, WAKE_AWAKE);
	loop_turn_begins(l, mono_now());
	if (l->hooks->wait_leave(l->hooks_arg) == -1)
		return -1;
	/* the GIL may have been long in coming */
	l->now = timeout > 0 ? mono_now() : l->began;
	dispatch(l, ev, n);
	loop_signal_dispatch(l);
	return 0;
}

/* ---- fork --------------------------------------------------------------- */

void
loop_forked(struct loop *l, sigset_t *reset)
{
	fd_close(&l->epfd);
	fd_close(&l->wakefd);
	/* nobody sleeps: loop_wake() has nothing to write */
	atomic_store(&l->wake, WAKE_WOKEN);
	loop_signal_reset(l, reset);
}

/* ---- life --------------------------------------------------------------- */

int
loop_io_open(struct loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd == -1)
		return -1;
	l->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wakefd == -1)
		goto fail;
	ev.data.u64 = (uint32_t)l->wakefd;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) == -1)
		goto fail;
	return 0;
fail:
	loop_io_close(l);
	return -1;
}

void
loop_io_close(struct loop *l)
{
	int saved = errno;

	free(l->slots);
	if (l->wakefd != -1)
		(void)close(l->wakefd);
	if (l->epfd != -1)
		(void)close(l->epfd);
	errno = saved;
}
