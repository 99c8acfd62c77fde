/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listening UNIX sockets: made with the right mode from their first moment,
 * stale ones replaced, anything else never touched.
 */
#ifndef MASTER_UNIX_H
#define MASTER_UNIX_H

#include <sys/stat.h>

#include <stdbool.h>

#include "conf/conf.h"

/* A listening descriptor, close-on-exec, non-blocking; *made tells its file
 * again from one that somebody else puts there later; `option` names it in
 * the log ("listen"). -1 after logging. */
int	 unix_listen(const struct conf_listen *, const char *option,
	    struct stat *made);
/* What stands in the way of a socket at this path, or NULL. */
const char *unix_obstacle(const char *path);
/* Is the file still the one that was made? */
bool	 unix_is_ours(const char *path, const struct stat *made);
/* Do owner and group exist? 0, or -1 after logging. */
int	 unix_check(const struct conf_listen *);
/* Give an existing file the mode, owner and group of the configuration;
 * failure is only logged. */
void	 unix_adjust(const struct conf_listen *);
/* Remove the file if it is still the one that was made. */
void	 unix_remove(const char *path, const struct stat *made);

#endif
