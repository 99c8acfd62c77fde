/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers with one writer and readers in other processes: whole, without a
 * lock prefix.  The writer may be a worker that somebody has taken over.
 */
#ifndef STATS_RELAXED_H
#define STATS_RELAXED_H

#include <stdint.h>

static inline uint64_t
relaxed_get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void
relaxed_set(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* Nothing that one process counts comes near it, so that what is above was
 * not counted. */
#define RELAXED_MOST	(UINT64_C(1) << 56)

/* What the reader takes for true, whatever was written. */
static inline uint64_t
relaxed_believe(const uint64_t *p)
{
	uint64_t v = relaxed_get(p);

	return v < RELAXED_MOST ? v : 0;
}

/* Never goes back, which a sum that wraps would. */
static inline uint64_t
relaxed_sum(uint64_t a, uint64_t b)
{
	return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

#endif
