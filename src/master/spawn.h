/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One worker process: fork, become somebody else, exec with exactly the
 * descriptors of struct birth.
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

#include "conf/conf.h"
#include "master/listen.h"
#include "master/privs.h"
#include "proc/chan.h"
#include "stats/stats.h"

/* What all workers have in common. */
struct spawn {
	const char		*worker;	/* the program */
	const struct conf	*conf;
	const struct privs	*privs;
	const struct listeners	*listeners;
	int			 access_fd;	/* -1: no access log */
	int			 folder;	/* to start in; -1: ours */
	struct stats_segment	*stats;		/* who starts takes a slot */
};

struct spawned {
	pid_t	 pid;
	int	 pidfd;		/* readable when it has ended; or -1 */
	struct chan_ends channel; /* the master's */
};

/* 0, or -1 with errno, after logging. That the program cannot be executed is
 * found out in the child, which logs it and exits with 1. */
int	 spawn_worker(const struct spawn *, unsigned id, unsigned generation,
	    int stats_fd, struct spawned *);

/* For other children. fork(2), but the child has every signal blocked, for the
 * master's handlers must not run there; then it shall have what a worker has:
 * the default for all but SIGINT and SIGQUIT, which are ignored, and none
 * blocked. */
pid_t	 spawn_fork(void);
void	 spawn_reset_signals(void);

#endif
