/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Handle and TimerHandle: a callback, its arguments and its context.  They
 * are made and dropped with every step of every task, so both come from
 * bounded free lists.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include "base/defs.h"
#include "stats/stats.h"

/* ---- making and dropping -------------------------------------------- */

static struct handle *
pool_get(struct pool *p, PyTypeObject *type)
{
	struct handle *h = p->free;

	if (LIKELY(h != NULL)) {
		p->free = (struct handle *)(void *)h->callback;
		p->nfree--;
		STAT_ADD(handles_hits, 1);
		Py_INCREF(type);
		_Py_NewReference((PyObject *)h);
	} else {
		h = PyObject_GC_New(struct handle, type);
		if (h == NULL)
			return NULL;
		STAT_ADD(handles_misses, 1);
	}
	stats_add_peak(STAT_handles_in_use, STAT_handles_peak);
	return h;
}

/* The object is untracked and empty. */
static void
pool_put(struct pool *p, struct handle *h)
{
	PyTypeObject *type = Py_TYPE(h);

	STAT_SUB(handles_in_use, 1);
	if (p->nfree < POOL_MAX) {
		h->callback = (PyObject *)(void *)p->free;
		p->free = h;
		p->nfree++;
	} else
		PyObject_GC_Del(h);
	Py_DECREF(type);
}

static int
handle_set_args(struct handle *h, const struct call *c)
{
	Py_ssize_t i;

	h->argv[0] = h->argv[1] = NULL;
	if (LIKELY(c->nargs <= HANDLE_ARGS)) {
		for (i = 0; i < c->nargs; i++)
			h->argv[i] = Py_NewRef(c->args[i]);
		h->nargs = (int8_t)c->nargs;
		return 0;
	}
	h->nargs = HANDLE_TUPLE;
	h->argv[0] = PyTuple_New(c->nargs);
	if (h->argv[0] == NULL)
		return -1;
	for (i = 0; i < c->nargs; i++)
		PyTuple_SET_ITEM(h->argv[0], i, Py_NewRef(c->args[i]));
	return 0;
}

/* Fill what both types have; the object is given up on failure. */
static int
handle_fill(struct handle *h, struct core *core, const struct call *c)
{
	h->core = (struct core *)Py_NewRef((PyObject *)core);
	h->callback = Py_NewRef(c->callback);
	h->source_traceback = h->repr = h->weakrefs = NULL;
	h->cancelled = false;
	h->context = c->context != NULL ? Py_NewRef(c->context)
	    : PyContext_CopyCurrent();
	if (handle_set_args(h, c) == -1 || h->context == NULL)
		goto fail;
	if (UNLIKELY(core->flags & CORE_DEBUG)) {
		h->source_traceback =
		    PyObject_CallNoArgs(core->st->source_traceback);
		if (h->source_traceback == NULL)
			goto fail;
	}
	PyObject_GC_Track(h);
	return 0;
fail:
	PyObject_GC_Track(h);		/* what the deallocator expects */
	Py_DECREF(h);
	return -1;
}

struct handle *
handle_new(struct core *core, const struct call *c)
{
	struct aloop_state *st = core->st;
	struct handle *h = pool_get(&st->handles, st->handle_type);

	if (h == NULL)
		return NULL;
	h->timer = false;
	return handle_fill(h, core, c) == 0 ? h : NULL;
}

static int
Handle_traverse(PyObject *op, visitproc visit, void *arg)
{
	struct handle *h = (struct handle *)op;

	Py_VISIT(Py_TYPE(h));
	Py_VISIT((PyObject *)h->core);
	Py_VISIT(h->callback);
	Py_VISIT(h->argv[0]);
	Py_VISIT(h->argv[1]);
	Py_VISIT(h->context);
	Py_VISIT(h->source_traceback);
	return 0;
}

static void
handle_clear_call(struct handle *h)
{
	Py_CLEAR(h->callback);
	Py_CLEAR(h->argv[0]);
	Py_CLEAR(h->argv[1]);
}

static struct timer_handle *
of_handle(struct handle *h)
{
	return container_of(h, struct timer_handle, h);
}

/* Gives up the loop's reference. */
static void
timer_disarm(struct timer_handle *t)
{
	if (!list_empty(&t->node)) {
		list_remove(&t->node);
		if (t->h.core->loop != NULL)
			loop_timer_del(t->h.core->loop, &t->timer);
		Py_DECREF((PyObject *)t);
	}
}

/* By the collector, who holds it. With its loop it may be armed: each of the
 * two may be cleared first. */
static int
Handle_clear(PyObject *op)
{
	struct handle *h = (struct handle *)op;

	h->cancelled = true;
	if (h->timer)
		timer_disarm(of_handle(h));
	handle_clear_call(h);
	Py_CLEAR(h->context);
	Py_CLEAR(h->source_traceback);
	Py_CLEAR(h->repr);
	return 0;
}

static void
handle_drop(struct handle *h)
{
	struct aloop_state *st = h->core->st;

	Py_XDECREF(h->callback);
	Py_XDECREF(h->argv[0]);
	Py_XDECREF(h->argv[1]);
	Py_XDECREF(h->context);
	Py_XDECREF(h->source_traceback);
	Py_XDECREF(h->repr);
	Py_DECREF((PyObject *)h->core);
	pool_put(h->timer ? &st->timers : &st->handles, h);
}

/*
 * Handles may hold one another in a chain of any length, whose end must not
 * take as much stack: below DROP_DEPTH they wait for the first one of them.
 * (As Py_TRASHCAN_BEGIN does it, at a third of its price.)
 */
#define DROP_DEPTH	32

static struct {
	struct handle	*waiting;	/* linked by `weakrefs` */
	unsigned	 depth;
} drops;

static void
Handle_dealloc(PyObject *op)
{
	struct handle *h = (struct handle *)op;

	PyObject_GC_UnTrack(h);
	if (UNLIKELY(h->weakrefs != NULL))
		PyObject_ClearWeakRefs((PyObject *)h);
	if (UNLIKELY(drops.depth == DROP_DEPTH)) {
		h->weakrefs = (PyObject *)(void *)drops.waiting;
		drops.waiting = h;
		return;
	}
	drops.depth++;
	handle_drop(h);
	while (UNLIKELY(drops.waiting != NULL) && drops.depth == 1) {
		h = drops.waiting;
		drops.waiting = (struct handle *)(void *)h->weakrefs;
		handle_drop(h);
	}
	drops.depth--;
}

/* ---- timers --------------------------------------------------------- */

static void
on_timer(struct loop *l UNUSED, struct loop_timer *lt)
{
	struct timer_handle *t = container_of(lt, struct timer_handle, timer);

	list_remove(&t->node);
	if (core_push(t->h.core, (PyObject *)t) == -1)
		PyErr_WriteUnraisable((PyObject *)t);
	Py_DECREF((PyObject *)t);
}

/* Rounded up, so that time() >= when holds in the callback. */
static nsec_t
to_nsec(double when)
{
	double ns = when * 1e9;
	nsec_t whole;

	if (!(ns > 0))			/* not a number, too */
		return 0;
	if (ns >= 9.2e18)
		return NSEC_NEVER - 1;
	whole = (nsec_t)ns;
	return whole + ((double)whole < ns);
}

struct timer_handle *
timer_handle_new(struct core *core, const struct call *c, double when)
{
	struct aloop_state *st = core->st;
	struct timer_handle *t;
	struct handle *h;

	h = pool_get(&st->timers, st->timer_type);
	if (h == NULL)
		return NULL;
	t = of_handle(h);
	h->timer = true;
	t->when = when;
	list_init(&t->node);
	loop_timer_init(&t->timer, on_timer);
	if (handle_fill(h, core, c) == -1)
		return NULL;
	/* making objects collects garbage, whose destructors may close it */
	if (UNLIKELY(core_check_open(core) == -1)) {
		Py_DECREF((PyObject *)t);
		return NULL;
	}
	Py_INCREF((PyObject *)t);
	list_append(&core->timers, &t->node);
	loop_timer_set(core->loop, &t->timer, to_nsec(when));
	return t;
}

/* ---- cancelling and running ----------------------------------------- */

void
handle_cancel(struct handle *h)
{
	if (h->cancelled)
		return;
	h->cancelled = true;
	Py_INCREF((PyObject *)h);
	if (UNLIKELY(h->core->flags & CORE_DEBUG)) {
		/* "Executing <Handle ...> took 2.5 s" shall still name it */
		h->repr = PyObject_Repr((PyObject *)h);
		if (h->repr == NULL)
			PyErr_Clear();
	}
	if (h->timer)
		timer_disarm(of_handle(h));
	handle_clear_call(h);
	Py_DECREF((PyObject *)h);
}

void
timers_clear(struct core *c)
{
	struct timer_handle *t;

	while (!list_empty(&c->timers)) {
		t = list_entry(c->timers.next, struct timer_handle, node);
		Py_INCREF((PyObject *)t);
		handle_cancel(&t->h);
		/* who is just being cancelled is armed still */
		timer_disarm(t);
		Py_DECREF((PyObject *)t);
	}
}

/* An exception is set: -1 to let it out, else the loop's handler has it. */
static int
handle_failed(struct handle *h)
{
	PyObject *type, *value, *tb, *r;

	if (PyErr_ExceptionMatches(PyExc_SystemExit) ||
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		return -1;
	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (tb != NULL)
		PyException_SetTraceback(value, tb);
	r = PyObject_CallFunctionObjArgs(h->core->st->callback_error,
	    (PyObject *)h, value, NULL);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

/* The handle may be cancelled, and so emptied, by what it calls: callback
 * and arguments are held here meanwhile. */
static PyObject *
handle_call(struct handle *h)
{
	PyObject *stack[1 + HANDLE_ARGS], *callback, *a0, *a1, *r;

	callback = Py_NewRef(h->callback);
	stack[0] = NULL;
	stack[1] = a0 = Py_XNewRef(h->argv[0]);
	stack[2] = a1 = Py_XNewRef(h->argv[1]);
	if (LIKELY(h->nargs != HANDLE_TUPLE))
		r = PyObject_Vectorcall(callback, stack + 1,
		    (size_t)h->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	else
		r = PyObject_Call(callback, a0, NULL);
	Py_DECREF(callback);
	Py_XDECREF(a0);
	Py_XDECREF(a1);
	return r;
}

/* In the handle's context: the result, or NULL with an exception. */
static PyObject *
handle_call_in_context(struct handle *h)
{
	PyObject *context = Py_NewRef(h->context), *r = NULL;

	if (PyContext_Enter(context) == -1)
		goto out;
	r = handle_call(h);
	if (UNLIKELY(PyContext_Exit(context) == -1))
		py_drop(&r);
out:
	Py_DECREF(context);
	return r;
}

int
handle_run(struct handle *h)
{
	PyObject *r;

	if (UNLIKELY(h->callback == NULL)) {	/* _run() when cancelled */
		PyErr_SetString(PyExc_TypeError,
		    "'NoneType' object is not callable");
		return handle_failed(h);
	}
	r = handle_call_in_context(h);
	if (UNLIKELY(r == NULL))
		return handle_failed(h);
	Py_DECREF(r);
	return 0;
}

/* ---- methods -------------------------------------------------------- */

static PyObject *
Handle_cancel(PyObject *op, PyObject *unused UNUSED)
{
	handle_cancel((struct handle *)op);
	Py_RETURN_NONE;
}

static PyObject *
Handle_cancelled(PyObject *op, PyObject *unused UNUSED)
{
	return PyBool_FromLong(((struct handle *)op)->cancelled);
}

static PyObject *
Handle__run(PyObject *op, PyObject *unused UNUSED)
{
	if (handle_run((struct handle *)op) == -1)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
or_none(PyObject *o)
{
	return Py_NewRef(o != NULL ? o : Py_None);
}

static PyObject *
Handle_get_context(PyObject *op, PyObject *unused UNUSED)
{
	return or_none(((struct handle *)op)->context);
}

static PyObject *
TimerHandle_when(PyObject *op, PyObject *unused UNUSED)
{
	return PyFloat_FromDouble(((struct timer_handle *)op)->when);
}

static PyObject *
Handle_args(PyObject *op, void *unused UNUSED)
{
	struct handle *h = (struct handle *)op;

	if (h->callback == NULL)
		Py_RETURN_NONE;
	if (h->nargs == HANDLE_TUPLE)
		return or_none(h->argv[0]);
	if (h->nargs == 2)
		return PyTuple_Pack(2, h->argv[0], h->argv[1]);
	return h->nargs == 1 ? PyTuple_Pack(1, h->argv[0]) : PyTuple_New(0);
}

static PyObject *
Handle_loop(PyObject *op, void *unused UNUSED)
{
	return Py_NewRef((PyObject *)((struct handle *)op)->core);
}

static PyObject *
TimerHandle_scheduled(PyObject *op, void *unused UNUSED)
{
	return PyBool_FromLong(!list_empty(&((struct timer_handle *)op)->node));
}

static PyObject *
Handle_repr(PyObject *op)
{
	struct handle *h = (struct handle *)op;

	if (h->repr != NULL)
		return Py_NewRef(h->repr);
	return PyObject_CallOneArg(h->core->st->handle_repr, op);
}

static PyMethodDef handle_methods[] = {
	{ "cancel", Handle_cancel, METH_NOARGS, NULL },
	{ "cancelled", Handle_cancelled, METH_NOARGS, NULL },
	{ "get_context", Handle_get_context, METH_NOARGS, NULL },
	{ "_run", Handle__run, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyMethodDef timer_methods[] = {
	{ "when", TimerHandle_when, METH_NOARGS, NULL },
	{ "cancel", Handle_cancel, METH_NOARGS, NULL },
	{ "cancelled", Handle_cancelled, METH_NOARGS, NULL },
	{ "get_context", Handle_get_context, METH_NOARGS, NULL },
	{ "_run", Handle__run, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

#define HANDLE_MEMBERS							\
	{ "_callback", T_OBJECT, offsetof(struct handle, callback),	\
	    READONLY, NULL },						\
	{ "_context", T_OBJECT, offsetof(struct handle, context),	\
	    READONLY, NULL },						\
	{ "_source_traceback", T_OBJECT,				\
	    offsetof(struct handle, source_traceback), READONLY, NULL },\
	{ "_repr", T_OBJECT, offsetof(struct handle, repr), READONLY, NULL }, \
	{ "_cancelled", T_BOOL, offsetof(struct handle, cancelled),	\
	    READONLY, NULL },						\
	{ "__weaklistoffset__", T_PYSSIZET,				\
	    offsetof(struct handle, weakrefs), READONLY, NULL }

static PyMemberDef handle_members[] = {
	HANDLE_MEMBERS,
	{ NULL, 0, 0, 0, NULL }
};

static PyMemberDef timer_members[] = {
	HANDLE_MEMBERS,
	{ "_when", T_DOUBLE, offsetof(struct timer_handle, when), READONLY,
	    NULL },
	{ NULL, 0, 0, 0, NULL }
};

static PyGetSetDef handle_getset[] = {
	{ "_args", Handle_args, NULL, NULL, NULL },
	{ "_loop", Handle_loop, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyGetSetDef timer_getset[] = {
	{ "_args", Handle_args, NULL, NULL, NULL },
	{ "_loop", Handle_loop, NULL, NULL, NULL },
	{ "_scheduled", TimerHandle_scheduled, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

/* ---- order of timers ------------------------------------------------ */

static int
same_args(PyObject *a, PyObject *b)
{
	PyObject *x = Handle_args(a, NULL), *y = Handle_args(b, NULL);
	int r = -1;

	if (x != NULL && y != NULL)
		r = PyObject_RichCompareBool(x, y, Py_EQ);
	Py_XDECREF(x);
	Py_XDECREF(y);
	return r;
}

/* 1 equal, 0 not, -1 exception */
static int
timers_equal(PyObject *a, PyObject *b)
{
	struct timer_handle *x = (struct timer_handle *)a;
	struct timer_handle *y = (struct timer_handle *)b;
	PyObject *f, *g;
	int r;

	if (x->when != y->when || x->h.cancelled != y->h.cancelled)
		return 0;
	/* __eq__ may cancel them, which drops what they hold */
	f = Py_XNewRef(x->h.callback);
	g = Py_XNewRef(y->h.callback);
	if (f == NULL || g == NULL)
		r = f == g;
	else
		r = PyObject_RichCompareBool(f, g, Py_EQ);
	Py_XDECREF(f);
	Py_XDECREF(g);
	return r == 1 ? same_args(a, b) : r;
}

static PyObject *
TimerHandle_richcompare(PyObject *a, PyObject *b, int op)
{
	double x, y;
	int r;

	if (Py_TYPE(a) != Py_TYPE(b))
		Py_RETURN_NOTIMPLEMENTED;
	x = ((struct timer_handle *)a)->when;
	y = ((struct timer_handle *)b)->when;
	if (op == Py_LT || op == Py_GT)
		return PyBool_FromLong(op == Py_LT ? x < y : x > y);
	if ((op == Py_LE && x < y) || (op == Py_GE && x > y))
		Py_RETURN_TRUE;
	r = timers_equal(a, b);
	if (r == -1)
		return NULL;
	return PyBool_FromLong(op == Py_NE ? !r : r);
}

static Py_hash_t
TimerHandle_hash(PyObject *op)
{
	PyObject *when = TimerHandle_when(op, NULL);
	Py_hash_t hash = -1;

	if (when != NULL) {
		hash = PyObject_Hash(when);
		Py_DECREF(when);
	}
	return hash;
}

/* ---- types ---------------------------------------------------------- */

#define HANDLE_SLOTS							\
	{ Py_tp_dealloc, Handle_dealloc },				\
	{ Py_tp_traverse, Handle_traverse },				\
	{ Py_tp_clear, Handle_clear },					\
	{ Py_tp_repr, Handle_repr }

static PyType_Slot handle_slots[] = {
	HANDLE_SLOTS,
	{ Py_tp_methods, handle_methods },
	{ Py_tp_members, handle_members },
	{ Py_tp_getset, handle_getset },
	{ 0, NULL }
};

static PyType_Slot timer_slots[] = {
	HANDLE_SLOTS,
	{ Py_tp_richcompare, TimerHandle_richcompare },
	{ Py_tp_hash, TimerHandle_hash },
	{ Py_tp_methods, timer_methods },
	{ Py_tp_members, timer_members },
	{ Py_tp_getset, timer_getset },
	{ 0, NULL }
};

#define HANDLE_FLAGS	(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | \
	Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec handle_spec = {
	"_asgid.Handle", sizeof(struct handle), 0, HANDLE_FLAGS, handle_slots
};

static PyType_Spec timer_spec = {
	"_asgid.TimerHandle", sizeof(struct timer_handle), 0, HANDLE_FLAGS,
	timer_slots
};

int
aloop_handle_exec(PyObject *module, struct aloop_state *st)
{
	st->handle_type = (PyTypeObject *)PyType_FromModuleAndSpec(module,
	    &handle_spec, NULL);
	if (st->handle_type == NULL ||
	    PyModule_AddType(module, st->handle_type) == -1)
		return -1;
	st->timer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module,
	    &timer_spec, NULL);
	if (st->timer_type == NULL ||
	    PyModule_AddType(module, st->timer_type) == -1)
		return -1;
	return 0;
}
