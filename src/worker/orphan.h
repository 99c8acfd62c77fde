/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker whose master has died must end, and nobody is there to kill it
 * when its application holds it up.  So the kernel is: a timer of its own,
 * set by the handler of the signal that tells of the master's death, which
 * runs whatever the loop does.
 */
#ifndef WORKER_ORPHAN_H
#define WORKER_ORPHAN_H

#include "base/mono.h"

/* While the master lives. The two durations are the configuration's. */
void	 orphan_init(nsec_t graceful, nsec_t shutdown);
/* For loop_signal_at_once(). */
void	 orphan_on_signal(int signo);
/* The loop has heard that it must end, and turns: more time, once. */
void	 orphan_takes_part(void);

#endif
