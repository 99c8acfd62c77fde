/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/await.h"

#include <stddef.h>

#include "base/defs.h"
#include "base/log.h"
#include "py/error.h"
#include "py/fork.h"
#include "py/names.h"
#include "py/pool.h"

enum wait_state { CREATED, RUNNING, SUSPENDED, CLOSED };

struct wait {
	PyObject_HEAD
	struct port_owner *owner;
	enum wait_state	 state;
	struct list	 node;		/* of the owner's, while SUSPENDED */
	PyObject	*future;	/* to wait for; NULL: need not */
	PyObject	*steps;		/* its iterator */
	PyObject	*message;	/* Send: still to be taken */
	PyObject	*error;		/* Send: why it was not */
	PyObject	*weakrefs;
};

static struct {
	PyTypeObject	*receive, *send, *sent_type;	/* send: has no pool */
	PyObject	*sent;		/* the one object of its type */
	PyObject	*aloop;
	PyObject	*future;	/* asyncio.Future */
	PyObject	*loop_kw;	/* ("loop",) */
	PyObject	*coroutine;	/* types.CoroutineType */
	struct pool	 waits;
} self = { .waits = POOL_INIT(waits) };

_Thread_local bool await_on_loop_thread;

/* ---- waking ------------------------------------------------------------- */

static PyObject *
future_new(void)
{
	PyObject *args[] = { self.aloop };

	return PyObject_Vectorcall(self.future, args, 0, self.loop_kw);
}

static void
future_wake(PyObject *future)
{
	PyObject *done, *r = NULL;

	done = PyObject_CallMethodNoArgs(future, names.done);
	if (done == Py_False)
		r = PyObject_CallMethodOneArg(future, names.set_result,
		    Py_None);
	Py_XDECREF(done);
	Py_XDECREF(r);
	if (PyErr_Occurred())
		PyErr_WriteUnraisable(future);
}

/* Python code that this runs may end any of the waits and begin others: each
 * leaves the list before it is woken, and newcomers stand on another one. */
void
port_wake(struct list *waiters)
{
	struct list woken = LIST_INIT(woken);
	struct wait *w;
	PyObject *future;

	list_splice(&woken, waiters);
	while (!list_empty(&woken)) {
		w = list_entry(woken.next, struct wait, node);
		list_remove(&w->node);
		future = py_ref(w->future);
		future_wake(future);
		Py_DECREF(future);
	}
}

/* ---- a wait ------------------------------------------------------------- */

static void
wait_init(struct wait *w, struct port_owner *owner)
{
	Py_INCREF(owner);
	w->owner = owner;
	w->state = CREATED;
	list_init(&w->node);
	w->future = w->steps = w->message = w->error = w->weakrefs = NULL;
}

/* Not waiting any more; the future may be somebody else's to cancel. */
static void
wait_leave(struct wait *w)
{
	list_remove(&w->node);
	py_drop(&w->steps);
	py_drop(&w->future);
}

static void
wait_close(struct wait *w)
{
	w->state = CLOSED;
	wait_leave(w);
	py_drop(&w->message);
	py_drop(&w->error);
}

static void
wait_fini(struct wait *w)
{
	if (w->weakrefs != NULL)
		PyObject_ClearWeakRefs((PyObject *)w);
	wait_close(w);
	Py_CLEAR(w->owner);
}

static void
receive_dealloc(struct wait *w)
{
	wait_fini(w);
	if (!pool_put(&self.waits, (PyObject *)w))
		pool_discard((PyObject *)w);
}

/* Nobody has awaited the send() that failed: let that not vanish, unless only
 * the client has gone. */
static void
complain(PyObject *error)
{
	if (!PyErr_GivenExceptionMatches(error, PyExc_OSError))
		error_log_exc(LOG_L_ERROR, error,
		    "send() has failed, and was not awaited");
	Py_DECREF(error);
}

static void
send_finalize(PyObject *o)
{
	struct wait *w = (struct wait *)o;

	if (w->state == CREATED && w->error != NULL)
		complain(py_take(&w->error));
}

static void
send_dealloc(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);

	if (PyObject_CallFinalizerFromDealloc(o) == -1)
		return;
	PyObject_GC_UnTrack(o);
	wait_fini((struct wait *)o);
	type->tp_free(o);
	Py_DECREF(type);
}

/* An error refers to the frames that it was raised in, which may hold the
 * Send.  The future is left out: a Task that only this wait knows lives on
 * until it is woken. */
static int
send_traverse(PyObject *o, visitproc visit, void *arg)
{
	struct wait *w = (struct wait *)o;

	Py_VISIT(Py_TYPE(o));
	Py_VISIT(w->message);
	Py_VISIT(w->error);
	return 0;
}

static int
send_clear(PyObject *o)
{
	wait_close((struct wait *)o);
	return 0;
}

static int
wait_begin(struct wait *w, struct list *waiters)
{
	if ((w->future = future_new()) == NULL)
		return -1;
	w->steps = PyObject_GetIter(w->future);
	if (w->steps == NULL)
		return -1;
	list_append(waiters, &w->node);
	return 0;
}

/* The wait's future has the word. PYGEN_NEXT: still (or again) to wait. */
static PySendResult
wait_resume(struct wait *w, PyObject *arg, PyObject **result)
{
	PyObject *steps = py_ref(w->steps);
	PySendResult r = PyIter_Send(steps, arg, result);

	Py_DECREF(steps);
	if (r == PYGEN_NEXT)
		return r;
	wait_leave(w);
	if (r == PYGEN_RETURN)
		Py_CLEAR(*result);
	return r;
}

static int
may_step(const struct wait *w)
{
	fork_check("awaited receive() or send()");
	if (w->state == RUNNING)
		PyErr_SetString(PyExc_ValueError,
		    "coroutine already executing");
	else if (w->state == CLOSED)
		PyErr_SetString(PyExc_RuntimeError,
		    "cannot reuse already awaited coroutine");
	else if (!await_on_loop_thread)
		PyErr_SetString(PyExc_RuntimeError, "receive() and send() can "
		    "be awaited on the worker's event loop only; from another "
		    "thread: asyncio.run_coroutine_threadsafe(send(message), "
		    "loop)");
	else
		return 0;
	return -1;
}

/* What is awaited: *result is there, 1; not yet, 0; -1 with an exception. */
typedef int look_f(struct wait *, PyObject **result);

static PySendResult
wait_step(struct wait *w, PyObject *arg, PyObject **result, look_f *look,
    struct list *waiters)
{
	PySendResult r = PYGEN_RETURN;
	int found = 0;

	*result = NULL;
	if (may_step(w) == -1)
		return PYGEN_ERROR;
	Py_INCREF(w);
	w->state = RUNNING;
	do {
		if (w->steps != NULL)
			r = wait_resume(w, arg, result);
		if (r == PYGEN_RETURN)
			found = look(w, result);
	} while (r == PYGEN_RETURN && found == 0 &&
	    wait_begin(w, waiters) == 0);
	if (r == PYGEN_NEXT)
		w->state = SUSPENDED;
	else {
		wait_close(w);
		r = found == 1 ? PYGEN_RETURN : PYGEN_ERROR;
	}
	Py_DECREF(w);
	return r;
}

static int
look_receive(struct wait *w, PyObject **result)
{
	*result = w->owner->ops->receive(w->owner);
	if (*result != NULL)
		return 1;
	return PyErr_Occurred() ? -1 : 0;
}

static PySendResult
receive_send(struct wait *w, PyObject *arg, PyObject **result)
{
	return wait_step(w, arg, result, look_receive, &w->owner->receivers);
}

static int
look_send(struct wait *w, PyObject **result)
{
	PyObject *message = py_take(&w->message);
	int rc = 0;

	if (message != NULL) {
		rc = w->owner->ops->send(w->owner, message);
		Py_DECREF(message);
	} else if (w->error != NULL) {
		error_restore(py_take(&w->error));
		rc = -1;
	}
	if (rc == -1)
		return -1;
	if (w->owner->ops->is_full(w->owner))
		return 0;
	*result = py_ref(Py_None);
	return 1;
}

static PySendResult
send_send(struct wait *w, PyObject *arg, PyObject **result)
{
	return wait_step(w, arg, result, look_send, &w->owner->senders);
}

/* ---- the coroutines' other methods -------------------------------------- */

void
await_raise(PyObject *args)
{
	PyObject *type, *value = NULL, *tb = NULL;

	if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &tb))
		return;
	if (PyExceptionInstance_Check(type))
		PyErr_SetObject((PyObject *)Py_TYPE(type), type);
	else if (value != NULL && PyExceptionInstance_Check(value))
		PyErr_SetObject(type, value);
	else if (PyExceptionClass_Check(type))
		PyErr_SetObject(type, value);
	else
		PyErr_SetString(PyExc_TypeError,
		    "exceptions must derive from BaseException");
}

static PyObject *
step_method(PyObject *o, PyObject *arg)
{
	PyObject *result;
	PySendResult r = PyIter_Send(o, arg, &result);

	return py_step(r, result);
}

static PyObject *
step_next(PyObject *o)
{
	return step_method(o, Py_None);
}

static PyObject *
wait_throw(PyObject *o, PyObject *args)
{
	struct wait *w = (struct wait *)o;

	if (may_step(w) == -1)
		return NULL;
	wait_close(w);
	await_raise(args);
	return NULL;
}

static PyObject *
wait_close_method(PyObject *o, PyObject *unused UNUSED)
{
	struct wait *w = (struct wait *)o;

	if (w->state == RUNNING) {
		PyErr_SetString(PyExc_ValueError,
		    "coroutine already executing");
		return NULL;
	}
	wait_close(w);
	Py_RETURN_NONE;
}

static PyMethodDef wait_methods[] = {
	{ "send", step_method, METH_O, NULL },
	{ "throw", wait_throw, METH_VARARGS, NULL },
	{ "close", wait_close_method, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

/* What inspect.iscoroutine() and anyio go by. */
static PyObject *
get_class(PyObject *o UNUSED, void *closure UNUSED)
{
	return py_ref(self.coroutine);
}

static PyObject *
get_name(PyObject *o, void *closure UNUSED)
{
	return PyUnicode_FromString(Py_TYPE(o) == self.receive ? "receive" :
	    "send");
}

/* inspect.getcoroutinestate() asks for these; there is never a frame. What was
 * sent is in no state. */
static PyObject *
is_in_state(PyObject *o, enum wait_state state)
{
	return PyBool_FromLong(Py_TYPE(o) != self.sent_type &&
	    ((struct wait *)o)->state == state);
}

static PyObject *
get_running(PyObject *o, void *closure UNUSED)
{
	return is_in_state(o, RUNNING);
}

static PyObject *
get_suspended(PyObject *o, void *closure UNUSED)
{
	return is_in_state(o, SUSPENDED);
}

static PyObject *
get_none(PyObject *o UNUSED, void *closure UNUSED)
{
	Py_RETURN_NONE;
}

static PyGetSetDef looks[] = {
	{ "__class__", get_class, NULL, NULL, NULL },
	{ "__name__", get_name, NULL, NULL, NULL },
	{ "__qualname__", get_name, NULL, NULL, NULL },
	{ "cr_running", get_running, NULL, NULL, NULL },
	{ "cr_suspended", get_suspended, NULL, NULL, NULL },
	{ "cr_frame", get_none, NULL, NULL, NULL },
	{ "cr_await", get_none, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyMemberDef wait_members[] = {
	{ "__weaklistoffset__", T_PYSSIZET, offsetof(struct wait, weakrefs),
	    READONLY, NULL },
	{ NULL, 0, 0, 0, NULL }
};

#define WAIT_SLOTS(dealloc, am_send)					\
	{ Py_tp_dealloc, dealloc },					\
	{ Py_tp_methods, wait_methods },				\
	{ Py_tp_getset, looks },					\
	{ Py_tp_members, wait_members },				\
	{ Py_tp_iter, PyObject_SelfIter },				\
	{ Py_tp_iternext, step_next },					\
	{ Py_am_await, PyObject_SelfIter },				\
	{ Py_am_send, am_send },					\
	{ 0, NULL }

static PyType_Slot receive_slots[] = {
	WAIT_SLOTS(receive_dealloc, receive_send)
};
static PyType_Slot send_slots[] = {
	{ Py_tp_finalize, send_finalize },
	{ Py_tp_traverse, send_traverse },
	{ Py_tp_clear, send_clear },
	WAIT_SLOTS(send_dealloc, send_send)
};

#define AWAIT_FLAGS	(Py_TPFLAGS_DEFAULT |				\
	Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec receive_spec = { "asgid.Receive", sizeof(struct wait), 0,
	AWAIT_FLAGS, receive_slots };
static PyType_Spec send_spec = { "asgid.Send", sizeof(struct wait), 0,
	AWAIT_FLAGS | Py_TPFLAGS_HAVE_GC, send_slots };

/* ---- done already ------------------------------------------------------- */

static PySendResult
sent_send(PyObject *o UNUSED, PyObject *arg UNUSED, PyObject **result)
{
	*result = py_ref(Py_None);
	return PYGEN_RETURN;
}

static PyObject *
sent_next(PyObject *o UNUSED)
{
	return NULL;		/* StopIteration, without an object */
}

static PyObject *
sent_throw(PyObject *o UNUSED, PyObject *args)
{
	await_raise(args);
	return NULL;
}

static PyObject *
sent_close(PyObject *o UNUSED, PyObject *unused UNUSED)
{
	Py_RETURN_NONE;
}

static PyMethodDef sent_methods[] = {
	{ "send", step_method, METH_O, NULL },
	{ "throw", sent_throw, METH_VARARGS, NULL },
	{ "close", sent_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot sent_slots[] = {
	{ Py_tp_methods, sent_methods },
	{ Py_tp_getset, looks },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, sent_next },
	{ Py_am_await, PyObject_SelfIter },
	{ Py_am_send, sent_send },
	{ 0, NULL }
};

static PyType_Spec sent_spec = { "asgid.Sent", sizeof(PyObject), 0,
	AWAIT_FLAGS, sent_slots };

/* ---- making them -------------------------------------------------------- */

PyObject *
await_receive(struct port_owner *owner)
{
	struct wait *w;

	fork_check("called receive()");
	w = (struct wait *)pool_get(&self.waits, self.receive);
	if (w != NULL)
		wait_init(w, owner);
	return (PyObject *)w;
}

/* The message waits for the loop's thread, or the error to be awaited. */
static PyObject *
send_later(struct port_owner *owner, PyObject *message)
{
	PyObject *error = error_take();
	struct wait *w = (struct wait *)self.send->tp_alloc(self.send, 0);

	if (w == NULL) {
		Py_XDECREF(error);
		return NULL;
	}
	wait_init(w, owner);
	w->error = error;
	w->message = py_ref(message);
	return (PyObject *)w;
}

PyObject *
await_send(struct port_owner *owner, PyObject *message)
{
	fork_check("called send()");
	if (UNLIKELY(!await_on_loop_thread))
		return send_later(owner, message);
	if (UNLIKELY(owner->ops->send(owner, message) == -1 ||
	    owner->ops->is_full(owner)))
		return send_later(owner, NULL);
	return py_ref(self.sent);
}

/* ---- life --------------------------------------------------------------- */

int
await_init(PyObject *aloop)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");
	PyObject *types = PyImport_ImportModule("types");

	self.aloop = py_ref(aloop);
	await_on_loop_thread = true;
	if (asyncio != NULL)
		self.future = PyObject_GetAttrString(asyncio, "Future");
	if (types != NULL)
		self.coroutine = PyObject_GetAttrString(types,
		    "CoroutineType");
	Py_XDECREF(asyncio);
	Py_XDECREF(types);
	self.loop_kw = Py_BuildValue("(s)", "loop");
	self.receive = (PyTypeObject *)PyType_FromSpec(&receive_spec);
	self.send = (PyTypeObject *)PyType_FromSpec(&send_spec);
	self.sent_type = (PyTypeObject *)PyType_FromSpec(&sent_spec);
	if (self.future == NULL || self.coroutine == NULL ||
	    self.loop_kw == NULL || self.receive == NULL ||
	    self.send == NULL || self.sent_type == NULL)
		return -1;
	self.sent = self.sent_type->tp_alloc(self.sent_type, 0);
	return self.sent != NULL ? 0 : -1;
}
