/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an administrator can do about an address that cannot be listened at.
 */
#ifndef MASTER_HINT_H
#define MASTER_HINT_H

#include "base/buf.h"
#include "base/sock.h"

/* What goes behind strerror(error) when bind() or listen() of this TCP address
 * has failed: " by nginx (process 12)", "; start as root ...", or nothing.
 * Takes bounded time. */
void	 hint_listen(const struct sock_addr *, int error, struct buf *);
/* The same for the UNIX socket that somebody has made by this path. */
void	 hint_unix(const char *path, struct buf *);

#endif
