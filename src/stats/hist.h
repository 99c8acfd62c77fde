/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Histograms of durations, 1 us to 100 s: 32 buckets a decade, each at most
 * an eighth wider than its lower edge.  1, 2.5 and 5 of each decade are edges,
 * and a bucket holds what is at most its upper edge, so that "le" of
 * OpenMetrics can be told to the nanosecond.
 */
#ifndef STATS_HIST_H
#define STATS_HIST_H

#include <stdint.h>

#include "base/mono.h"

#define HIST_DECADES	8
#define HIST_STEPS	32	/* 1 (.1) 2 (.25) 5 (.5) 10 */
/* before the first: up to 1 us; behind the last: above 100 s */
#define HIST_NBUCKETS	(HIST_DECADES * HIST_STEPS + 2)

struct hist {
	uint64_t	sum;			/* ns */
	uint64_t	buckets[HIST_NBUCKETS];
};

/* Which bucket; a negative duration counts as none. */
unsigned hist_bucket(nsec_t);
/* A bucket's upper edge; the last has none: NSEC_NEVER. */
nsec_t	 hist_edge(unsigned bucket);

/* Add one duration; single writer, readers in other processes. */
void	 hist_observe(struct hist *, nsec_t);
/* What a process has written, as far as it can be true. */
void	 hist_add(struct hist *to, const struct hist *);

uint64_t hist_count(const struct hist *);
/* How many were at most `edge`, an edge. */
uint64_t hist_up_to(const struct hist *, nsec_t edge);
/* The duration below which a share q (0..1) lies, interpolated; 0 when
 * there is none, 100 s when it lies above. */
nsec_t	 hist_quantile(const struct hist *, double q);

#endif
