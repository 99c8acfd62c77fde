/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/port.h"

#include <stddef.h>

#include "app/load.h"
#include "base/defs.h"
#include "py/error.h"
#include "py/pool.h"

struct port {
	PyObject_HEAD
	vectorcallfunc	 call;
	struct port_owner *owner;
	PyObject	*weakrefs;
};

static struct {
	PyTypeObject	*type;
	PyObject	*receive, *send;	/* the names */
	PyObject	*old_mark, *mark;	/* of coroutine functions */
	struct pool	 pool;
} self = { .pool = POOL_INIT(ports) };

/* ---- calls -------------------------------------------------------------- */

static PyObject *
call_receive(PyObject *o, PyObject *const *args UNUSED, size_t nargsf,
    PyObject *kwnames)
{
	if (PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
		PyErr_SetString(PyExc_TypeError,
		    "receive() takes no arguments");
		return NULL;
	}
	return await_receive(((struct port *)o)->owner);
}

static PyObject *
call_send(PyObject *o, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
	Py_ssize_t n = PyVectorcall_NARGS(nargsf) +
	    (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);

	if (n != 1) {
		PyErr_Format(PyExc_TypeError,
		    "send() takes one argument, the message (%zd given)", n);
		return NULL;
	}
	return await_send(((struct port *)o)->owner, args[0]);
}

/* ---- the type ----------------------------------------------------------- */

static PyObject *
port_new(struct port_owner *owner, vectorcallfunc call)
{
	struct port *p = (struct port *)pool_get(&self.pool, self.type);

	if (p == NULL)
		return NULL;
	Py_INCREF(owner);
	p->owner = owner;
	p->call = call;
	p->weakrefs = NULL;
	return (PyObject *)p;
}

PyObject *
port_receive(struct port_owner *owner)
{
	return port_new(owner, call_receive);
}

PyObject *
port_send(struct port_owner *owner)
{
	return port_new(owner, call_send);
}

static void
port_dealloc(struct port *p)
{
	if (p->weakrefs != NULL)
		PyObject_ClearWeakRefs((PyObject *)p);
	Py_CLEAR(p->owner);
	if (!pool_put(&self.pool, (PyObject *)p))
		pool_discard((PyObject *)p);
}

static PyObject *
get_name(PyObject *o, void *closure UNUSED)
{
	return py_ref(((struct port *)o)->call == call_receive ?
	    self.receive : self.send);
}

static PyObject *
port_repr(PyObject *o)
{
	return PyUnicode_FromFormat("<asgid %s at %p>",
	    ((struct port *)o)->call == call_receive ? "receive" : "send",
	    ((struct port *)o)->owner);
}

/* asyncio.iscoroutinefunction() and inspect's (from 3.12 on) look for these
 * where there is no code object. */
static PyObject *
get_mark(PyObject *o UNUSED, void *mark)
{
	PyObject *value = *(PyObject **)mark;

	if (value == NULL)
		PyErr_SetNone(PyExc_AttributeError);
	return py_ref(value);
}

static PyGetSetDef port_getset[] = {
	{ "__name__", get_name, NULL, NULL, NULL },
	{ "__qualname__", get_name, NULL, NULL, NULL },
	{ "_is_coroutine", get_mark, NULL, NULL, &self.old_mark },
	{ "_is_coroutine_marker", get_mark, NULL, NULL, &self.mark },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyMemberDef port_members[] = {
	{ "__vectorcalloffset__", T_PYSSIZET, offsetof(struct port, call),
	    READONLY, NULL },
	{ "__weaklistoffset__", T_PYSSIZET, offsetof(struct port, weakrefs),
	    READONLY, NULL },
	{ NULL, 0, 0, 0, NULL }
};

static PyType_Slot port_slots[] = {
	{ Py_tp_dealloc, port_dealloc },
	{ Py_tp_repr, port_repr },
	{ Py_tp_call, PyVectorcall_Call },
	{ Py_tp_members, port_members },
	{ Py_tp_getset, port_getset },
	{ 0, NULL }
};

static PyType_Spec port_spec = { "asgid.Port", sizeof(struct port), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
	Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	port_slots };

/* ---- life --------------------------------------------------------------- */

static const char mark_text[] =
    "import inspect\n"
    "def mark():\n"
    "    def function(): pass\n"
    "    inspect.markcoroutinefunction(function)\n"
    "    return function._is_coroutine_marker\n";

/* New reference, or NULL where this version of Python has none. */
static PyObject *
find_mark(void)
{
	PyObject *mark = app_define(mark_text, "mark"), *found = NULL;

	if (mark != NULL)
		found = PyObject_CallNoArgs(mark);
	Py_XDECREF(mark);
	if (found == NULL)
		error_swallow("inspect.markcoroutinefunction");
	return found;
}

/* The same for what asyncio goes by. */
static PyObject *
find_old_mark(void)
{
	PyObject *m = PyImport_ImportModule("asyncio.coroutines");
	PyObject *found = NULL;

	if (m != NULL)
		found = PyObject_GetAttrString(m, "_is_coroutine");
	Py_XDECREF(m);
	if (found == NULL)
		error_swallow("asyncio.coroutines._is_coroutine");
	return found;
}

int
port_init(PyObject *aloop)
{
	if (await_init(aloop) == -1)
		return -1;
	self.old_mark = find_old_mark();
	self.mark = find_mark();
	self.receive = PyUnicode_InternFromString("receive");
	self.send = PyUnicode_InternFromString("send");
	self.type = (PyTypeObject *)PyType_FromSpec(&port_spec);
	return self.receive != NULL && self.send != NULL &&
	    self.type != NULL ? 0 : -1;
}
