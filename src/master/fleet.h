/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The set of workers.  It has as many seats as workers are configured; a
 * seat that falls empty is filled again, at once or after a pause that
 * doubles while its workers keep failing early.  The seats of a generation are
 * numbered from 1, without gaps, and a worker has the number of its seat: who
 * takes over from it, in its seat or in that of the next generation, has it
 * too, and while both live two processes have one number.  What a worker's
 * failure during the first start means, and when to stop, is the owner's
 * decision.
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

struct child;
struct fleet;
struct fleet_ops {
	/* Something has become different: who serves, drains, is gone. */
	void	(*on_change)(struct fleet *);
	/* That worker hangs (see child.h), or is dead: its cause and end are
	 * known, and it has its seat for the last time, if it has one. */
	void	(*on_hang)(struct fleet *, const struct child *);
	void	(*on_exit)(struct fleet *, const struct child *);
	/* A seat of those that serve could not be filled; it is tried again
	 * and again. */
	void	(*on_unborn)(struct fleet *, const char *why);
	/* A worker of the first start could not start; status is its own
	 * (1 or 3). The owner is expected to call fleet_stop(), or, of a
	 * patient fleet, fleet_renew() some time: it is without workers. */
	void	(*on_failed)(struct fleet *, int status);
	/* After fleet_renew(): the new generation is ready. When this returns
	 * it gets its go, so its listeners must be listening; and the former
	 * one drains, so what goes with it must be marked. */
	void	(*on_switch)(struct fleet *);
	/* .. and then: the new generation serves (NULL), or it has been
	 * given up for that reason. The former spawn, or the new one, is not
	 * used any more. */
	void	(*on_renewed)(struct fleet *, const char *why);
	/* After fleet_stop(): the last process is gone. */
	void	(*on_empty)(struct fleet *);
};

/* A place to be filled. While a worker is being replaced it has two: the
 * one that serves, and its successor that starts. */
struct seat {
	struct list		 node;		/* its cohort's */
	struct fleet		*fleet;
	struct cohort		*cohort;
	unsigned		 id;		/* 1.. */
	struct child		*child;		/* or NULL */
	struct child		*successor;	/* or NULL */
	struct loop_timer	 refill;
	nsec_t			 pause;		/* before the next refill */
	bool			 born;		/* has served once */
	unsigned		 ends;		/* that nobody had asked for */
	nsec_t			 last_when;	/* of them; 0: none */
	char			 last_end[64];
};

/* The seats of one generation. */
struct cohort {
	const struct spawn	*spawn;
	struct list		 seats;		/* struct seat */
	unsigned		 nseats;
	unsigned		 generation;
};

struct fleet {
	struct loop		*loop;
	const struct fleet_ops	*ops;
	struct cohort		 now;
	struct cohort		 next;		/* nseats 0: none */
	unsigned		 unready;	/* seats of next */
	struct list		 children;	/* struct child, by id */
	unsigned		 generations;	/* so far */
	unsigned		 serving;
	unsigned		 unborn;	/* seats that never served */
	bool			 stopping;
	bool			 patient;	/* owner's: may be empty */
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
/* A patient fleet without workers from now on: those that serve drain. Not
 * while a generation is starting. */
void	 fleet_let_go(struct fleet *);
/* So many workers from now on, 1 to FLEET_MAX; not while a generation is
 * starting. 0, or -1 with errno. */
#define FLEET_MAX	1024	/* workers.count has the same bound */
int	 fleet_scale(struct fleet *, unsigned count);
/* Replace the worker of a seat: its successor starts, then it drains. 0, or -1
 * with errno (EBUSY: that is under way, the seat is empty, or a generation is
 * starting). */
int	 fleet_replace(struct fleet *, struct seat *);
/* The seat of the serving generation with that number, or NULL. */
struct seat *fleet_seat(struct fleet *, unsigned id);
/* After SIGCHLD: see child.h. */
void	 fleet_check(struct fleet *);
bool	 fleet_has(struct fleet *, pid_t);
/* Not to a generation that is still starting: its logs may be others. */
void	 fleet_reopen(struct fleet *, const char *names, const int *fds,
	    size_t nfds);

#endif
