/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The master process: everything that is opened once, the workers' life,
 * and the signals that steer it.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "conf/conf.h"

/* Run until stopped; `worker` is the worker program's path. Returns the exit
 * status: 0 stopped as asked, 1 runtime failure, 3 the application could not
 * be loaded or started, 6 the configuration is invalid. */
int	 master_run(const struct conf *, const char *worker);

#endif
