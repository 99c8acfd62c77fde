/* SPDX-License-Identifier: BSD-3-Clause
 *
 * asyncio keeps its tasks in a weakref.WeakSet, whose add() and the removal
 * at a task's end are Python functions: a good part of what a short task
 * costs.  They are replaced, in that one set, by the same in C.  The set is
 * left alone when it does not look as expected (Python 3.14 has none).
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include "base/defs.h"

/* What the functions share: a tuple, their `self`. */
enum { DATA, PENDING, ITERATING, ADD, REMOVE };

/* WeakSet._remove: at the end of a member. */
static PyObject *
registry_remove(PyObject *self, PyObject *ref)
{
	int rc;

	if (PySet_GET_SIZE(PyTuple_GET_ITEM(self, ITERATING)) > 0)
		rc = PyList_Append(PyTuple_GET_ITEM(self, PENDING), ref);
	else
		rc = PySet_Discard(PyTuple_GET_ITEM(self, DATA), ref);
	if (rc == -1)
		return NULL;
	Py_RETURN_NONE;
}

/* WeakSet.add */
static PyObject *
registry_add(PyObject *self, PyObject *item)
{
	PyObject *ref;
	int rc;

	if (UNLIKELY(PyList_GET_SIZE(PyTuple_GET_ITEM(self, PENDING)) > 0))
		return PyObject_CallOneArg(PyTuple_GET_ITEM(self, ADD), item);
	ref = PyWeakref_NewRef(item, PyTuple_GET_ITEM(self, REMOVE));
	if (ref == NULL)
		return NULL;
	rc = PySet_Add(PyTuple_GET_ITEM(self, DATA), ref);
	Py_DECREF(ref);
	if (rc == -1)
		return NULL;
	Py_RETURN_NONE;
}

static PyMethodDef remove_def = {
	"_remove", registry_remove, METH_O, NULL
};
static PyMethodDef add_def = { "add", registry_add, METH_O, NULL };

/* NULL without an exception when there is none, or of another kind. */
static PyObject *
member(PyObject *set, const char *name, PyTypeObject *type)
{
	PyObject *o = PyObject_GetAttrString(set, name);

	if (o == NULL)
		PyErr_Clear();
	else if (type != NULL && !Py_IS_TYPE(o, type))
		py_drop(&o);
	return o;
}

/* {data, pending, iterating, add, remove}, or NULL as above. */
static PyObject *
make_shared(PyObject *set)
{
	PyObject *data, *pending, *iterating, *add, *self = NULL, *remove;

	data = member(set, "data", &PySet_Type);
	pending = member(set, "_pending_removals", &PyList_Type);
	iterating = member(set, "_iterating", &PySet_Type);
	add = member(set, "add", &PyMethod_Type);
	if (data != NULL && pending != NULL && iterating != NULL &&
	    add != NULL) {
		remove = Py_BuildValue("(OOO)", data, pending, iterating);
		if (remove != NULL)
			py_set(&remove, PyCFunction_New(&remove_def, remove));
		if (remove != NULL)
			self = Py_BuildValue("(OOOON)", data, pending,
			    iterating, add, remove);
	}
	Py_XDECREF(data);
	Py_XDECREF(pending);
	Py_XDECREF(iterating);
	Py_XDECREF(add);
	return self;
}

static int
registry_replace(PyObject *set)
{
	PyObject *self = make_shared(set), *add;
	int rc;

	if (self == NULL)
		return PyErr_Occurred() ? -1 : 0;
	add = PyCFunction_New(&add_def, self);
	Py_DECREF(self);
	if (add == NULL)
		return -1;
	rc = PyObject_SetAttrString(set, "add", add);
	Py_DECREF(add);
	return rc;
}

int
aloop_registry_exec(void)
{
	static const char *const names[] = {
		"_all_tasks", "_scheduled_tasks"	/* 3.11, 3.12 */
	};
	PyObject *tasks = PyImport_ImportModule("asyncio.tasks"), *set;
	size_t i;
	int rc = 0;

	if (tasks == NULL)
		return -1;
	for (i = 0; i < countof(names) && rc == 0; i++) {
		set = member(tasks, names[i], NULL);
		if (set != NULL) {
			rc = registry_replace(set);
			Py_DECREF(set);
		}
	}
	Py_DECREF(tasks);
	return rc;
}
