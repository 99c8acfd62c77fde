/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Telling the service manager (sd_notify(3)) without its library: one
 * datagram to $NOTIFY_SOCKET, a path or "@" and an abstract name.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include "base/defs.h"

struct notify {
	int	 fd;		/* -1: nobody wants to know */
};

/* Takes $NOTIFY_SOCKET out of the environment, so that no child speaks for
 * us. */
void	 notify_init(struct notify *);
void	 notify_fini(struct notify *);
/* "READY=1\nSTATUS=..." */
void	 notify_send(const struct notify *, const char *fmt, ...)
	    PRINTF(2, 3);

#endif
