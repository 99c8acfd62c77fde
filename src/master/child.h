/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One worker process as the master sees it, from fork to obituary.
 *
 *	starting -> ready -> serving -> draining -> stopping -> dead
 *
 * Any state may be followed by a later one only; what the worker says and
 * what is asked of it moves it on, and every state in which the worker owes
 * something has a deadline, after which it is killed.
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <sys/types.h>

#include <stdbool.h>

#include "base/list.h"
#include "loop/loop.h"
#include "master/spawn.h"
#include "proc/chan.h"

enum child_state {
	CHILD_STARTING,		/* loads the application */
	CHILD_READY,		/* may be told to go */
	CHILD_SERVING,
	CHILD_DRAINING,		/* finishes what it has */
	CHILD_STOPPING,		/* about to exit */
	CHILD_DEAD,
	CHILD_NSTATE
};

extern const char *const child_state_names[];

/* Why a worker ended. */
enum child_cause {
	CAUSE_NONE,
	/* it was told to */
	CAUSE_RECYCLED,		/* workers.max_requests */
	CAUSE_RELOAD,
	CAUSE_SCALED,
	CAUSE_ASKED,		/* restart-worker; SIGTERM from somebody */
	CAUSE_STOP,
	/* it was not */
	CAUSE_STARTUP,		/* never became ready */
	CAUSE_CRASH,		/* by a signal of its own */
	CAUSE_KILLED,		/* SIGKILL, and not by us */
	CAUSE_EXIT,		/* of its own accord */
	CAUSE_HANG,		/* killed: timeouts.hang */
	CAUSE_DEADLINE,		/* killed: did not end in time */
	CAUSE_NCAUSE
};

extern const char *const child_cause_names[];

struct child;
struct seat;
struct child_ops {
	void	(*on_ready)(struct child *);
	/* It wants to be replaced; it goes on serving. */
	void	(*on_recycle)(struct child *);
	/* It drains, told to or not. */
	void	(*on_leaving)(struct child *);
	/* It hangs: a signal has stopped it, or timeouts.hang is over. */
	void	(*on_hang)(struct child *);
	/* The process is gone; the owner calls child_free(). */
	void	(*on_dead)(struct child *);
};

struct child {
	struct list		 node;		/* its owner's */
	void			*owner;
	struct seat		*seat;		/* see fleet.c; or NULL */
	const struct child_ops	*ops;
	struct loop		*loop;
	/* timeouts of the configuration it was born with */
	nsec_t			 startup, graceful, shutdown, hang;

	enum child_state	 state;
	unsigned		 id, generation;
	pid_t			 pid;
	struct loop_io		 pidfd;		/* -1: none */
	struct chan		 chan;
	struct loop_timer	 deadline;
	struct loop_timer	 watchdog;	/* timeouts.hang */
	struct stats_segment	*stats;
	int			 slot;		/* of stats */
	nsec_t			 born, served;	/* served 0: not yet */
	nsec_t			 stopped;	/* by a signal, since; or 0 */
	enum child_cause	 cause;		/* of its end */
	bool			 hurried;	/* told to stop now */
	bool			 deaf;		/* accepts no more, it says */
	bool			 killed;	/* by us */
	bool			 failed;	/* said CHAN_FAILED */
	char			 why[256];	/* it never served; or "" */
	char			 end[64];	/* dead: "exited with ..." */
	int			 exit_status;	/* dead; -1: by a signal */
};

/* NULL with errno, after logging. */
struct child *child_new(struct loop *, const struct spawn *, unsigned id,
	    unsigned generation, const struct child_ops *, void *owner);
/* Of a dead one. NULLs the pointer. */
void	 child_free(struct child **);
/* ready -> serving */
void	 child_go(struct child *);
/* Finish and exit; killed when timeouts.graceful is over. */
void	 child_drain(struct child *, enum child_cause);
/* Exit at once; killed after 2 s. */
void	 child_stop_now(struct child *, enum child_cause);
/* After SIGCHLD: has a signal stopped it, or let it go on? Is it dead? Then
 * on_dead follows, here or later. */
void	 child_check(struct child *);
/* How long its loop has been busy with one turn; 0: it waits. */
nsec_t	 child_busy(const struct child *);
/* The log files were opened again: "error", "access" or both. */
void	 child_reopen(struct child *, const char *names, const int *fds,
	    size_t nfds);

#endif
