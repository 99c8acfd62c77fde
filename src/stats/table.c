/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What counters.def says, for those who go through all of it.
 */
#include "stats/stats.h"

const struct stats_line stats_lines[STATS_NLINES] = {
#define LINE(kind, hist, member, family, label, unit, scope, text) \
	[STAT_##member] = { STATS_##kind, STATS_##scope, hist, #member, \
	    family, label, unit, text },
#define COUNTER(...)	LINE(COUNTER, 0, __VA_ARGS__)
#define GAUGE(...)	LINE(GAUGE, 0, __VA_ARGS__)
#define PEAK(...)	LINE(PEAK, 0, __VA_ARGS__)
#define HISTOGRAM(member, ...) \
	LINE(HISTOGRAM, HIST_##member, member, __VA_ARGS__)
#include "stats/counters.def"
#undef LINE
};

const struct stats_pool stats_pools[STATS_NPOOLS] = {
#define POOL(pool) \
	{ #pool, STAT_##pool##_hits, STAT_##pool##_misses, \
	    STAT_##pool##_in_use, STAT_##pool##_peak }
	POOL(cycles), POOL(ports), POOL(waits), POOL(handles),
#undef POOL
};
