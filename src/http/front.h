/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The HTTP front of a worker: listeners, connections, requests.
 */
#ifndef HTTP_FRONT_H
#define HTTP_FRONT_H

#include "conf/conf.h"
#include "http/http.h"
#include "loop/loop.h"

struct front;

struct front_events {
	void	(*drained)(void *arg);		/* no connection is left */
	void	(*served_out)(void *arg);	/* max_requests reached */
};

/* conf and ops outlive the front; listeners are inherited descriptors, the
 * front closes them. NULL after logging. */
struct front *front_new(struct loop *, const struct conf *,
	    const struct http_ops *, void *ops_arg,
	    const struct front_events *, void *events_arg);
int	 front_listen(struct front *, const int *fds, size_t n);
/* Begin to accept. */
void	 front_go(struct front *);
/*
 * Stop accepting, close idle connections, say "Connection: close" on what
 * still runs.  What is queued is taken first, as far as limits.connections
 * allows, but for listeners that stay (see base/sock.h) when `others` serve on
 * there.
 * drained() is called once, possibly before this returns.
 */
void	 front_drain(struct front *, bool others);
/* Close every connection now. drained() follows. */
void	 front_abort(struct front *);
/* Ends all connections, requests in flight get done(); while the loop is. */
void	 front_free(struct front **);
/* In the child of a fork: closes its copies of all descriptors, so that it
 * holds nobody's connection open. The front is not to be used any more. */
void	 front_forked(struct front *);

void	 front_set_access_fd(struct front *, int fd);

/* The library's name and version, for --version. */
const char *front_library(void);

#endif
