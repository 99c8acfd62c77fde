/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Task at the root of the worker's event loop, as asyncio.run() would
 * make one.  It does nothing but last as long as the worker serves; others
 * look for it: anyio ends its worker threads together with the root task,
 * and takes a request's Task for it when there is none.
 */
#ifndef WORKER_MAIN_TASK_H
#define WORKER_MAIN_TASK_H

#include "py/py.h"

/* 0, or -1 with an exception. `aloop` is borrowed until main_task_fini. */
int	 main_task_init(PyObject *aloop);
/*
 * Run the loop, which is the worker's (aloop_own), until main_task_stop().
 * 0, or -1 after logging: it cannot go on.
 */
int	 main_task_run(void);
void	 main_task_stop(void);
/* What asyncio.run() does at its end: cancel tasks, shut generators and the
 * executor down, close the loop. */
void	 main_task_fini(void);

#endif
