/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The one door to <Python.h>: nothing else in asgid includes it.  First
 * among a file's includes, since Python.h sets feature macros.
 */
#ifndef PY_PY_H
#define PY_PY_H

#define PY_SSIZE_T_CLEAN
/* Python's headers do not promise to pass our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <Python.h>
#include <structmember.h>
#pragma GCC diagnostic pop

#include <stdbool.h>

/*
 * Ownership helpers.  A variable holds one reference or NULL:
 *
 *	PyObject *x = py_ref(y);	take one of our own
 *	py_set(&x, z);			give up the old, own z (stolen)
 *	py_drop(&x);			give up, x becomes NULL
 *	return py_take(&x);		hand over, x becomes NULL
 */
static inline PyObject *
py_ref(PyObject *o)
{
	Py_XINCREF(o);
	return o;
}

static inline void
py_set(PyObject **slot, PyObject *stolen)
{
	PyObject *old = *slot;

	*slot = stolen;
	Py_XDECREF(old);
}

static inline void
py_drop(PyObject **slot)
{
	py_set(slot, NULL);
}

static inline PyObject *
py_take(PyObject **slot)
{
	PyObject *o = *slot;

	*slot = NULL;
	return o;
}

/*
 * The protocol of generators' send() on top of am_send: what was yielded, or
 * NULL with StopIteration(result) set, or NULL with an exception. Steals
 * result.
 */
static inline PyObject *
py_step(PySendResult r, PyObject *result)
{
	PyObject *stop;

	if (r != PYGEN_RETURN)
		return result;
	/* an exception or a tuple would be taken for arguments otherwise */
	stop = PyObject_CallOneArg(PyExc_StopIteration, result);
	Py_DECREF(result);
	if (stop != NULL) {
		PyErr_SetObject(PyExc_StopIteration, stop);
		Py_DECREF(stop);
	}
	return NULL;
}

/* PyInit__asgid, the built-in module: PyImport_AppendInittab("_asgid", ...)
 * before the interpreter starts. */
PyMODINIT_FUNC PyInit__asgid(void);

#endif
