/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What asgictl tells its user: messages and the exit status.
 */
#ifndef ASGICTL_TELL_H
#define ASGICTL_TELL_H

#include "base/buf.h"
#include "base/defs.h"

/* Also what the results of results.def lead to. */
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2,
	STATUS_NOT_RUNNING = 3, STATUS_DENIED = 4, STATUS_TIMEOUT = 5,
	STATUS_CONFIG = 6 };

/* A line on standard error, behind "asgictl: ". */
void	 tell_error(const char *fmt, ...) PRINTF(1, 2);
/* What errno means for `what`, those of peer.h included; the exit status. */
int	 tell_errno(const char *what);
/* On standard output; the exit status, complained if it is not 0. */
int	 tell_text(const struct buf *);

#endif
