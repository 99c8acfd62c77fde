/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ready queue, and the hooks by which the C loop runs it.  The GIL is
 * released around the C loop's wait (on_wait_enter, on_wait_leave) and
 * nowhere else.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include "base/defs.h"
#include "py/fork.h"

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

PyObject *
core_pop(struct core *c)
{
	struct ready *q = &c->ready;
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

	if (UNLIKELY(c->one_turn) && n > 0)
		loop_stop(c->loop);
	while (n-- > 0 && c->ready.len > 0) {
		op = core_pop(c);
		if (UNLIKELY(c->flags & CORE_DEBUG))
			rc = run_one_debug(c, op);
		else
			rc = run_one(c, op);
		fork_check(NULL);
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
on_wait_leave(void *arg)
{
	struct core *c = arg;
	int rc;

	if (c->tstate != NULL) {
		PyEval_RestoreThread(c->tstate);
		c->tstate = NULL;
	}
	/* not only when interrupted: it may have come before the wait */
	rc = PyErr_CheckSignals();
	fork_check(NULL);
	if (LIKELY(rc == 0))
		return 0;
	if (!c->contains)
		return -1;
	aloop_failed((PyObject *)c, "a signal handler");
	return 0;
}

const struct loop_hooks core_hooks = {
	.ready		= on_ready,
	.pending	= on_pending,
	.wait_enter	= on_wait_enter,
	.wait_leave	= on_wait_leave,
};
