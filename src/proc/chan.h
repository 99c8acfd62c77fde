/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The channel between master and worker: a SOCK_SEQPACKET pair, one packet a
 * message, so there is no framing to get wrong.  Neither side ever blocks on
 * the other: a packet that does not fit is an error for the sender.
 */
#ifndef PROC_CHAN_H
#define PROC_CHAN_H

#include <stddef.h>

#include "loop/loop.h"

enum chan_type {
	/* worker -> master */
	CHAN_READY,		/* application started, serving begins */
	CHAN_FAILED,		/* cannot start; text: why (one line) */
	CHAN_RECYCLE,		/* max_requests reached: replace me */
	CHAN_STOPPING,		/* draining has begun (by any cause) */
	CHAN_STOPPED,		/* drained; exit follows */
	/* master -> worker */
	CHAN_GO,		/* accept connections (sent after READY) */
	CHAN_DRAIN,		/* stop accepting, finish, shut down, exit */
	CHAN_STOP_NOW,		/* cancel what runs, shut down, exit */
	CHAN_REOPEN,		/* log files: open again */
	CHAN_NTYPE,
};

#define CHAN_TEXT_MAX	4096

struct chan;
/* text is NUL-terminated, "" when there is none. */
typedef void chan_f(struct chan *, enum chan_type, const char *text,
	    void *arg);
/* The other side is gone. */
typedef void chan_eof_f(struct chan *, void *arg);

struct chan {
	struct loop	*loop;
	struct loop_io	 io;
	chan_f		*on_message;
	chan_eof_f	*on_eof;
	void		*arg;
};

/* fds[0] for the master, fds[1] for the worker, both close-on-exec and
 * non-blocking. 0, or -1 with errno. */
int	 chan_pair(int fds[2]);
/* Takes over fd. */
int	 chan_init(struct chan *, struct loop *, int fd, chan_f *,
	    chan_eof_f *, void *arg);
void	 chan_fini(struct chan *);
/* 0, or -1 with errno (EAGAIN: the other side does not read). */
int	 chan_send(struct chan *, enum chan_type, const char *text);

#endif
