/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A socket on which the master itself accepts, a few connections a turn of the
 * loop.  When there is no descriptor left it says so, and tries again
 * later.
 */
#ifndef MASTER_ACCEPT_H
#define MASTER_ACCEPT_H

#include "loop/loop.h"

struct acceptor;

/* A connection: a descriptor that is close-on-exec, does not block, and is
 * the callback's own from now on. */
typedef void accept_f(struct acceptor *, int fd);

struct acceptor {
	struct loop	*loop;
	struct loop_io	 io;		/* fd -1: not begun */
	struct loop_timer retry;
	const char	*what;		/* is accepted for, in the log */
	accept_f	*cb;
	nsec_t		 told;		/* that it fails; or 0 */
};

void	 acceptor_init(struct acceptor *, struct loop *, const char *what,
	    accept_f *);
/* Of a socket that listens, and is the acceptor's from now on. 0, or -1 with
 * errno. */
int	 acceptor_begin(struct acceptor *, int fd);
/* Closes the socket, if there is one. */
void	 acceptor_end(struct acceptor *);

#endif
