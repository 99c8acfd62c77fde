/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/outlet.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds. */
#define TERMINAL_PAUSE	100
#define TRIES_MAX	1000

static enum outlet_kind
kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return OUTLET_FILE;
	if (S_ISSOCK(st.st_mode))
		return OUTLET_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !isatty(fd))
		return OUTLET_FILE;
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 ? OUTLET_NONBLOCK :
	    OUTLET_NOWAIT;
}

/*
 * False with errno; true also when there is an error, which is write()'s to
 * tell.  A terminal has no room while another process is just writing to it,
 * which may have lost its processor: that is waited for, but not again once the
 * terminal turned out to take nothing.
 */
static bool
has_room(struct outlet *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	bool patient = !o->stalled && isatty(o->fd);

	o->stalled = poll(&p, 1, patient ? TERMINAL_PAUSE : 0) != 1;
	errno = EAGAIN;
	return !o->stalled;
}

static ssize_t
write_polled(struct outlet *o, const char *data, size_t n)
{
	return has_room(o) ? write(o->fd, data, n) : -1;
}

static ssize_t
write_nonblock(struct outlet *o, const char *data, size_t n)
{
	unsigned tries = 0;
	ssize_t w;

	while ((w = write(o->fd, data, n)) == -1 && errno == EAGAIN &&
	    ++tries < TRIES_MAX && has_room(o))
		;
	return w;
}

static ssize_t
write_nowait(struct outlet *o, const char *data, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)data, n };
	ssize_t w = pwritev2(o->fd, &iov, 1, -1, RWF_NOWAIT);

	if (w != -1 || (errno != EOPNOTSUPP && errno != ENOSYS &&
	    errno != EINVAL))
		return w;
	o->kind = OUTLET_POLL;
	return write_polled(o, data, n);
}

/* What goes at once, or -1 with errno. */
static ssize_t
put(struct outlet *o, const char *data, size_t n)
{
	ssize_t w;

	do {
		if (o->kind == OUTLET_SOCKET)
			w = send(o->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (o->kind == OUTLET_NOWAIT)
			w = write_nowait(o, data, n);
		else if (o->kind == OUTLET_POLL)
			w = write_polled(o, data, n);
		else if (o->kind == OUTLET_NONBLOCK)
			w = write_nonblock(o, data, n);
		else
			w = write(o->fd, data, n);
	} while (w == -1 && errno == EINTR);
	if (w > 0)
		o->torn = data[w - 1] != '\n';
	return w;
}

/* Whole lines, as many as a pipe takes in one piece, that those of several
 * processes stay whole; of a longer line a part. */
static size_t
piece(const struct outlet *o, const char *data, size_t len)
{
	const char *end;

	if (len <= PIPE_BUF || o->kind == OUTLET_FILE)
		return len;
	end = memrchr(data, '\n', PIPE_BUF);
	return end != NULL ? (size_t)(end - data) + 1 : PIPE_BUF;
}

size_t
outlet_lines(const char *data, size_t len)
{
	const char *end = data + len;
	size_t n = 0;

	while (data < end && (data = memchr(data, '\n',
	    (size_t)(end - data))) != NULL) {
		data++;
		n++;
	}
	return n;
}

const char *
outlet_reason(const struct outlet *o)
{
	return o->kind == OUTLET_FILE ? "they could not be written" :
	    "nobody read them in time";
}

size_t
outlet_write(struct outlet *o, const char *lines, size_t len)
{
	size_t dropped;
	ssize_t w = 1;

	assert(len == 0 || lines[len - 1] == '\n');
	if (o->kind == OUTLET_UNKNOWN)
		o->kind = kind_of(o->fd);
	if (o->torn)
		w = put(o, "\n", 1);
	/* less than all: a signal, or it is full, which the next tells */
	while (len > 0 && w != -1 &&
	    (w = put(o, lines, piece(o, lines, len))) > 0) {
		lines += w;
		len -= (size_t)w;
	}
	if (w == 0)
		errno = EAGAIN;
	dropped = outlet_lines(lines, len);
	o->lost += dropped;
	return dropped;
}
