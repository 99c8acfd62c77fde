/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The built-in module _asgid: its state, and who fills it.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include "base/defs.h"
#include "stats/stats.h"

/*
 * The state is the process's, not the module object's, and is never cleared:
 * at the end of the interpreter handles and loops may be dropped in any
 * order, and each of them still finds its type and free list.
 */
static struct {
	struct aloop_state	state;
	bool			filled;
} the;

struct aloop_state *
aloop_state(void)
{
	return &the.state;
}

/* pool_stats() -> of handles: (hits, misses, in use, peak), for tests. */
static PyObject *
pool_stats(PyObject *module UNUSED, PyObject *unused UNUSED)
{
	return Py_BuildValue("(KKKK)",
	    (unsigned long long)STAT_GET(handles_hits),
	    (unsigned long long)STAT_GET(handles_misses),
	    (unsigned long long)STAT_GET(handles_in_use),
	    (unsigned long long)STAT_GET(handles_peak));
}

/* spawn(loop, coro): aloop_spawn(), for tests. */
static PyObject *
spawn(PyObject *module UNUSED, PyObject *args)
{
	PyObject *loop, *coro;

	if (!PyArg_ParseTuple(args, "O!O:spawn", the.state.core_type, &loop,
	    &coro))
		return NULL;
	return aloop_spawn(loop, coro, NULL);
}

static PyMethodDef methods[] = {
	{ "pool_stats", pool_stats, METH_NOARGS, NULL },
	{ "spawn", spawn, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static int
intern_names(struct aloop_state *st)
{
	const struct {
		const char	 *text;
		PyObject	**slot;
	} names[] = {
		{ "context", &st->str_context },
		{ "_run", &st->str__run },
		{ "_cancelled", &st->str__cancelled },
		{ "_ensure_fd_no_transport", &st->str_no_transport },
		{ "_current_handle", &st->str_current_handle },
		{ "name", &st->str_name },
		{ "create_task", &st->str_create_task },
	};
	size_t i;

	for (i = 0; i < countof(names); i++) {
		*names[i].slot = PyUnicode_InternFromString(names[i].text);
		if (*names[i].slot == NULL)
			return -1;
	}
	st->empty_tuple = PyTuple_New(0);
	return st->empty_tuple != NULL ? 0 : -1;
}

static int
module_exec(PyObject *module)
{
	struct aloop_state *st = &the.state;

	if (the.filled) {
		PyErr_SetString(PyExc_ImportError,
		    "_asgid can be imported once");
		return -1;
	}
	if (intern_names(st) == -1 ||
	    aloop_handle_exec(module, st) == -1 ||
	    aloop_core_exec(module, st) == -1 ||
	    aloop_rest_exec(module, st) == -1 ||
	    aloop_registry_exec() == -1)
		return -1;
	the.filled = true;
	return 0;
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, module_exec },
	{ 0, NULL }
};

static struct PyModuleDef def = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "_asgid",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC
PyInit__asgid(void)
{
	return PyModuleDef_Init(&def);
}
