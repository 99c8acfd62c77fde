/* SPDX-License-Identifier: BSD-3-Clause */
#include "http/tap.h"

#include <sys/socket.h>

#include <stddef.h>

static _Thread_local struct {
	tap_f	*report;
	void	*arg;
} tap;

void
tap_open(tap_f *report, void *arg)
{
	tap.report = report;
	tap.arg = arg;
}

/* As the C library's: recv() is recvfrom() without an address (POSIX). */
ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t got = recvfrom(fd, buf, n, flags, NULL, NULL);

	if (tap.report != NULL)
		tap.report(tap.arg, fd, got);
	return got;
}
