/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lingering close (RFC 9112 9.6): the library closes a refused connection
 * with bytes unread, and the kernel's reset may overtake the answer.  So a
 * copy of the descriptor is kept, and read from, until the client closes.
 */
#ifndef HTTP_LINGER_H
#define HTTP_LINGER_H

#include "loop/loop.h"

struct lingerers {
	struct loop	*loop;
	struct list	 all;
	unsigned	 n;
};

void	 linger_init(struct lingerers *, struct loop *);
/* Copies fd. Past a bound, or without descriptors, nothing happens. */
void	 linger_add(struct lingerers *, int fd);
void	 linger_fini(struct lingerers *);
/* In the child of a fork: closes its copies, the loop is not its own. */
void	 linger_forked(struct lingerers *);

#endif
