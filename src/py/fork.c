/* SPDX-License-Identifier: BSD-3-Clause
 *
 * By os.register_at_fork(): its functions run for forks that go on in Python
 * and for no others, in the thread that forks, with the GIL.  They are
 * registered before the application is imported, so ours run last before the
 * fork and first after it.
 */
#include "py/py.h"
#include "py/fork.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/loop.h"
#include "py/aloop.h"
#include "py/aloop_impl.h"
#include "py/error.h"
#include "py/signals.h"

bool fork_in_child;

static struct {
	PyObject	*aloop;
	fork_f		*child;
	void		*arg;
} self;

/* ---- in the child, at once ---------------------------------------------- */

/* New reference: the numbers in the set, which no C handler has any more. */
static PyObject *
list_of(const sigset_t *set)
{
	PyObject *list = PyList_New(0), *number;
	int signo, rc = 0;

	for (signo = 1; list != NULL && signo < NSIG && rc == 0; signo++) {
		if (sigismember(set, signo) != 1)
			continue;
		number = PyLong_FromLong(signo);
		rc = number != NULL ? PyList_Append(list, number) : -1;
		Py_XDECREF(number);
	}
	if (rc == -1)
		py_drop(&list);
	return list;
}

/* What Python and asyncio know of signals. */
static void
forget_signals(const sigset_t *set)
{
	PyObject *list = list_of(set), *r = NULL;

	if (list != NULL)
		r = PyObject_CallFunctionObjArgs(aloop_state()->forked,
		    self.aloop != NULL ? self.aloop : Py_None, list,
		    signals_ours(), NULL);
	Py_XDECREF(list);
	Py_XDECREF(r);
	if (r == NULL)
		error_log(LOG_L_WARNING, "signals of a forked process");
}

/* ---- around fork() ------------------------------------------------------ */

static PyObject *
before(PyObject *module UNUSED, PyObject *unused UNUSED)
{
	loop_signals_hold();
	Py_RETURN_NONE;
}

static PyObject *
after_in_parent(PyObject *module UNUSED, PyObject *unused UNUSED)
{
	loop_signals_release();
	Py_RETURN_NONE;
}

static PyObject *
after_in_child(PyObject *module UNUSED, PyObject *unused UNUSED)
{
	struct loop *loop = NULL;
	sigset_t set;

	fork_in_child = true;
	(void)sigemptyset(&set);
	if (self.aloop != NULL)
		loop = aloop_loop(self.aloop);
	/* first of all: the worker waits on the same epoll instance, from
	 * which nothing may be taken */
	if (loop != NULL)
		loop_forked(loop, &set);
	else if (self.aloop == NULL)	/* while the application is imported */
		loop_signal_reset(NULL, &set);
	self.child(self.arg);
	forget_signals(&set);
	loop_signals_release();
	Py_RETURN_NONE;
}

static PyMethodDef before_def = { "before", before, METH_NOARGS, NULL };
static PyMethodDef parent_def = { "after_in_parent", after_in_parent,
	METH_NOARGS, NULL };
static PyMethodDef child_def = { "after_in_child", after_in_child,
	METH_NOARGS, NULL };

static int
add(PyObject *kwargs, PyMethodDef *def)
{
	PyObject *function = PyCFunction_New(def, NULL);
	int rc = -1;

	if (function != NULL)
		rc = PyDict_SetItemString(kwargs, def->ml_name, function);
	Py_XDECREF(function);
	return rc;
}

int
fork_init(fork_f *child, void *arg)
{
	PyObject *os = PyImport_ImportModule("os"), *method = NULL;
	PyObject *args = PyTuple_New(0), *kwargs = PyDict_New(), *r = NULL;

	self.child = child;
	self.arg = arg;
	if (os != NULL)
		method = PyObject_GetAttrString(os, "register_at_fork");
	if (method != NULL && args != NULL && kwargs != NULL &&
	    add(kwargs, &before_def) == 0 && add(kwargs, &parent_def) == 0 &&
	    add(kwargs, &child_def) == 0)
		r = PyObject_Call(method, args, kwargs);
	Py_XDECREF(os);
	Py_XDECREF(method);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

void
fork_serve(PyObject *aloop)
{
	py_set(&self.aloop, py_ref(aloop));
}

bool
fork_is_servers(PyObject *aloop)
{
	return aloop == self.aloop;
}

/* ---- the child's end ---------------------------------------------------- */

/* As Python's own: None is 0, what is no number is printed. */
static int
status_of(PyObject *exit)
{
	PyObject *code = PyObject_GetAttrString(exit, "code");
	long status = 1;

	if (code == Py_None)
		status = 0;
	else if (code != NULL && PyLong_Check(code))
		status = PyLong_AsLong(code);
	else if (code != NULL) {
		PySys_FormatStderr("%S\n", code);
		PyErr_Clear();
	}
	PyErr_Clear();
	Py_XDECREF(code);
	return (int)status;
}

static void
flush(const char *name)
{
	PyObject *file = PySys_GetObject(name), *r;	/* borrowed */

	if (file == NULL || file == Py_None)
		return;
	r = PyObject_CallMethod(file, "flush", NULL);
	Py_XDECREF(r);
	PyErr_Clear();
}

void
fork_leave(const char *did)
{
	PyObject *exc = error_take();
	int status = 1;

	if (exc == NULL) {
		status = did != NULL;
		log_warn("a process that the application has forked %s: "
		    "it ends here", did != NULL ? did :
		    "came back into the server");
	} else if (PyErr_GivenExceptionMatches(exc, PyExc_SystemExit))
		status = status_of(exc);
	else
		error_log_exc(LOG_L_ERROR, exc,
		    "Exception in a process that the application has forked");
	flush("stdout");
	flush("stderr");
	/* neither atexit functions nor destructors: they are the worker's */
	_exit(status);
}
