/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The asyncio event loop of the application: class Loop of the built-in
 * module _asgid, a subclass of asyncio.SelectorEventLoop whose hot core is
 * C and runs on a struct loop of its own.  All functions need the GIL and
 * belong to the loop's thread.
 */
#ifndef PY_ALOOP_H
#define PY_ALOOP_H

#include "py/py.h"

#include "loop/loop.h"

/* New reference: an open Loop, its struct loop included, or NULL with an
 * exception.  Its close() (or its end) frees the struct loop. */
PyObject	*aloop_new(void);

/* Borrowed: the loop's struct loop, or NULL after close(). */
struct loop	*aloop_loop(PyObject *loop);

/* run_forever(): until stop() or loop_stop(). 0, or -1 with an exception. */
int		 aloop_run(PyObject *loop);

/*
 * New reference to an asyncio.Task (or what the application's task factory
 * makes) of `coro` (borrowed), in a context of its own, copied from the
 * current one, whose first step already ran, now; NULL with an exception
 * when no task could be made (the coroutine is then still the caller's to
 * close).  An exception of the coroutine is the task's, except SystemExit and
 * KeyboardInterrupt, which a Task raises on: NULL then, that exception set.
 * Only while the loop runs and no task is current: from the loop's phases.
 */
PyObject	*aloop_spawn(PyObject *loop, PyObject *coro);

#endif
