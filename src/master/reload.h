/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A reload: the configuration is read anew, what it needs is opened beside
 * what is in use, a second generation of workers is started, and only when
 * all of it is ready does it take over.  Until then nothing that serves is
 * touched, so every failure leaves things as they were.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/fleet.h"
#include "master/setup.h"

struct reload {
	int		 argc;		/* the command line of the start */
	char *const	*argv;
	struct setup	*next;		/* NULL: none is under way */
};

/* Start the next generation. 0, or -1 after logging why not: nothing has
 * changed then. */
int	 reload_begin(struct reload *, const struct setup *now,
	    struct fleet *);
/* The fleet has switched: *now becomes the new setup, the former is
 * dropped. */
void	 reload_commit(struct reload *, struct setup **now);
/* The next generation is gone, or shall not come: drop what was opened. */
void	 reload_abort(struct reload *, const struct setup *now);

#endif
