/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "worker/main_task.h"

#include "app/load.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/names.h"

/* anyio knows a root task by the callback that run_until_complete() adds. */
static const char serve_text[] =
    "from asyncio import base_events\n"
    "async def wait(stopped):\n"
    "    await stopped\n"
    "def serve(loop, stopped):\n"
    "    task = loop.create_task(wait(stopped))\n"
    "    task.add_done_callback(base_events._run_until_complete_cb)\n"
    "    return task\n";

/* A root task that never ran ends here, and must not end the loop with it. */
static const char finish_text[] =
    "import asyncio\n"
    "from asyncio import base_events\n"
    "def finish(loop):\n"
    "    tasks = asyncio.all_tasks(loop)\n"
    "    for task in tasks:\n"
    "        task.remove_done_callback(base_events._run_until_complete_cb)\n"
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
	PyObject *serve = app_define(serve_text, "serve");

	self.aloop = aloop;
	self.stopped = PyObject_CallMethodNoArgs(aloop, names.create_future);
	if (serve != NULL && self.stopped != NULL)
		self.task = PyObject_CallFunctionObjArgs(serve, aloop,
		    self.stopped, NULL);
	Py_XDECREF(serve);
	return self.task != NULL ? 0 : -1;
}

static bool
is_done(PyObject *future)
{
	PyObject *done = PyObject_CallMethodNoArgs(future, names.done);
	bool yes = done != Py_False;

	Py_XDECREF(done);
	PyErr_Clear();
	return yes;
}

int
main_task_run(void)
{
	if (aloop_run(self.aloop) == 0)
		return 0;
	error_log(LOG_L_CRITICAL, "the event loop has ended");
	return -1;
}

/* The loop ends with the root task; when an application has cancelled that,
 * without it. */
void
main_task_stop(void)
{
	PyObject *r;

	aloop_disown(self.aloop);
	if (!is_done(self.task) && !is_done(self.stopped)) {
		r = PyObject_CallMethodOneArg(self.stopped, names.set_result,
		    Py_None);
		if (r != NULL) {
			Py_DECREF(r);
			return;
		}
		error_log(LOG_L_ERROR, "the root task cannot be ended");
	}
	aloop_stop(self.aloop);
}

void
main_task_fini(void)
{
	PyObject *finish = app_define(finish_text, "finish"), *r = NULL;

	aloop_disown(self.aloop);
	if (finish != NULL)
		r = PyObject_CallOneArg(finish, self.aloop);
	if (r == NULL)
		error_log(LOG_L_WARNING, "while the event loop was closed");
	Py_XDECREF(r);
	Py_XDECREF(finish);
	Py_CLEAR(self.task);
	Py_CLEAR(self.stopped);
}
