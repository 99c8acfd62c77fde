/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/tap.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static _Thread_local struct {
	const struct tap *report;
	void		*arg;
} tap;

void
tap_open(const struct tap *report, void *arg)
{
	tap.report = report;
	tap.arg = arg;
}

/* As the C library's: recv() is recvfrom() without an address (POSIX). */
ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t got = recvfrom(fd, buf, n, flags, NULL, NULL);
	int error;

	if (tap.report == NULL ||
	    (error = tap.report->received(tap.arg, fd, buf, got)) == 0)
		return got;
	errno = error;
	return -1;
}

static ssize_t
sent(int fd, ssize_t n)
{
	if (tap.report != NULL && n > 0)
		tap.report->sent(tap.arg, fd, (size_t)n);
	return n;
}

ssize_t
send(int fd, const void *buf, size_t n, int flags)
{
	if (tap.report != NULL && !tap.report->sending(tap.arg, fd, buf, n))
		return (ssize_t)n;
	return sent(fd, sendto(fd, buf, n, flags, NULL, 0));
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return sent(fd, syscall(SYS_sendmsg, fd, msg, flags));
}

int
shutdown(int fd, int how)
{
	if (tap.report != NULL)
		tap.report->shutting(tap.arg, fd);
	return (int)syscall(SYS_shutdown, fd, how);
}
