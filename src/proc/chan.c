/* SPDX-License-Identifier: BSD-3-Clause */
#include "proc/chan.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

/* Of a worker's five kinds of messages none is sent twice, but somebody may
 * have taken it over, or have inherited its end. */
#define PUMP_MAX	64

/* A packet: one byte of type, then the text without its NUL. */
struct packet {
	unsigned char	 type;
	char		 text[CHAN_TEXT_MAX];
};
_Static_assert(CHAN_TEXT_MAX <= PIPE_BUF, "packets go through a pipe whole");

union control {
	struct cmsghdr	 align;
	char		 space[CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))];
};

int
chan_pair(struct chan_ends *master, struct chan_ends *worker)
{
	int pair[2], pipe[2], saved;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, pair) == -1)
		return -1;
	/* O_DIRECT: what is written at once is read at once */
	if (shutdown(pair[0], SHUT_RD) == -1 ||
	    pipe2(pipe, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == -1) {
		saved = errno;
		close(pair[0]);
		close(pair[1]);
		errno = saved;
		return -1;
	}
	*master = (struct chan_ends){ pipe[0], pair[0], true };
	*worker = (struct chan_ends){ pair[1], pipe[1], false };
	return 0;
}

void
chan_close(struct chan_ends *ends)
{
	fd_close(&ends->in);
	fd_close(&ends->out);
}

static void
drop_fds(struct chan *c)
{
	size_t i;

	for (i = 0; i < c->nfds; i++)
		fd_close(&c->fds[i]);
	c->nfds = 0;
}

static void
keep_fds(struct chan *c, struct msghdr *msg)
{
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(msg); cm != NULL; cm = CMSG_NXTHDR(msg, cm)) {
		if (cm->cmsg_level != SOL_SOCKET ||
		    cm->cmsg_type != SCM_RIGHTS)
			continue;
		/* the control buffer has room for CHAN_FDS_MAX, no more */
		c->nfds = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(c->fds, CMSG_DATA(cm), c->nfds * sizeof(int));
	}
}

/* .. by the socket, as below. */
static ssize_t
receive_order(struct chan *c, struct packet *p)
{
	union control control;
	struct iovec iov = { p, sizeof(*p) - 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n;

	drop_fds(c);
	n = recvmsg(c->io.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0)
		keep_fds(c, &msg);
	return n;
}

/* One packet into *p. Its length, 0 at the end, -1 with errno. */
static ssize_t
receive(struct chan *c, struct packet *p)
{
	ssize_t n;

	do {
		n = c->master ? read(c->io.fd, p, sizeof(*p) - 1) :
		    receive_order(c, p);
	} while (n == -1 && errno == EINTR);
	if (n > 0)
		p->text[n - 1] = '\0';
	return n;
}

/* One packet delivered: true. Nothing there, or the end: false. Nothing of
 * the channel is used after the callback, which may have closed it. */
static bool
deliver(struct chan *c)
{
	struct packet p;
	ssize_t n = receive(c, &p);

	if (n == -1 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		loop_io_del(c->loop, &c->io);
		c->on_eof(c, c->arg);
		return false;
	}
	if (p.type < CHAN_NTYPE)
		c->on_message(c, p.type, p.text, c->arg);
	return true;
}

static void
on_readable(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	(void)deliver(container_of(io, struct chan, io));
}

void
chan_init_mute(struct chan *c, const struct chan_ends *ends)
{
	*c = (struct chan){ .out = ends->out, .master = ends->master };
	loop_io_init(&c->io, -1, on_readable);
}

int
chan_init(struct chan *c, struct loop *loop, const struct chan_ends *ends,
    chan_f *on_message, chan_eof_f *on_eof, void *arg)
{
	int saved;

	*c = (struct chan){ .loop = loop, .on_message = on_message,
	    .on_eof = on_eof, .arg = arg, .out = ends->out,
	    .master = ends->master };
	loop_io_init(&c->io, ends->in, on_readable);
	if (loop_io_set(loop, &c->io, LOOP_READ) == 0)
		return 0;
	saved = errno;
	chan_fini(c);
	errno = saved;
	return -1;
}

void
chan_fini(struct chan *c)
{
	drop_fds(c);
	fd_close(&c->out);
	if (c->io.fd == -1)
		return;
	loop_io_del(c->loop, &c->io);
	fd_close(&c->io.fd);
}

bool
chan_is_open(const struct chan *c)
{
	return c->out != -1;
}

/* As sendmsg() by a pipe, and with MSG_NOSIGNAL, which no pipe has: the
 * application may have set SIGPIPE to kill. */
static ssize_t
write_report(int fd, const struct msghdr *msg)
{
	static const struct timespec none;
	sigset_t pipe, former, pending;
	ssize_t n;
	int saved;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &former);
	(void)sigpending(&pending);
	n = writev(fd, msg->msg_iov, (int)msg->msg_iovlen);
	saved = errno;
	if (n == -1 && saved == EPIPE && sigismember(&pending, SIGPIPE) == 0)
		(void)sigtimedwait(&pipe, NULL, &none);
	(void)pthread_sigmask(SIG_SETMASK, &former, NULL);
	errno = saved;
	return n;
}

int
chan_send_fds(struct chan *c, enum chan_type type, const char *text,
    const int *fds, size_t nfds)
{
	unsigned char byte = (unsigned char)type;
	size_t len = strnlen(text, CHAN_TEXT_MAX - 1);
	struct iovec iov[2] = {
		{ &byte, 1 },
		{ (void *)(uintptr_t)text, len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	union control control;
	struct cmsghdr *cm;
	ssize_t n;

	if (c->out == -1 || nfds > (c->master ? CHAN_FDS_MAX : 0)) {
		errno = c->out == -1 ? EPIPE : EINVAL;
		return -1;
	}
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
	}
	do {
		n = c->master ? sendmsg(c->out, &msg,
		    MSG_DONTWAIT | MSG_NOSIGNAL) : write_report(c->out, &msg);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

int
chan_send(struct chan *c, enum chan_type type, const char *text)
{
	return chan_send_fds(c, type, text, NULL, 0);
}

void
chan_pump(struct chan *c)
{
	int i;

	for (i = 0; i < PUMP_MAX && chan_is_open(c) && deliver(c); i++)
		;
}

int
chan_take_fd(struct chan *c, size_t i)
{
	int fd;

	if (i >= c->nfds)
		return -1;
	fd = c->fds[i];
	c->fds[i] = -1;
	return fd;
}
