/* SPDX-License-Identifier: BSD-3-Clause
 *
 * All that a worker inherits from the master, in one struct.  The descriptors
 * are inherited under their numbers; the numbers and the small facts travel
 * as one line of text in $ASGID_BIRTH; the configuration travels as text in a
 * memfd, printed by conf_print and read by conf_from_text, so that "what is
 * printed loads again" is proven at every start.
 *
 * The worker's number and generation stand in $ASGID_WORKER_NUMBER and
 * $ASGID_GENERATION too, and stay there: an application may act on them.
 */
#ifndef PROC_BIRTH_H
#define PROC_BIRTH_H

#include <stddef.h>

#include "conf/conf.h"
#include "proc/chan.h"

#define BIRTH_LISTENERS_MAX	256

struct birth {
	unsigned	 id;		/* 1.. : the worker's number; a former
					 * one that ends may have it too */
	unsigned	 generation;	/* 1.. : grows with each reload */
	struct chan_ends channel;	/* to the master */
	int		 conf_fd;	/* memfd: the configuration */
	int		 error_fd;	/* error log, -1: by its name */
	int		 access_fd;	/* access log, -1: off */
	int		 stats_fd;	/* statistics, -1: kept to itself */
	int		 listeners[BIRTH_LISTENERS_MAX];
	size_t		 nlisteners;
};

/* In the child, before exec: put the struct into the environment and clear
 * close-on-exec of its descriptors. 0, or -1 with errno. */
int	 birth_export(const struct birth *);
/* In the worker: take it out of the environment, load *conf, make the
 * descriptors close-on-exec again. 0, or -1 after logging. */
int	 birth_import(struct birth *, struct conf **);

#endif
