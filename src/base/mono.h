/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Monotonic time.  All durations and points in time inside asgid are signed
 * nanoseconds (nsec_t) of CLOCK_MONOTONIC, the clock of Python's
 * time.monotonic() on Linux, so that asyncio's times and ours compare.
 */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef int64_t nsec_t;

#define NSEC_PER_SEC	INT64_C(1000000000)
#define NSEC_PER_MSEC	INT64_C(1000000)
#define NSEC_NEVER	INT64_MAX

static inline nsec_t
mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* For what is not to be told again and again: true if it was not within the
 * last `pause`. *last is 0 at first. */
static inline bool
mono_rarely(nsec_t *last, nsec_t pause)
{
	nsec_t now = mono_now();

	if (*last != 0 && now - *last < pause)
		return false;
	*last = now;
	return true;
}

/* A point in time or a duration that is too far away never comes. */
static inline nsec_t
mono_add(nsec_t a, nsec_t b)
{
	nsec_t sum;

	return __builtin_add_overflow(a, b, &sum) ? NSEC_NEVER : sum;
}

#endif
