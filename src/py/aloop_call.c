/* SPDX-License-Identifier: BSD-3-Clause
 *
 * call_soon(), call_later() and their kin: reading their arguments, and
 * handles to the ready queue or the timers.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include <string.h>

#include "base/defs.h"
#include "py/fork.h"

/* ---- checks and arguments ------------------------------------------- */

bool
core_running(const struct core *c)
{
	return c->thread_id != NULL && c->thread_id != Py_None;
}

int
core_check_open(struct core *c)
{
	if (LIKELY(!(c->flags & CORE_CLOSED)))
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
	return -1;
}

static int
check_thread(struct core *c)
{
	unsigned long id;

	if (!core_running(c))
		return 0;
	id = PyLong_AsUnsignedLong(c->thread_id);
	if (id == (unsigned long)-1 && PyErr_Occurred())
		return -1;
	if (id == PyThread_get_thread_ident())
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "Non-thread-safe operation "
	    "invoked on an event loop other than the current one");
	return -1;
}

/* Closed, or debug mode's checks; only when a flag is up. */
static int
check_slow(struct core *c, const struct call *call, const char *method,
    bool any_thread)
{
	PyObject *r;

	if (core_check_open(c) == -1)
		return -1;
	if (!(c->flags & CORE_DEBUG))
		return 0;
	if (!any_thread && check_thread(c) == -1)
		return -1;
	r = PyObject_CallFunction(c->st->check_callback, "OOs", c,
	    call->callback, method);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

/* A keyword that is no `context`: one of the leading names. */
static int
parse_keyword(const char *const *names, int nnames, PyObject *key,
    PyObject *value, PyObject **lead)
{
	int i;

	for (i = 0; i < nnames; i++)
		if (PyUnicode_CompareWithASCIIString(key, names[i]) == 0) {
			if (lead[i] != NULL) {
				PyErr_Format(PyExc_TypeError,
				    "multiple values for argument '%s'",
				    names[i]);
				return -1;
			}
			lead[i] = value;
			return 0;
		}
	PyErr_Format(PyExc_TypeError,
	    "unexpected keyword argument '%U'", key);
	return -1;
}

/*
 * call_soon(callback, *args, context=None) and its kin: `names` are the
 * parameters before *args, the last of them the callback; what they were
 * given is stored (borrowed) in `lead`. 0 or -1.
 */
static int
parse(struct core *c, const char *const *names, int nnames,
    PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
    struct call *call, PyObject **lead)
{
	Py_ssize_t i, nkw = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
	PyObject *key;
	int n;

	call->context = NULL;
	for (n = 0; n < nnames; n++)
		lead[n] = n < nargs ? args[n] : NULL;
	call->args = nargs > nnames ? args + nnames : NULL;
	call->nargs = nargs > nnames ? nargs - nnames : 0;
	for (i = 0; i < nkw; i++) {
		key = PyTuple_GET_ITEM(kwnames, i);
		if (LIKELY(key == c->st->str_context) ||
		    PyUnicode_Compare(key, c->st->str_context) == 0)
			call->context = args[nargs + i];
		else if (parse_keyword(names, nnames, key, args[nargs + i],
		    lead) == -1)
			return -1;
	}
	if (call->context == Py_None)
		call->context = NULL;
	for (n = 0; n < nnames; n++)
		if (lead[n] == NULL) {
			PyErr_Format(PyExc_TypeError,
			    "missing a required argument: '%s'", names[n]);
			return -1;
		}
	call->callback = lead[nnames - 1];
	if (call->context != NULL && !PyContext_CheckExact(call->context)) {
		PyErr_Format(PyExc_TypeError,
		    "a Context was expected, got %R", call->context);
		return -1;
	}
	return 0;
}

/* ---- call_soon and its kin ------------------------------------------ */

static PyObject *
call_soon(struct core *c, const struct call *call)
{
	struct handle *h = handle_new(c, call);

	if (UNLIKELY(h == NULL))
		return NULL;
	if (UNLIKELY(core_push(c, (PyObject *)h) == -1)) {
		Py_DECREF((PyObject *)h);
		return NULL;
	}
	return (PyObject *)h;
}

/* The first step of the task being made by aloop_spawn(): it is kept for
 * that function instead of being queued. */
static bool
is_task_step(struct core *c, PyObject *callback)
{
	PyTypeObject *type = Py_TYPE(callback);
	PyObject *f;

	if (LIKELY(type == c->st->step_type))
		return true;
	if (strstr(type->tp_name, "TaskStepMethWrapper") != NULL) {
		Py_XDECREF((PyObject *)c->st->step_type);
		c->st->step_type =
		    (PyTypeObject *)Py_NewRef((PyObject *)type);
		return true;
	}
	if (!PyMethod_Check(callback))		/* a Task in Python */
		return false;
	f = PyMethod_GET_FUNCTION(callback);
	return PyFunction_Check(f) && PyUnicode_CompareWithASCIIString(
	    ((PyFunctionObject *)f)->func_name, "__step") == 0;
}

static void
capture(struct core *c, const struct call *call)
{
	c->flags &= ~(unsigned)CORE_CAPTURE;
	c->captured = Py_NewRef(call->callback);
	c->captured_context = Py_XNewRef(call->context);
}

static const char *const soon_names[] = { "callback" };

static PyObject *
LoopCore_call_soon(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	struct core *c = (struct core *)op;
	PyObject *lead[1];
	struct call call;

	if (parse(c, soon_names, 1, args, nargs, kwnames, &call, lead)
	    == -1)
		return NULL;
	if (UNLIKELY(c->flags != 0)) {
		if (check_slow(c, &call, "call_soon", false) == -1)
			return NULL;
		if ((c->flags & CORE_CAPTURE) && call.context != NULL &&
		    call.nargs == 0 && is_task_step(c, call.callback)) {
			capture(c, &call);
			Py_RETURN_NONE;
		}
	}
	return call_soon(c, &call);
}

static PyObject *
LoopCore_call_soon_threadsafe(PyObject *op, PyObject *const *args,
    Py_ssize_t nargs, PyObject *kwnames)
{
	struct core *c = (struct core *)op;
	PyObject *lead[1], *h;
	struct call call;

	if (parse(c, soon_names, 1, args, nargs, kwnames, &call, lead)
	    == -1)
		return NULL;
	if (UNLIKELY(c->flags != 0) &&
	    check_slow(c, &call, "call_soon_threadsafe", true) == -1)
		return NULL;
	/* who hands something over to a loop that does not turn here would
	 * wait for ever: the end of a job in a pool of threads, mostly */
	if (UNLIKELY(fork_in_child) && fork_is_servers((PyObject *)c))
		fork_leave(NULL);
	h = call_soon(c, &call);
	if (h != NULL && c->loop != NULL)
		loop_wake(c->loop);
	return h;
}

static PyObject *
call_at(struct core *c, const struct call *call, double when,
    const char *method)
{
	if (UNLIKELY(c->flags != 0) &&
	    check_slow(c, call, method, false) == -1)
		return NULL;
	return (PyObject *)timer_handle_new(c, call, when);
}

/* The number of seconds in `o`, a required one. */
static int
seconds(PyObject *o, const char *name, double *s)
{
	if (o == Py_None) {
		PyErr_Format(PyExc_TypeError, "%s cannot be None", name);
		return -1;
	}
	*s = PyFloat_AsDouble(o);
	return *s == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
LoopCore_call_at(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	static const char *const names[] = { "when", "callback" };
	struct core *c = (struct core *)op;
	PyObject *lead[2];
	struct call call;
	double when;

	if (parse(c, names, 2, args, nargs, kwnames, &call, lead) == -1
	    || seconds(lead[0], "when", &when) == -1)
		return NULL;
	return call_at(c, &call, when, "call_at");
}

static double
now(void)
{
	return (double)mono_now() / 1e9;
}

static PyObject *
LoopCore_call_later(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	static const char *const names[] = { "delay", "callback" };
	struct core *c = (struct core *)op;
	PyObject *lead[2];
	struct call call;
	double delay;

	if (parse(c, names, 2, args, nargs, kwnames, &call, lead) == -1
	    || seconds(lead[0], "delay", &delay) == -1)
		return NULL;
	return call_at(c, &call, now() + delay, "call_later");
}

static PyObject *
LoopCore_time(PyObject *op UNUSED, PyObject *unused UNUSED)
{
	return PyFloat_FromDouble(now());
}

/* What the standard library hands over: a Handle of ours or its own. */
static PyObject *
LoopCore__add_callback(PyObject *op, PyObject *handle)
{
	struct core *c = (struct core *)op;
	PyObject *r = PyObject_GetAttr(handle, c->st->str__cancelled);
	int cancelled = r != NULL ? PyObject_IsTrue(r) : -1;

	Py_XDECREF(r);
	if (cancelled == -1 || (cancelled == 0 && core_push(c, handle) == -1))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
LoopCore__write_to_self(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	if (c->loop != NULL)
		loop_wake(c->loop);
	Py_RETURN_NONE;
}

static PyObject *
LoopCore__add_callback_signalsafe(PyObject *op, PyObject *handle)
{
	PyObject *r = LoopCore__add_callback(op, handle);

	if (r == NULL)
		return NULL;
	Py_DECREF(r);
	return LoopCore__write_to_self(op, NULL);
}

#define FAST	(METH_FASTCALL | METH_KEYWORDS)
#define FUNC(f)	((PyCFunction)(void (*)(void))(f))

PyMethodDef aloop_call_methods[] = {
	{ "call_soon", FUNC(LoopCore_call_soon), FAST, NULL },
	{ "call_soon_threadsafe", FUNC(LoopCore_call_soon_threadsafe), FAST,
	    NULL },
	{ "call_later", FUNC(LoopCore_call_later), FAST, NULL },
	{ "call_at", FUNC(LoopCore_call_at), FAST, NULL },
	{ "time", LoopCore_time, METH_NOARGS, NULL },
	{ "_add_callback", LoopCore__add_callback, METH_O, NULL },
	{ "_add_callback_signalsafe", LoopCore__add_callback_signalsafe,
	    METH_O, NULL },
	{ "_write_to_self", LoopCore__write_to_self, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};
