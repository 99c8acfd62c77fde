/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to loop/: the loop's state and what its three files owe each
 * other.
 */
#ifndef LOOP_IMPL_H
#define LOOP_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/mono.h"
#include "loop/loop.h"

/*
 * Who must wake whom.  The loop's thread moves AWAKE -> SLEEPING before a
 * wait that may block; loop_wake() sets WOKEN and writes to the eventfd only
 * when it found SLEEPING.  Finding WOKEN, the loop does not block.
 */
enum { WAKE_AWAKE, WAKE_SLEEPING, WAKE_WOKEN };

/*
 * One slot a descriptor number.  Events carry number and generation, never a
 * pointer, so an event of a watcher that was removed, or whose number went
 * to another one, finds nobody.
 */
struct io_slot {
	struct loop_io	*io;
	uint32_t	 gen;
};

struct loop {
	nsec_t			 now;
	nsec_t			 began;		/* of the turn; 0: it is over */
	bool			 counted;	/* in the statistics */
	bool			 stopping;
	bool			 running;

	int			 epfd;
	int			 wakefd;
	atomic_int		 wake;
	struct io_slot		*slots;
	int			 nslots;
	bool			 no_pwait2;	/* kernel before 5.11 */

	struct heap		 timers;
	uint64_t		 timer_seq;
	/* Expired and moved aside; NULL where one was cancelled since. */
	struct loop_timer	**due;
	size_t			 ndue, due_cap;

	struct list		 works[LOOP_NPHASE];

	const struct loop_hooks	*hooks;
	void			*hooks_arg;
};

/* epoll.c */
int	 loop_io_open(struct loop *);
void	 loop_io_close(struct loop *);
/* Steps 5 and 6: wait at most `timeout` (NSEC_NEVER: for ever), then
 * dispatch. 0, or -1 when a hook asked to leave. */
int	 loop_io_turn(struct loop *, nsec_t timeout);

/* loop.c */
void	 loop_turn_begins(struct loop *, nsec_t now);

/* signal.c */
void	 loop_signal_dispatch(struct loop *);
void	 loop_signal_close(struct loop *);

#endif
