/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How long a worker may take to end, on which both sides agree: the master
 * kills who takes longer, and who has no master any more has the kernel do it.
 */
#ifndef PROC_DEADLINE_H
#define PROC_DEADLINE_H

#include <stdbool.h>

#include "base/mono.h"

/* Beyond timeouts.graceful for a worker that never takes part. */
#define DEADLINE_STUCK	(2 * NSEC_PER_SEC)
/* Beyond its own deadlines for one that does: it has to cancel what runs,
 * and to take Python down. */
#define DEADLINE_DRAIN	(5 * NSEC_PER_SEC)

/* A worker that takes part (its loop has begun to drain) is also given the
 * time of lifespan.shutdown; one that is stuck is not. Of the two durations 0
 * is no limit; so is the result. */
static inline nsec_t
deadline_to_end(nsec_t graceful, nsec_t shutdown, bool takes_part)
{
	if (graceful == 0 || (takes_part && shutdown == 0))
		return 0;
	return mono_add(graceful, takes_part ?
	    mono_add(shutdown, DEADLINE_DRAIN) : DEADLINE_STUCK);
}

#endif
