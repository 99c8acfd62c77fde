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

struct child;
struct seat;
struct child_ops {
	void	(*on_ready)(struct child *);
	/* It wants to be replaced; it goes on serving. */
	void	(*on_recycle)(struct child *);
	/* It drains without having been told to. */
	void	(*on_leaving)(struct child *);
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
	nsec_t			 startup, graceful, shutdown;

	enum child_state	 state;
	unsigned		 id, generation;
	pid_t			 pid;
	struct loop_io		 pidfd;
	struct chan		 chan;
	struct loop_timer	 deadline;
	nsec_t			 born, served;	/* served 0: not yet */
	bool			 hurried;	/* told to stop now */
	bool			 killed;	/* by us */
	bool			 failed;	/* said CHAN_FAILED */
	char			 why[256];	/* it never served; or "" */
	int			 exit_status;	/* dead; -1: by a signal */
};

/* NULL with errno. */
struct child *child_new(struct loop *, const struct spawn *, unsigned id,
	    unsigned generation, const struct child_ops *, void *owner);
/* Of a dead one. NULLs the pointer. */
void	 child_free(struct child **);
/* ready -> serving */
void	 child_go(struct child *);
/* Finish and exit; killed when timeouts.graceful is over. */
void	 child_drain(struct child *);
/* Exit at once; killed after 2 s. */
void	 child_stop_now(struct child *);
/* The log files were opened again: "error", "access" or both. */
void	 child_reopen(struct child *, const char *names, const int *fds,
	    size_t nfds);

#endif
