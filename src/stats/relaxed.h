/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers with one writer and readers in other processes: whole, without a
 * lock prefix.
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

#endif
