/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The channel between master and worker, one packet a message, so there is no
 * framing to get wrong.  Neither side ever blocks on the other: a packet that
 * does not fit is an error for the sender.
 *
 * The master speaks over a SOCK_SEQPACKET pair and hears by a pipe.  Through a
 * socket a worker could pass it descriptors whose close() lingers, and who is
 * passed one closes it, even when it is never looked at.  So the master's end
 * of the pair takes nothing.
 *
 * The master's messages may carry descriptors.  The worker finds them in
 * chan->fds while its callback runs and keeps one by chan_take_fd(); those
 * that it leaves there are closed with the next message or by chan_fini().
 */
#ifndef PROC_CHAN_H
#define PROC_CHAN_H

#include <stdbool.h>
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
	/* Log files were opened again by the master, which may do what the
	 * worker may not.  The text names the descriptors in their order,
	 * "error", "access" or "error access": dup3() each onto the number
	 * in use (log_fd(), birth.access_fd). */
	CHAN_REOPEN,
	CHAN_NTYPE,
};

#define CHAN_TEXT_MAX	4096
#define CHAN_FDS_MAX	4

struct chan;
/* text is NUL-terminated, "" when there is none. */
typedef void chan_f(struct chan *, enum chan_type, const char *text,
	    void *arg);
/* The other side is gone. */
typedef void chan_eof_f(struct chan *, void *arg);

/* Descriptors of one side; -1: none. */
struct chan_ends {
	int		 in;
	int		 out;
	bool		 master;
};

struct chan {
	struct loop	*loop;
	struct loop_io	 io;		/* in */
	int		 out;
	bool		 master;
	chan_f		*on_message;
	chan_eof_f	*on_eof;
	void		*arg;
	int		 fds[CHAN_FDS_MAX];
	size_t		 nfds;
};

/* All close-on-exec and non-blocking. 0, or -1 with errno. */
int	 chan_pair(struct chan_ends *master, struct chan_ends *worker);
void	 chan_close(struct chan_ends *);
/* Before chan_init(), and without taking them over: can send only. */
void	 chan_init_mute(struct chan *, const struct chan_ends *);
/* Takes the ends over, also when it fails: then they are closed. */
int	 chan_init(struct chan *, struct loop *, const struct chan_ends *,
	    chan_f *, chan_eof_f *, void *arg);
/* Closes the channel; harmless when that was done already. Legal in both
 * callbacks. */
void	 chan_fini(struct chan *);
bool	 chan_is_open(const struct chan *);
/* 0, or -1 with errno (EAGAIN: the other side does not read; EPIPE: it is
 * gone). The text is cut at CHAN_TEXT_MAX - 1 bytes. */
int	 chan_send(struct chan *, enum chan_type, const char *text);
/* The same with copies of descriptors, at most CHAN_FDS_MAX; the master's. */
int	 chan_send_fds(struct chan *, enum chan_type, const char *text,
	    const int *fds, size_t nfds);
/* Deliver now what has already arrived, on_eof included; no more than a peer
 * in its senses sends in all its life. */
void	 chan_pump(struct chan *);
/* The i-th descriptor of the message being delivered, from now on the
 * caller's, close-on-exec; -1 if there is none. */
int	 chan_take_fd(struct chan *, size_t i);

#endif
