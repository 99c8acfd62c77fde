/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "worker/main_task.h"

#include "app/load.h"
#include "py/error.h"
#include "py/names.h"

static const char serve_text[] =
    "async def serve(stopped):\n"
    "    await stopped\n";

static const char finish_text[] =
    "import asyncio\n"
    "def finish(loop):\n"
    "    tasks = asyncio.all_tasks(loop)\n"
    "    for task in tasks:\n"
    "        task.cancel()\n"
    "    if tasks:\n"
    "        loop.run_until_complete(asyncio.wait(tasks, timeout=2))\n"
    "    loop.run_until_complete(loop.shutdown_asyncgens())\n"
    "    loop.run_until_complete(loop.shutdown_default_executor())\n"
    "    loop.close()\n";

static struct {
	PyObject	*aloop;		/* borrowed */
	PyObject	*stopped;	/* Future */
	PyObject	*task;
} self;

int
main_task_init(PyObject *aloop)
{
	PyObject *serve = app_define(serve_text, "serve"), *coro = NULL;

	self.aloop = aloop;
	self.stopped = PyObject_CallMethodNoArgs(aloop, names.create_future);
	if (serve != NULL && self.stopped != NULL)
		coro = PyObject_CallOneArg(serve, self.stopped);
	if (coro != NULL)
		self.task = PyObject_CallMethod(aloop, "create_task", "O",
		    coro);
	Py_XDECREF(coro);
	Py_XDECREF(serve);
	return self.task != NULL ? 0 : -1;
}

static bool
is_done(PyObject *future)
{
	PyObject *done = PyObject_CallMethodNoArgs(future, names.done);
	bool yes = done != Py_False;

	Py_XDECREF(done);
	return yes;
}

int
main_task_run(void)
{
	PyObject *r;

	for (;;) {
		r = PyObject_CallMethod(self.aloop, "run_until_complete", "O",
		    self.task);
		Py_XDECREF(r);
		if (r != NULL)
			return 0;
		if (PyErr_ExceptionMatches(PyExc_Exception) ||
		    is_done(self.task))
			break;
		error_log(LOG_L_ERROR, "a callback or a task beside the "
		    "requests has tried to end the process");
	}
	error_log(LOG_L_CRITICAL, "the event loop has ended");
	return -1;
}

void
main_task_stop(void)
{
	PyObject *r;

	if (is_done(self.stopped))
		return;
	r = PyObject_CallMethodOneArg(self.stopped, names.set_result, Py_None);
	Py_XDECREF(r);
	if (r == NULL)
		error_log(LOG_L_CRITICAL, "the event loop cannot be stopped");
}

void
main_task_fini(void)
{
	PyObject *finish = app_define(finish_text, "finish"), *r = NULL;

	if (finish != NULL)
		r = PyObject_CallOneArg(finish, self.aloop);
	if (r == NULL)
		error_log(LOG_L_WARNING, "while the event loop was closed");
	Py_XDECREF(r);
	Py_XDECREF(finish);
	Py_CLEAR(self.task);
	Py_CLEAR(self.stopped);
}
