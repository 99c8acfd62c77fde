/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listening UNIX sockets: made with the right mode from their first moment,
 * stale ones replaced, anything else never touched.
 */
#ifndef MASTER_UNIX_H
#define MASTER_UNIX_H

#include <sys/stat.h>

#include "conf/conf.h"

/* A listening descriptor, close-on-exec, non-blocking; *made tells its file
 * again from one that somebody else puts there later. -1 after logging. */
int	 unix_listen(const struct conf_listen *, struct stat *made);
/* Remove the file if it is still the one that was made. */
void	 unix_remove(const char *path, const struct stat *made);

#endif
