/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics: a slot for each process, in a memfd that it shares with the
 * master alone.  It writes, without locks, and the master reads at any time,
 * so a worker that hangs is seen as well as any other.  What is counted stands
 * in counters.def.
 *
 * A worker may be somebody's who wants the others harm.  It cannot reach their
 * slots, and of its own the master believes what can be true, so that it only
 * has itself killed and only its own part of a sum is wrong.
 *
 * All writers of a process are on its loop's thread or hold the GIL.
 */
#ifndef STATS_STATS_H
#define STATS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "stats/hist.h"
#include "stats/relaxed.h"

enum stat_id {
#define COUNTER(member, ...)	STAT_##member,
#define GAUGE(member, ...)	STAT_##member,
#define PEAK(member, ...)	STAT_##member,
#define HISTOGRAM(member, ...)	STAT_##member,
#include "stats/counters.def"
	STATS_NLINES
};

enum hist_id {
#define HISTOGRAM(member, ...)	HIST_##member,
#include "stats/counters.def"
	STATS_NHISTS
};

/* The last seconds in which something happened, by CLOCK_MONOTONIC. */
#define STATS_RING	16

/* Some counters as they stood when a second's first turn began. */
struct stats_second {
	uint64_t	 second;
	uint64_t	 requests, errors, received, sent;
};

/* Everything of one process. */
struct stats_slot {
	uint64_t	 layout;	/* the master's, of all slots */
	uint64_t	 values[STATS_NLINES];	/* of a histogram: unused */
	/* When the running turn of the loop began; 0 while it waits. */
	uint64_t	 turn_began;
	struct stats_second ring[STATS_RING];	/* by second % STATS_RING */
	struct hist	 hists[STATS_NHISTS];
};

/* This process'; a private one before stats_attach() or stats_new(). */
extern struct stats_slot *stats;

#define STAT_GET(member)	relaxed_get(&stats->values[STAT_##member])
#define STAT_SET(member, v)	relaxed_set(&stats->values[STAT_##member], (v))
#define STAT_ADD(member, n)	stats_add(STAT_##member, (n))
#define STAT_SUB(member, n)	stats_sub(STAT_##member, (n))
#define STAT_OBSERVE(member, ns) \
	hist_observe(&stats->hists[HIST_##member], (ns))

static inline void
stats_add(enum stat_id id, uint64_t n)
{
	relaxed_set(&stats->values[id], relaxed_get(&stats->values[id]) + n);
}

static inline void
stats_sub(enum stat_id id, uint64_t n)
{
	relaxed_set(&stats->values[id], relaxed_get(&stats->values[id]) - n);
}

/* One more in use; the most there were is kept in `peak`. */
static inline void
stats_add_peak(enum stat_id in_use, enum stat_id peak)
{
	uint64_t n = relaxed_get(&stats->values[in_use]) + 1;

	relaxed_set(&stats->values[in_use], n);
	if (n > relaxed_get(&stats->values[peak]))
		relaxed_set(&stats->values[peak], n);
}

/* The loop: a turn begins; it has ended, and nothing is done until the next
 * one begins. */
void	 stats_turn_begins(nsec_t now);
void	 stats_turn_over(void);

/* ---- the segment: the master's ------------------------------------------ */

#define STATS_SLOTS	4096	/* of workers, at the same time */

struct stats_segment;

/* Becomes this process' statistics. NULL with errno. */
struct stats_segment *stats_new(void);
void	 stats_free(struct stats_segment **);
/* A number of 1 and above, all zero, and a descriptor for its worker, which
 * the caller closes. -1 with errno; ENOSPC: there is none left. */
int	 stats_slot_take(struct stats_segment *, int *fd);
/* Its process is dead: what it has done is kept with that of all others that
 * are, what it had is not. */
void	 stats_slot_release(struct stats_segment *, int slot);
/* Of a number that is taken; 0 is the master's own. */
const struct stats_slot *stats_slot(const struct stats_segment *, int slot);

/* The master's way to read what others write. */
static inline uint64_t
stats_value(const struct stats_slot *s, enum stat_id id)
{
	return relaxed_believe(&s->values[id]);
}

/* In a worker: count in the slot behind this descriptor from now on. Its
 * children, if it forks, count nowhere. 0, or -1 with errno; EPROTO: the
 * master is of another version, with other slots. */
int	 stats_attach(int fd);

/* ---- sums --------------------------------------------------------------- */

/* Over all workers that are and were, or the master's, as the scope is.
 * Counters and histograms never go back. */
uint64_t stats_total(const struct stats_segment *, enum stat_id);
void	 stats_total_hist(const struct stats_segment *, enum hist_id,
	    struct hist *);
/* What was done in the last ten seconds, the running one and the nine before,
 * or since the start if that was later; *seconds is how many that makes. */
void	 stats_last_seconds(const struct stats_segment *, nsec_t now,
	    nsec_t uptime, struct stats_second *, double *seconds);

/* ---- the table ---------------------------------------------------------- */

enum stats_kind { STATS_COUNTER, STATS_GAUGE, STATS_PEAK, STATS_HISTOGRAM };
enum stats_scope { STATS_WORKER, STATS_MASTER };

struct stats_line {
	enum stats_kind	 kind;
	enum stats_scope scope;
	unsigned	 hist;		/* enum hist_id */
	const char	*member, *family, *label, *unit, *text;
};

extern const struct stats_line stats_lines[STATS_NLINES];

/* The lines that belong to one free list. */
struct stats_pool {
	const char	*name;
	enum stat_id	 hits, misses, in_use, peak;
};

#define STATS_NPOOLS	4
extern const struct stats_pool stats_pools[STATS_NPOOLS];

#endif
