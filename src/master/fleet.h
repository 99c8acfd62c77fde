/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The set of workers.  It has as many seats as workers are configured; a
 * seat that falls empty is filled again, at once or after a pause that
 * doubles while its workers keep failing early.  What a worker's failure
 * during the first start means, and when to stop, is the owner's decision.
 *
 * A new generation has seats of its own beside those of the one that serves.
 * When each of them holds a worker that is ready they take over in one step;
 * when one worker fails before, the whole generation is given up.
 */
#ifndef MASTER_FLEET_H
#define MASTER_FLEET_H

#include <stdbool.h>

#include "base/list.h"
#include "loop/loop.h"
#include "master/spawn.h"

struct fleet;
struct fleet_ops {
	/* The number of serving workers has changed. */
	void	(*on_change)(struct fleet *);
	/* A worker of the first start could not start; status is its own
	 * (1 or 3). The owner is expected to call fleet_stop(). */
	void	(*on_failed)(struct fleet *, int status);
	/* After fleet_renew(): the new generation serves (NULL), or has been
	 * given up for that reason. The former spawn, or the new one, is not
	 * used any more. */
	void	(*on_renewed)(struct fleet *, const char *why);
	/* After fleet_stop(): the last process is gone. */
	void	(*on_empty)(struct fleet *);
};

/* The seats of one generation. */
struct cohort {
	const struct spawn	*spawn;
	struct list		 seats;		/* struct seat, fleet.c */
	unsigned		 nseats;
	unsigned		 generation;
};

struct fleet {
	struct loop		*loop;
	const struct fleet_ops	*ops;
	struct cohort		 now;
	struct cohort		 next;		/* nseats 0: none */
	unsigned		 unready;	/* seats of next */
	struct list		 children;	/* struct child */
	unsigned		 generations;	/* so far */
	unsigned		 serving;
	unsigned		 unborn;	/* seats that never served */
	bool			 stopping;
};

/* The workers are started by the loop's first turn. 0, or -1 with errno. */
int	 fleet_init(struct fleet *, struct loop *, const struct spawn *,
	    unsigned count, const struct fleet_ops *);
/* When it is empty. */
void	 fleet_fini(struct fleet *);
/* All workers: drain, or stop at once; the second may follow the first.
 * on_empty may be called before this returns. A generation that was still
 * starting is stopped too, without on_renewed. */
void	 fleet_stop(struct fleet *, bool now);
/* Start a new generation; on_renewed follows, not before this returns. Not
 * while one is starting. 0, or -1 with errno. */
int	 fleet_renew(struct fleet *, const struct spawn *, unsigned count);
bool	 fleet_is_renewing(const struct fleet *);
/* One worker more or less than now; never below one. 0, or -1 with errno
 * (ERANGE: that would be too few or too many). */
int	 fleet_add(struct fleet *);
int	 fleet_remove(struct fleet *);
bool	 fleet_has(struct fleet *, pid_t);
/* Not to a generation that is still starting: its logs may be others. */
void	 fleet_reopen(struct fleet *, const char *names, const int *fds,
	    size_t nfds);

#endif
