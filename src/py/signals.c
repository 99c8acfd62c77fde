/* SPDX-License-Identifier: BSD-3-Clause
 *
 * All of Python's standard library sets handlers by _signal.signal(), which is
 * looked up with each call: ours stands in its place.
 */
#include "py/py.h"
#include "py/signals.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "loop/loop.h"
#include "py/aloop.h"
#include "py/fork.h"

static struct {
	PyObject	*set;		/* Python's own _signal.signal */
	PyObject	*ours;		/* what Python knows */
	bool		 over[NSIG];
	bool		 called[NSIG];	/* ours, by the application */
	int		 passing;	/* whose handlers are called; or 0 */
} self;

/* The number of a signal, or -1 without an exception. */
static int
number_of(PyObject *o)
{
	long signo = PyLong_AsLong(o);

	if (signo == -1)
		PyErr_Clear();
	return signo > 0 && signo < NSIG ? (int)signo : -1;
}

/*
 * handler(signum, frame), for who calls the handler that it has replaced.
 * The server's action follows in the next turn; while theirs is being called,
 * it has been done already.
 */
static PyObject *
on_call(PyObject *module UNUSED, PyObject *const *args, Py_ssize_t n)
{
	int signo = n > 0 ? number_of(args[0]) : -1;

	if (signo == -1)
		Py_RETURN_NONE;
	if (fork_in_child) {
		(void)signal(signo, SIG_DFL);
		(void)raise(signo);
	} else if (self.passing != signo) {
		self.called[signo] = true;
		loop_signal_mark(signo);
	}
	Py_RETURN_NONE;
}

/* signal(signalnum, handler, /). The signal waits while neither stands. */
static PyObject *
set_handler(PyObject *module UNUSED, PyObject *const *args, Py_ssize_t n)
{
	int signo = n > 0 ? number_of(args[0]) : -1;
	sigset_t set, former;
	PyObject *old;

	if (signo == -1)
		return PyObject_Vectorcall(self.set, args, (size_t)n, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	(void)pthread_sigmask(SIG_BLOCK, &set, &former);
	old = PyObject_Vectorcall(self.set, args, (size_t)n, NULL);
	if (old != NULL)
		loop_signal_again(signo, self.over[signo]);
	(void)pthread_sigmask(SIG_SETMASK, &former, NULL);
	return old;
}

static PyMethodDef call_def = {
	"asgid", (PyCFunction)(void (*)(void))on_call, METH_FASTCALL,
	"asgid(signum, frame)\n--\n\nWhat a worker of asgid does."
};
static PyMethodDef set_def = {
	"signal", (PyCFunction)(void (*)(void))set_handler, METH_FASTCALL,
	"signal(signalnum, handler, /)\n--\n\nSet the action for a signal."
};

int
signals_init(void)
{
	PyObject *module = PyImport_ImportModule("_signal"), *set = NULL;
	int rc = -1;

	if (module != NULL)
		self.set = PyObject_GetAttrString(module, "signal");
	if (self.set != NULL)
		self.ours = PyCFunction_New(&call_def, NULL);
	if (self.ours != NULL)
		set = PyCFunction_New(&set_def, NULL);
	if (set != NULL)
		rc = PyObject_SetAttrString(module, "signal", set);
	Py_XDECREF(set);
	Py_XDECREF(module);
	return rc;
}

PyObject *
signals_ours(void)
{
	return self.ours != NULL ? self.ours : Py_None;
}

int
signals_share(int signo, bool over)
{
	PyObject *r;

	r = PyObject_CallFunction(self.set, "iO", signo, self.ours);
	Py_XDECREF(r);
	if (r == NULL)
		return -1;
	self.over[signo] = over;
	loop_signal_again(signo, true);
	return 0;
}

static void
failed(PyObject *aloop, int signo, bool ends)
{
	if (ends && (PyErr_ExceptionMatches(PyExc_SystemExit) ||
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))) {
		PyErr_Clear();
		log_info("%s: the application's handler asks for the end of "
		    "the process, too", strsignal(signo));
		return;
	}
	aloop_failed(aloop, "a signal handler");
}

void
signals_pass(PyObject *aloop, int signo, bool ends)
{
	int rc;

	if (self.called[signo]) {
		/* it comes from there */
		self.called[signo] = false;
		return;
	}
	self.passing = signo;
	rc = PyErr_SetInterruptEx(signo) == 0 ? PyErr_CheckSignals() : 0;
	self.passing = 0;
	fork_check(NULL);
	if (rc == -1)
		failed(aloop, signo, ends);
}
