/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LoopCore: the ready queue, the asyncio methods that are called all the
 * time, and the bridge to the C loop.  The GIL is released around the C
 * loop's wait (on_wait_enter, on_wait_leave) and nowhere else.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include <errno.h>
#include <string.h>

#include "base/defs.h"

/* ---- the ready queue ------------------------------------------------ */

static int
ready_grow(struct ready *q)
{
	size_t cap = q->cap > 0 ? 2 * q->cap : 256;
	PyObject **at = PyMem_Calloc(cap, sizeof(*at));
	size_t i;

	if (at == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	for (i = 0; i < q->len; i++)
		at[i] = q->at[(q->head + i) & (q->cap - 1)];
	PyMem_Free(q->at);
	q->at = at;
	q->cap = cap;
	q->head = 0;
	return 0;
}

int
core_push(struct core *c, PyObject *handle)
{
	struct ready *q = &c->ready;

	if (UNLIKELY(q->len == q->cap) && ready_grow(q) == -1)
		return -1;
	q->at[(q->head + q->len++) & (q->cap - 1)] = Py_NewRef(handle);
	return 0;
}

/* The caller owns what it gets. */
static PyObject *
ready_pop(struct ready *q)
{
	PyObject *o = q->at[q->head];

	q->head = (q->head + 1) & (q->cap - 1);
	q->len--;
	return o;
}

/* Handles that the standard library made itself (signal handlers). */
static int
run_foreign(struct core *c, PyObject *handle)
{
	PyObject *r = PyObject_GetAttr(handle, c->st->str__cancelled);
	int cancelled = r != NULL ? PyObject_IsTrue(r) : -1;

	Py_XDECREF(r);
	if (cancelled != 0)
		return cancelled == 1 ? 0 : -1;
	r = PyObject_CallMethodNoArgs(handle, c->st->str__run);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

static int
run_one(struct core *c, PyObject *op)
{
	struct handle *h = (struct handle *)op;

	if (UNLIKELY(Py_TYPE(op) != c->st->handle_type &&
	    Py_TYPE(op) != c->st->timer_type))
		return run_foreign(c, op);
	return UNLIKELY(h->cancelled) ? 0 : handle_run(h);
}

/* With _current_handle set and the time taken. */
static int
run_one_debug(struct core *c, PyObject *op)
{
	PyObject *self = (PyObject *)c, *r;
	nsec_t t0 = mono_now();
	int rc;

	if (PyObject_SetAttr(self, c->st->str_current_handle, op) == -1)
		return -1;
	rc = run_one(c, op);
	if (rc == 0) {
		r = PyObject_CallFunction(c->st->slow_callback, "OOd", self,
		    op, (double)(mono_now() - t0) / 1e9);
		Py_XDECREF(r);
		rc = r != NULL ? 0 : -1;
	}
	if (rc == 0)
		return PyObject_SetAttr(self, c->st->str_current_handle,
		    Py_None);
	{
		PyObject *type, *value, *tb;

		PyErr_Fetch(&type, &value, &tb);
		(void)PyObject_SetAttr(self, c->st->str_current_handle,
		    Py_None);
		PyErr_Restore(type, value, tb);
	}
	return -1;
}

/* ---- hooks of the C loop -------------------------------------------- */

/* Only what is ready now: what these callbacks add runs after the next look
 * at the descriptors. */
static int
on_ready(void *arg)
{
	struct core *c = arg;
	size_t n = c->ready.len;
	PyObject *op;
	int rc;

	while (n-- > 0 && c->ready.len > 0) {
		op = ready_pop(&c->ready);
		if (UNLIKELY(c->flags & CORE_DEBUG))
			rc = run_one_debug(c, op);
		else
			rc = run_one(c, op);
		Py_DECREF(op);
		if (UNLIKELY(rc == -1))
			return -1;
	}
	return 0;
}

static bool
on_pending(void *arg)
{
	return ((struct core *)arg)->ready.len > 0;
}

/* Threads of the application would starve behind a loop that never blocks,
 * so they get their chance at a wait of 0 as well. */
static bool
other_threads(void)
{
	PyThreadState *t = PyInterpreterState_ThreadHead(
	    PyInterpreterState_Get());

	return PyThreadState_Next(t) != NULL;
}

static void
on_wait_enter(void *arg, bool may_block)
{
	struct core *c = arg;

	c->tstate = may_block || other_threads() ? PyEval_SaveThread() : NULL;
}

static int
on_wait_leave(void *arg, bool interrupted)
{
	struct core *c = arg;

	if (c->tstate != NULL) {
		PyEval_RestoreThread(c->tstate);
		c->tstate = NULL;
	}
	return UNLIKELY(interrupted) ? PyErr_CheckSignals() : 0;
}

static const struct loop_hooks hooks = {
	.ready		= on_ready,
	.pending	= on_pending,
	.wait_enter	= on_wait_enter,
	.wait_leave	= on_wait_leave,
};

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

int
core_parse(struct core *c, const char *const *names, int nnames,
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

	if (core_parse(c, soon_names, 1, args, nargs, kwnames, &call, lead)
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

	if (core_parse(c, soon_names, 1, args, nargs, kwnames, &call, lead)
	    == -1)
		return NULL;
	if (UNLIKELY(c->flags != 0) &&
	    check_slow(c, &call, "call_soon_threadsafe", true) == -1)
		return NULL;
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

	if (core_parse(c, names, 2, args, nargs, kwnames, &call, lead) == -1
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

	if (core_parse(c, names, 2, args, nargs, kwnames, &call, lead) == -1
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
	struct ready *q = &c->ready;
	struct handle *h;

	while (q->len > 0)
		Py_DECREF(ready_pop(q));
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
	loop_set_hooks(c->loop, &hooks, c);
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

#define FAST	(METH_FASTCALL | METH_KEYWORDS)
#define FUNC(f)	((PyCFunction)(void (*)(void))(f))

static PyMethodDef core_methods[] = {
	{ "call_soon", FUNC(LoopCore_call_soon), FAST, NULL },
	{ "call_soon_threadsafe", FUNC(LoopCore_call_soon_threadsafe), FAST,
	    NULL },
	{ "call_later", FUNC(LoopCore_call_later), FAST, NULL },
	{ "call_at", FUNC(LoopCore_call_at), FAST, NULL },
	{ "time", LoopCore_time, METH_NOARGS, NULL },
	{ "stop", LoopCore_stop, METH_NOARGS, NULL },
	{ "close", LoopCore_close, METH_NOARGS, NULL },
	{ "is_running", LoopCore_is_running, METH_NOARGS, NULL },
	{ "is_closed", LoopCore_is_closed, METH_NOARGS, NULL },
	{ "get_debug", LoopCore_get_debug, METH_NOARGS, NULL },
	{ "_check_closed", LoopCore__check_closed, METH_NOARGS, NULL },
	{ "_run_once", LoopCore__run_once, METH_NOARGS, NULL },
	{ "_add_callback", LoopCore__add_callback, METH_O, NULL },
	{ "_add_callback_signalsafe", LoopCore__add_callback_signalsafe,
	    METH_O, NULL },
	{ "_write_to_self", LoopCore__write_to_self, METH_NOARGS, NULL },
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
