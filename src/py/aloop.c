/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LoopCore: running, closing, the attributes it shares with the standard
 * library's methods, and its type.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include <errno.h>

#include "base/defs.h"
#include "py/error.h"

/* ---- running -------------------------------------------------------- */

/* The loop of a worker is run, stopped and closed by the worker alone. */
static int
check_not_owned(const struct core *c, const char *what)
{
	if (LIKELY(!c->owned))
		return 0;
	PyErr_Format(PyExc_RuntimeError, "asgid's event loop cannot be %s by "
	    "the application", what);
	return -1;
}

/* The loop has not ended by itself: -1, with an exception. */
static int
not_run(void)
{
	if (PyErr_Occurred())
		return -1;
	if (errno == EBUSY)
		PyErr_SetString(PyExc_RuntimeError,
		    "This event loop is already running");
	else
		PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

/* Turns until stop(). 0, or -1 with an exception. */
static int
run_turns(struct core *c)
{
	if (core_check_open(c) == -1 || check_not_owned(c, "run") == -1)
		return -1;
	return loop_run(c->loop) == 0 ? 0 : not_run();
}

static PyObject *
LoopCore__run_once(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	if (c->stopping && c->loop != NULL)
		loop_stop(c->loop);
	if (run_turns(c) == -1)
		return NULL;
	/* run_forever() goes by this; loop_stop() may have come from C */
	c->stopping = true;
	Py_RETURN_NONE;
}

/* For aloop_run(): what callbacks let out does not end a worker's loop. */
static PyObject *
LoopCore__turns(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	if (core_check_open(c) == -1)
		return NULL;
	while (loop_run(c->loop) == -1) {
		if (!PyErr_Occurred() || !c->contains) {
			(void)not_run();
			return NULL;
		}
		aloop_failed(op, "a callback or a task beside the requests");
		/* what was let out has cut the turn short that would stop */
		if (c->stopping)
			loop_stop(c->loop);
	}
	c->stopping = false;
	Py_RETURN_NONE;
}

/* One turn, which waits for something to do if `wait` is true. */
static PyObject *
LoopCore__turn(PyObject *op, PyObject *wait)
{
	struct core *c = (struct core *)op;
	int waits = PyObject_IsTrue(wait), rc;

	if (waits == -1)
		return NULL;
	if (!waits && !c->owned && c->loop != NULL)
		loop_stop(c->loop);
	c->one_turn = waits;
	rc = run_turns(c);
	c->one_turn = false;
	if (rc == -1)
		return NULL;
	Py_RETURN_NONE;
}

/* Before the loop runs, stop() is a wish that its first turn grants. */
static void
stop(struct core *c)
{
	c->stopping = true;
	if (c->loop != NULL && core_running(c))
		loop_stop(c->loop);
}

static PyObject *
LoopCore_stop(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	if (check_not_owned(c, "stopped") == -1)
		return NULL;
	stop(c);
	Py_RETURN_NONE;
}

static PyObject *
LoopCore_is_running(PyObject *op, PyObject *unused UNUSED)
{
	return PyBool_FromLong(core_running((struct core *)op));
}

static PyObject *
LoopCore_is_closed(PyObject *op, PyObject *unused UNUSED)
{
	return PyBool_FromLong(((struct core *)op)->flags & CORE_CLOSED);
}

static PyObject *
LoopCore_get_debug(PyObject *op, PyObject *unused UNUSED)
{
	return PyBool_FromLong(((struct core *)op)->flags & CORE_DEBUG);
}

static PyObject *
LoopCore__check_closed(PyObject *op, PyObject *unused UNUSED)
{
	if (core_check_open((struct core *)op) == -1)
		return NULL;
	Py_RETURN_NONE;
}

/* Everything that is queued or watched goes, then the C loop. */
static void
core_release(struct core *c)
{
	while (c->ready.len > 0)
		Py_DECREF(core_pop(c));
	timers_clear(c);
	watches_clear(c);
	loop_free(&c->loop);
}

static PyObject *
LoopCore_close(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;
	PyObject *r;

	if (check_not_owned(c, "closed") == -1)
		return NULL;
	/* _run_once() alone does not make is_running() true */
	if (c->loop != NULL && loop_running(c->loop)) {
		PyErr_SetString(PyExc_RuntimeError,
		    "Cannot close a running event loop");
		return NULL;
	}
	r = PyObject_CallOneArg(c->st->base_close, op);
	if (r != NULL && c->loop != NULL && (c->flags & CORE_CLOSED))
		core_release(c);
	return r;
}

/* ---- attributes shared with the standard library's methods ---------- */

static PyObject *
get_flag(PyObject *op, void *flag)
{
	return PyBool_FromLong(((struct core *)op)->flags &
	    *(const unsigned *)flag);
}

static int
set_flag(PyObject *op, PyObject *value, void *flag)
{
	struct core *c = (struct core *)op;
	int on = value != NULL ? PyObject_IsTrue(value) : 0;

	if (on == -1)
		return -1;
	if (on)
		c->flags |= *(const unsigned *)flag;
	else
		c->flags &= ~*(const unsigned *)flag;
	if (c->loop == NULL)
		c->flags |= CORE_CLOSED;	/* for ever */
	return 0;
}

static PyObject *
get_stopping(PyObject *op, void *unused UNUSED)
{
	return PyBool_FromLong(((struct core *)op)->stopping);
}

static int
set_stopping(PyObject *op, PyObject *value, void *unused UNUSED)
{
	struct core *c = (struct core *)op;
	int on = value != NULL ? PyObject_IsTrue(value) : 0;

	if (on == -1)
		return -1;
	if (on && check_not_owned(c, "stopped") == -1)
		return -1;
	c->stopping = false;
	if (on)
		stop(c);
	return 0;
}

static unsigned flag_closed = CORE_CLOSED, flag_debug = CORE_DEBUG;

static PyGetSetDef core_getset[] = {
	{ "_closed", get_flag, set_flag, NULL, &flag_closed },
	{ "_debug", get_flag, set_flag, NULL, &flag_debug },
	{ "_stopping", get_stopping, set_stopping, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyMemberDef core_members[] = {
	{ "_thread_id", T_OBJECT, offsetof(struct core, thread_id), 0, NULL },
	{ "_task_factory", T_OBJECT, offsetof(struct core, task_factory), 0,
	    NULL },
	{ NULL, 0, 0, 0, NULL }
};

/* ---- life ----------------------------------------------------------- */

static PyObject *
LoopCore_new(PyTypeObject *type, PyObject *args UNUSED,
    PyObject *kwargs UNUSED)
{
	struct core *c = (struct core *)type->tp_alloc(type, 0);

	if (c == NULL)
		return NULL;
	c->st = aloop_state();
	list_init(&c->timers);
	c->loop = loop_new();
	if (c->loop == NULL) {
		PyErr_SetFromErrno(PyExc_OSError);
		Py_DECREF((PyObject *)c);
		return NULL;
	}
	loop_set_hooks(c->loop, &core_hooks, c);
	return (PyObject *)c;
}

static int
LoopCore_traverse(PyObject *op, visitproc visit, void *arg)
{
	struct core *c = (struct core *)op;
	struct list *node;
	size_t i;

	Py_VISIT(Py_TYPE(op));
	Py_VISIT(c->thread_id);
	Py_VISIT(c->task_factory);
	Py_VISIT(c->captured);
	Py_VISIT(c->captured_context);
	Py_VISIT(c->future_kwargs);
	Py_VISIT(c->spawn_kwargs);
	for (i = 0; i < c->ready.len; i++)
		Py_VISIT(c->ready.at[(c->ready.head + i) &
		    (c->ready.cap - 1)]);
	for (node = c->timers.next; node != &c->timers; node = node->next)
		Py_VISIT((PyObject *)list_entry(node, struct timer_handle,
		    node));
	return watches_traverse(c, visit, arg);
}

static int
LoopCore_clear(PyObject *op)
{
	struct core *c = (struct core *)op;

	c->flags |= CORE_CLOSED;
	core_release(c);
	Py_CLEAR(c->thread_id);
	Py_CLEAR(c->task_factory);
	Py_CLEAR(c->captured);
	Py_CLEAR(c->captured_context);
	Py_CLEAR(c->future_kwargs);
	c->spawn_name = NULL;
	Py_CLEAR(c->spawn_kwargs);
	return 0;
}

static void
LoopCore_dealloc(PyObject *op)
{
	struct core *c = (struct core *)op;
	PyTypeObject *type = Py_TYPE(op);

	PyObject_GC_UnTrack(op);
	(void)LoopCore_clear(op);
	PyMem_Free(c->ready.at);
	type->tp_free(op);
	Py_DECREF(type);
}

/* ---- type ----------------------------------------------------------- */

static PyMethodDef core_methods[] = {
	{ "stop", LoopCore_stop, METH_NOARGS, NULL },
	{ "close", LoopCore_close, METH_NOARGS, NULL },
	{ "is_running", LoopCore_is_running, METH_NOARGS, NULL },
	{ "is_closed", LoopCore_is_closed, METH_NOARGS, NULL },
	{ "get_debug", LoopCore_get_debug, METH_NOARGS, NULL },
	{ "_check_closed", LoopCore__check_closed, METH_NOARGS, NULL },
	{ "_run_once", LoopCore__run_once, METH_NOARGS, NULL },
	{ "_turn", LoopCore__turn, METH_O, NULL },
	{ "_turns", LoopCore__turns, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot core_slots[] = {
	{ Py_tp_new, LoopCore_new },
	{ Py_tp_dealloc, LoopCore_dealloc },
	{ Py_tp_traverse, LoopCore_traverse },
	{ Py_tp_clear, LoopCore_clear },
	{ Py_tp_methods, core_methods },
	{ Py_tp_members, core_members },
	{ Py_tp_getset, core_getset },
	{ 0, NULL }
};

static PyType_Spec core_spec = {
	"_asgid.LoopCore", sizeof(struct core), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
	core_slots
};

static int
add_methods(PyTypeObject *type, PyMethodDef *def)
{
	PyObject *descr;
	int rc;

	for (; def->ml_name != NULL; def++) {
		descr = PyDescr_NewMethod(type, def);
		if (descr == NULL)
			return -1;
		rc = PyObject_SetAttrString((PyObject *)type, def->ml_name,
		    descr);
		Py_DECREF(descr);
		if (rc == -1)
			return -1;
	}
	return 0;
}

int
aloop_core_exec(PyObject *module, struct aloop_state *st)
{
	st->core_type = (PyTypeObject *)PyType_FromModuleAndSpec(module,
	    &core_spec, NULL);
	if (st->core_type == NULL ||
	    add_methods(st->core_type, aloop_call_methods) == -1 ||
	    add_methods(st->core_type, aloop_io_methods) == -1 ||
	    add_methods(st->core_type, aloop_task_methods) == -1)
		return -1;
	return PyModule_AddType(module, st->core_type);
}

/* ---- the C side ----------------------------------------------------- */

PyObject *
aloop_new(void)
{
	PyObject *module = PyImport_ImportModule("_asgid"), *loop;

	if (module == NULL)
		return NULL;
	loop = PyObject_CallMethod(module, "Loop", NULL);
	Py_DECREF(module);
	return loop;
}

struct loop *
aloop_loop(PyObject *loop)
{
	return ((struct core *)loop)->loop;
}

bool
aloop_own(PyObject *loop)
{
	struct core *c = (struct core *)loop;
	PyObject *r = PyObject_CallOneArg(c->st->usable, loop);
	bool yes = r == Py_True;

	Py_XDECREF(r);
	if (r == NULL)
		error_swallow("event loop");
	if (!yes || c->loop == NULL)
		return false;
	c->stopping = false;
	c->owned = c->contains = true;
	return true;
}

void
aloop_disown(PyObject *loop)
{
	((struct core *)loop)->owned = false;
}

void
aloop_stop(PyObject *loop)
{
	stop((struct core *)loop);
}

void
aloop_failed(PyObject *loop, const char *what)
{
	struct core *c = (struct core *)loop;
	PyObject *exc, *r;

	if (!PyErr_ExceptionMatches(PyExc_Exception)) {
		error_log(LOG_L_ERROR, "%s has tried to end the process",
		    what);
		return;
	}
	exc = error_take();
	r = PyObject_CallFunction(c->st->loop_error, "OsO", loop, what, exc);
	if (r == NULL)
		error_log_exc(LOG_L_ERROR, exc, "Exception in %s", what);
	PyErr_Clear();
	Py_XDECREF(r);
	Py_DECREF(exc);
}

int
aloop_run(PyObject *loop)
{
	struct core *c = (struct core *)loop;
	PyObject *r;

	if (core_check_open(c) == -1)
		return -1;
	r = PyObject_CallFunctionObjArgs(c->st->run, loop,
	    c->owned ? Py_True : Py_False, NULL);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}
