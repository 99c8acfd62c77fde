/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The master process: everything that is opened once, the workers' life,
 * and the signals that steer it.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "conf/conf.h"

/* Run until stopped. Takes over conf; `worker` is the worker program's path,
 * the command line is read again by a reload. Returns the exit
 * status: 0 stopped as asked, 1 runtime failure, 3 the application could not
 * be loaded or started, 6 the configuration is invalid. */
int	 master_run(struct conf *, const char *worker, int argc,
	    char *const argv[]);

#endif
