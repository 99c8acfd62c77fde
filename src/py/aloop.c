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

/* ---- running -------------------------------------------------------- */

static PyObject *
LoopCore__run_once(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	if (core_check_open(c) == -1)
		return NULL;
	if (c->stopping)
		loop_stop(c->loop);
	if (loop_run(c->loop) == -1) {
		if (!PyErr_Occurred())
			PyErr_SetFromErrno(PyExc_OSError);
		return NULL;
	}
	/* run_forever() goes by this; loop_stop() may have come from C */
	c->stopping = true;
	Py_RETURN_NONE;
}

static PyObject *
LoopCore_stop(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;

	c->stopping = true;
	if (c->loop != NULL)
		loop_stop(c->loop);
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
	struct handle *h;

	while (c->ready.len > 0)
		Py_DECREF(core_pop(c));
	while (!list_empty(&c->timers)) {
		h = &list_entry(c->timers.next, struct timer_handle, node)->h;
		handle_cancel(h);
	}
	watches_clear(c);
	loop_free(&c->loop);
}

static PyObject *
LoopCore_close(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;
	PyObject *r = PyObject_CallOneArg(c->st->base_close, op);

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
	c->stopping = on;
	if (on && c->loop != NULL)
		loop_stop(c->loop);
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

int
aloop_run(PyObject *loop)
{
	PyObject *r = PyObject_CallMethod(loop, "run_forever", NULL);

	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}
