/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The worker process: loop, front, interpreter and application put together.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "conf/conf.h"
#include "proc/birth.h"

/* Exit statuses that the master understands. */
enum worker_exit {
	WORKER_STOPPED	= 0,
	WORKER_FAILED	= 1,	/* at run time */
	WORKER_UNUSABLE	= 3,	/* the application does not load or start */
};

/* From birth to the process's end: the exit status. */
int	 worker_main(struct birth *, struct conf *);

#endif
