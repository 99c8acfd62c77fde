/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The daemon at the other end of the control socket.  It may be broken or
 * not asgid at all: nothing here waits past its deadline or takes a length
 * at its word.  One thread, one peer.
 */
#ifndef ASGICTL_PEER_H
#define ASGICTL_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mono.h"

struct peer {
	int		 fd;
	int		 process;	/* its pidfd; -1 if there is none */
	uid_t		 user;		/* who listens; (uid_t)-1: unknown */
	struct buf	 in;		/* received, not yet taken */
};

#define PEER_INIT	{ -1, -1, (uid_t)-1, BUF_INIT }
#define PEER_TEXT_MAX	(64u << 20)	/* bytes of an answer */

/*
 * Deadlines are points in monotonic time, NSEC_NEVER for none; past them -1
 * with ETIMEDOUT.
 */

/* Connect to the socket of this name. 0, or -1 with errno; ENOTSOCK: there is
 * something else of this name. */
int	 peer_open(struct peer *, const char *path, nsec_t deadline);
void	 peer_close(struct peer *);

/* Send one request. 0, or -1 with errno. A peer that has closed is no error:
 * its answer may have come before. */
int	 peer_ask(struct peer *, const struct buf *line, nsec_t deadline);

/* The next answer, its text in place of what is in `text`. 0, or -1 with
 * errno; ENODATA: the peer has closed without one, EPROTO: in the midst of
 * one, EBADMSG: that is no answer, EMSGSIZE: too long. */
int	 peer_answer(struct peer *, int *code, struct buf *text,
	    nsec_t deadline);

/* Wait until the peer's process has ended or, when that cannot be seen, until
 * it has closed the connection. 0, or -1 with errno. */
int	 peer_wait_gone(struct peer *, nsec_t deadline);

#endif
