/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The set of workers.  It has as many seats as workers are configured; a
 * seat that falls empty is filled again, at once or after a pause that
 * doubles while its workers keep failing early.  What a worker's failure
 * during the first start means, and when to stop, is the owner's decision.
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
	/* After fleet_stop(): the last process is gone. */
	void	(*on_empty)(struct fleet *);
};

struct fleet {
	struct loop		*loop;
	const struct spawn	*spawn;
	const struct fleet_ops	*ops;
	struct seat		*seats;
	unsigned		 nseats;
	struct list		 children;	/* struct child */
	unsigned		 generation;
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
 * on_empty may be called before this returns. */
void	 fleet_stop(struct fleet *, bool now);
bool	 fleet_has(struct fleet *, pid_t);
void	 fleet_reopen(struct fleet *, const char *names, const int *fds,
	    size_t nfds);

#endif
