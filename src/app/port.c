/* SPDX-License-Identifier: BSD-3-Clause
 *
 * receive and send: two kinds of callables that refer to their cycle, and
 * what they return.  send() takes the message when it is called; what it
 * returns is one constant object that is done already, or, above the
 * high-water mark, a wait.  receive() returns a wait, which looks for a
 * message when it is awaited.  Both kinds of awaitables are coroutines to
 * asyncio (send, throw, close, __await__), so that create_task(receive())
 * works.
 */
#include "py/py.h"
#include "app/cycle.h"

#include <stddef.h>

#include "base/defs.h"
#include "py/fork.h"
#include "py/names.h"
#include "py/pool.h"

struct port {
	PyObject_HEAD
	vectorcallfunc	 call;
	struct cycle	*cycle;
};

static struct {
	PyTypeObject	*port, *wait, *done;
	PyObject	*sent;		/* the one object of type done */
	PyObject	*aloop;
	PyObject	*future;	/* asyncio.Future */
	PyObject	*loop_kw;	/* ("loop",) */
	struct pool	 ports, waits;
} self = { .ports = POOL_INIT(ports), .waits = POOL_INIT(waits) };

/* ---- a future to wait for ----------------------------------------------- */

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

void
port_wake(struct cycle *c, bool receives)
{
	struct list *pos, *tmp;
	struct wait *w;

	list_foreach_safe(pos, tmp, &c->waiters) {
		w = list_entry(pos, struct wait, node);
		if (w->receives == receives)
			future_wake(w->future);
	}
}

/* ---- waiting ------------------------------------------------------------ */

static struct wait *
wait_new(struct cycle *c, bool receives)
{
	struct wait *w = (struct wait *)pool_get(&self.waits, self.wait);

	if (w == NULL)
		return NULL;
	Py_INCREF(c);
	w->cycle = c;
	w->receives = receives;
	w->over = false;
	list_init(&w->node);
	w->future = w->steps = NULL;
	return w;
}

/* Not waiting any more; the future may be somebody else's to cancel. */
static void
wait_leave(struct wait *w)
{
	list_remove(&w->node);
	Py_CLEAR(w->steps);
	Py_CLEAR(w->future);
}

static void
wait_dealloc(struct wait *w)
{
	wait_leave(w);
	Py_CLEAR(w->cycle);
	if (!pool_put(&self.waits, (PyObject *)w))
		pool_discard((PyObject *)w);
}

static int
wait_begin(struct wait *w)
{
	if ((w->future = future_new()) == NULL)
		return -1;
	w->steps = PyObject_GetIter(w->future);
	if (w->steps == NULL)
		return -1;
	list_append(&w->cycle->waiters, &w->node);
	return 0;
}

/* What is awaited for, if it is there: a new reference, or NULL without an
 * exception to wait (again). */
static PyObject *
wait_outcome(struct wait *w)
{
	if (w->receives)
		return message_receive(w->cycle);
	return py_ref(Py_None);
}

static PySendResult
wait_send(struct wait *w, PyObject *arg, PyObject **result)
{
	PySendResult r;

	fork_check("awaited receive() or send()");
	*result = NULL;
	if (w->over) {
		PyErr_SetString(PyExc_RuntimeError,
		    "cannot reuse already awaited coroutine");
		return PYGEN_ERROR;
	}
	for (;;) {
		if (w->steps != NULL) {
			r = PyIter_Send(w->steps, arg, result);
			if (r == PYGEN_NEXT)
				return r;
			wait_leave(w);
			if (r == PYGEN_ERROR)
				break;
			Py_CLEAR(*result);
		} else if (!w->receives && wait_begin(w) == 0)
			continue;	/* the writer is full: once at least */
		*result = PyErr_Occurred() ? NULL : wait_outcome(w);
		if (*result != NULL) {
			w->over = true;
			return PYGEN_RETURN;
		}
		if (PyErr_Occurred() || wait_begin(w) == -1)
			break;
	}
	w->over = true;
	wait_leave(w);
	return PYGEN_ERROR;
}

static PyObject *
wait_send_method(PyObject *w, PyObject *arg)
{
	PyObject *result;
	PySendResult r = wait_send((struct wait *)w, arg, &result);

	return py_step(r, result);
}

static PyObject *
wait_next(PyObject *w)
{
	return wait_send_method(w, Py_None);
}

/* throw(type[, value[, traceback]]): make it pending. */
static void
raise_args(PyObject *args)
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
wait_throw(PyObject *o, PyObject *args)
{
	struct wait *w = (struct wait *)o;

	wait_leave(w);
	w->over = true;
	raise_args(args);
	return NULL;
}

static PyObject *
wait_close(PyObject *o, PyObject *unused UNUSED)
{
	struct wait *w = (struct wait *)o;

	wait_leave(w);
	w->over = true;
	Py_RETURN_NONE;
}

static PyMethodDef wait_methods[] = {
	{ "send", wait_send_method, METH_O, NULL },
	{ "throw", wait_throw, METH_VARARGS, NULL },
	{ "close", wait_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot wait_slots[] = {
	{ Py_tp_dealloc, wait_dealloc },
	{ Py_tp_methods, wait_methods },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, wait_next },
	{ Py_am_await, PyObject_SelfIter },
	{ Py_am_send, wait_send },
	{ 0, NULL }
};

static PyType_Spec wait_spec = { "asgid.Wait", sizeof(struct wait), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
	Py_TPFLAGS_IMMUTABLETYPE, wait_slots };

/* ---- done already ------------------------------------------------------- */

static PySendResult
done_send(PyObject *o UNUSED, PyObject *arg UNUSED, PyObject **result)
{
	*result = py_ref(Py_None);
	return PYGEN_RETURN;
}

static PyObject *
done_send_method(PyObject *o UNUSED, PyObject *arg UNUSED)
{
	PyErr_SetNone(PyExc_StopIteration);
	return NULL;
}

static PyObject *
done_next(PyObject *o UNUSED)
{
	return NULL;		/* StopIteration, without an object */
}

static PyObject *
done_throw(PyObject *o UNUSED, PyObject *args)
{
	raise_args(args);
	return NULL;
}

static PyObject *
done_close(PyObject *o UNUSED, PyObject *unused UNUSED)
{
	Py_RETURN_NONE;
}

static PyMethodDef done_methods[] = {
	{ "send", done_send_method, METH_O, NULL },
	{ "throw", done_throw, METH_VARARGS, NULL },
	{ "close", done_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot done_slots[] = {
	{ Py_tp_methods, done_methods },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, done_next },
	{ Py_am_await, PyObject_SelfIter },
	{ Py_am_send, done_send },
	{ 0, NULL }
};

static PyType_Spec done_spec = { "asgid.Sent", sizeof(PyObject), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
	Py_TPFLAGS_IMMUTABLETYPE, done_slots };

/* ---- the callables ------------------------------------------------------ */

static PyObject *
call_receive(PyObject *o, PyObject *const *args UNUSED, size_t nargsf,
    PyObject *kwnames)
{
	fork_check("called receive()");
	if (PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
		PyErr_SetString(PyExc_TypeError,
		    "receive() takes no arguments");
		return NULL;
	}
	return (PyObject *)wait_new(((struct port *)o)->cycle, true);
}

static PyObject *
call_send(PyObject *o, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
	struct cycle *c = ((struct port *)o)->cycle;
	Py_ssize_t n = PyVectorcall_NARGS(nargsf) +
	    (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
	int rc;

	fork_check("called send()");
	if (n != 1) {
		PyErr_Format(PyExc_TypeError,
		    "send() takes one argument, the message (%zd given)", n);
		return NULL;
	}
	rc = message_send(c, args[0]);
	if (rc == -1)
		return NULL;
	return rc == 0 ? py_ref(self.sent) : (PyObject *)wait_new(c, false);
}

PyObject *
port_new(struct cycle *c, bool receives)
{
	struct port *p = (struct port *)pool_get(&self.ports, self.port);

	if (p == NULL)
		return NULL;
	Py_INCREF(c);
	p->cycle = c;
	p->call = receives ? call_receive : call_send;
	return (PyObject *)p;
}

static void
port_dealloc(struct port *p)
{
	Py_CLEAR(p->cycle);
	if (!pool_put(&self.ports, (PyObject *)p))
		pool_discard((PyObject *)p);
}

static PyObject *
port_repr(struct port *p)
{
	return PyUnicode_FromFormat("<asgid %s at %p>",
	    p->call == call_receive ? "receive" : "send", p->cycle);
}

static PyMemberDef port_members[] = {
	{ "__vectorcalloffset__", T_PYSSIZET, offsetof(struct port, call),
	    READONLY, NULL },
	{ NULL, 0, 0, 0, NULL }
};

static PyType_Slot port_slots[] = {
	{ Py_tp_dealloc, port_dealloc },
	{ Py_tp_repr, port_repr },
	{ Py_tp_call, PyVectorcall_Call },
	{ Py_tp_members, port_members },
	{ 0, NULL }
};

static PyType_Spec port_spec = { "asgid.Port", sizeof(struct port), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
	Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	port_slots };

/* ---- life --------------------------------------------------------------- */

int
port_init(PyObject *aloop)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");

	if (asyncio == NULL)
		return -1;
	self.aloop = py_ref(aloop);
	self.future = PyObject_GetAttrString(asyncio, "Future");
	Py_DECREF(asyncio);
	self.loop_kw = Py_BuildValue("(s)", "loop");
	self.port = (PyTypeObject *)PyType_FromSpec(&port_spec);
	self.wait = (PyTypeObject *)PyType_FromSpec(&wait_spec);
	self.done = (PyTypeObject *)PyType_FromSpec(&done_spec);
	if (self.future == NULL || self.loop_kw == NULL ||
	    self.port == NULL || self.wait == NULL || self.done == NULL)
		return -1;
	self.sent = self.done->tp_alloc(self.done, 0);
	return self.sent != NULL ? 0 : -1;
}
