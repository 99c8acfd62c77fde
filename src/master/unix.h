/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listening UNIX sockets: made with the right mode from their first moment,
 * stale ones replaced, anything else never touched.
 *
 * Others may be able to write to the folder that a socket is in, even the
 * user that the workers run as.  So the file is held open (O_PATH) from its
 * making on: owner and mode are changed through that descriptor, and its
 * inode number cannot become another file's.
 */
#ifndef MASTER_UNIX_H
#define MASTER_UNIX_H

#include <stdbool.h>

#include "conf/conf.h"

/* A listening descriptor, close-on-exec, non-blocking; *file is its file, the
 * caller's, -1 on failure; `option` names it in the log ("listen"). -1 after
 * logging. */
int	 unix_listen(const struct conf_listen *, const char *option,
	    int *file);
/* What stands in the way of a socket at this path, or NULL. */
#define UNIX_BUSY	"another process has it"
const char *unix_obstacle(const char *path);
/* Does the path lead to this file? */
bool	 unix_is_ours(const char *path, int file);
/* Do owner and group exist? 0, or -1 after logging. */
int	 unix_check(const struct conf_listen *);
/* Give the file the mode, owner and group of the configuration; failure is
 * only logged. */
void	 unix_adjust(const struct conf_listen *, int file);
/* Remove the file if the path still leads to it, and close it; -1: there is
 * none. */
void	 unix_remove(const char *path, int *file);

#endif
