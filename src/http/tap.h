/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What libmicrohttpd does not tell: whose request it is busy with when it
 * refuses one by itself, that a head has begun to arrive, that it is about to
 * close without an answer, how much it has sent.  All of this shows in its
 * calls of recv(), send(), sendmsg() and shutdown().  So the worker puts its
 * own before the C library's, and reports what passes while the library runs.
 */
#ifndef HTTP_TAP_H
#define HTTP_TAP_H

#include <sys/types.h>

#include <stdbool.h>

struct tap {
	/* recv() has returned n, and filled buf. Not 0: the library is not to
	 * see it, but this error. */
	int	(*received)(void *arg, int fd, const char *buf, ssize_t n);
	/* send() is about to be called. false: it is not to be, but the library
	 * is to believe that it was. */
	bool	(*sending)(void *arg, int fd, const char *buf, size_t n);
	/* send() or sendmsg() has sent n bytes. */
	void	(*sent)(void *arg, int fd, size_t n);
	/* shutdown() is about to be called. */
	void	(*shutting)(void *arg, int fd);
};

/* From now on in this thread; NULL ends it. */
void	 tap_open(const struct tap *, void *arg);

#endif
