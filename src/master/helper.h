/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Processes that the master has beside its workers: they look something up, or
 * look at something, and may take for ever.  None of them is waited for.
 */
#ifndef MASTER_HELPER_H
#define MASTER_HELPER_H

#include <sys/types.h>

#include <stdbool.h>

/* As spawn_fork(); -1 with errno. */
pid_t	 helper_fork(void);
/* In the helper: nothing of the master's is left open but this descriptor,
 * whose number is returned; the standard ones are /dev/null. -1 with errno. */
int	 helper_keep_only(int fd);
/* It has answered, or is not wanted any more: it is killed, and buried when it
 * is dead. */
void	 helper_end(pid_t);
/* A child has ended. */
void	 helper_reap(void);
/* Nobody else may bury it. */
bool	 helper_has(pid_t);

#endif
