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

/*
 * Make it a worker's, who alone runs, stops and closes it: run_forever(),
 * stop() and close() are a RuntimeError from now on.  False when the code of
 * an application has left it closed, running or shut down: take another one.
 */
bool		 aloop_own(PyObject *loop);
/* Its stop() and close() work again. */
void		 aloop_disown(PyObject *loop);
/* What stop() does, whoever owns it. */
void		 aloop_stop(PyObject *loop);

/*
 * What run_forever() does, but none of its methods is called: a library may
 * have replaced them.  Until stop().  0, or -1 with an exception.  What a
 * callback of a loop that is or was owned lets out goes to aloop_failed(), and
 * the loop goes on.
 */
int		 aloop_run(PyObject *loop);

/* An exception is set that nobody else will hear of: the loop's exception
 * handler has it, or the log when it asks for the end of the process. `what`
 * raised it: "a signal handler". */
void		 aloop_failed(PyObject *loop, const char *what);

/*
 * New reference to an asyncio.Task (or what the application's task factory
 * makes) of `coro` (borrowed), called `name` or, by NULL, "request-N", which no
 * other is; in a context of its own, copied from the
 * current one, whose first step already ran, now; NULL with an exception
 * when no task could be made (the coroutine is then still the caller's to
 * close).  An exception of the coroutine is the task's, except SystemExit and
 * KeyboardInterrupt, which a Task raises on: NULL then, that exception set.
 * Only while the loop runs and no task is current: from the loop's phases.
 */
PyObject	*aloop_spawn(PyObject *loop, PyObject *coro, PyObject *name);

#endif
