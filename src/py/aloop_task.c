/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Tasks and futures: create_task(), create_future(), and aloop_spawn(), by
 * which a request's coroutine becomes a Task whose first step runs at once.
 *
 * From Python 3.12 on a Task can start eagerly by itself.  Before, and with
 * the task factory of an application, the Task asks call_soon() to run its
 * first step; while CORE_CAPTURE is up that request is kept here instead, and
 * the step is run as the loop would have.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include "base/defs.h"
#include "py/fork.h"

#define TASK_NAME	"request-%llu"

/* ---- making futures and tasks --------------------------------------- */

/* Interned keys, which the callee finds without comparing their text. */
static int
set_key(PyObject *dict, const char *name, PyObject *value)
{
	PyObject *key = PyUnicode_InternFromString(name);
	int rc = -1;

	if (key != NULL)
		rc = PyDict_SetItem(dict, key, value);
	Py_XDECREF(key);
	return rc;
}

/* {"loop": self}, made once: no dict is built for each object. */
static PyObject *
loop_kwargs(struct core *c)
{
	if (LIKELY(c->future_kwargs != NULL))
		return c->future_kwargs;
	c->future_kwargs = PyDict_New();
	if (c->future_kwargs != NULL &&
	    set_key(c->future_kwargs, "loop", (PyObject *)c) == -1)
		py_drop(&c->future_kwargs);
	return c->future_kwargs;
}

static PyObject *
LoopCore_create_future(PyObject *op, PyObject *unused UNUSED)
{
	struct core *c = (struct core *)op;
	PyObject *kwargs = loop_kwargs(c);

	if (kwargs == NULL)
		return NULL;
	return PyObject_Call(c->st->future_type, c->st->empty_tuple, kwargs);
}

static PyObject *
make_task(struct core *c, PyObject *coro, PyObject *kwargs)
{
	PyObject *args, *task;

	if (kwargs == NULL)
		return NULL;
	args = PyTuple_Pack(1, coro);
	if (args == NULL)
		return NULL;
	task = PyObject_Call(c->st->task_type, args, kwargs);
	Py_DECREF(args);
	return task;
}

/* The standard library's create_task(): names, contexts, factories, debug
 * mode, errors. */
static PyObject *
create_task_slow(struct core *c, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	Py_ssize_t n = nargs, i;
	PyObject *stack[16];

	if (kwnames != NULL)
		n += PyTuple_GET_SIZE(kwnames);
	if (n >= (Py_ssize_t)countof(stack)) {
		PyErr_SetString(PyExc_TypeError,
		    "create_task: too many arguments");
		return NULL;
	}
	stack[0] = (PyObject *)c;
	for (i = 0; i < n; i++)
		stack[1 + i] = args[i];
	return PyObject_Vectorcall(c->st->base_create_task, stack,
	    (size_t)nargs + 1, kwnames);
}

/* Is it create_task(coro) or create_task(coro, name=None)? */
static bool
is_plain(struct core *c, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	if (nargs != 1 || c->flags != 0 ||
	    (c->task_factory != NULL && c->task_factory != Py_None))
		return false;
	return kwnames == NULL || (PyTuple_GET_SIZE(kwnames) == 1 &&
	    PyTuple_GET_ITEM(kwnames, 0) == c->st->str_name &&
	    args[1] == Py_None);
}

static PyObject *
LoopCore_create_task(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames)
{
	struct core *c = (struct core *)op;

	if (LIKELY(is_plain(c, args, nargs, kwnames)))
		return make_task(c, args[0], loop_kwargs(c));
	return create_task_slow(c, args, nargs, kwnames);
}

#define FUNC(f)	((PyCFunction)(void (*)(void))(f))

PyMethodDef aloop_task_methods[] = {
	{ "create_future", LoopCore_create_future, METH_NOARGS, NULL },
	{ "create_task", FUNC(LoopCore_create_task),
	    METH_FASTCALL | METH_KEYWORDS, NULL },
	{ NULL, NULL, 0, NULL }
};

/* ---- the first step ------------------------------------------------- */

static void
capture_begin(struct core *c)
{
	c->flags |= CORE_CAPTURE;
}

static void
capture_drop(struct core *c)
{
	c->flags &= ~(unsigned)CORE_CAPTURE;
	py_drop(&c->captured);
	py_drop(&c->captured_context);
}

/* Run what call_soon() kept, if anything: a factory may have started the
 * task by itself. 0, or -1 with an exception that a Task lets out. */
static int
captured_run(struct core *c)
{
	PyObject *step = py_take(&c->captured);
	PyObject *context = py_take(&c->captured_context), *r = NULL;

	c->flags &= ~(unsigned)CORE_CAPTURE;
	if (step == NULL)
		return 0;
	if (PyContext_Enter(context) == -1)
		goto out;
	r = PyObject_CallNoArgs(step);
	if (PyContext_Exit(context) == -1)
		py_drop(&r);
out:
	Py_DECREF(step);
	Py_DECREF(context);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

/* The application's factory is called for each request: what it sets stays
 * with the task that it makes. */
static PyObject *
call_factory(struct core *c, PyObject *coro)
{
	PyObject *context = PyContext_CopyCurrent(), *task = NULL;

	if (context == NULL)
		return NULL;
	if (PyContext_Enter(context) == 0) {
		task = PyObject_CallMethodOneArg((PyObject *)c,
		    c->st->str_create_task, coro);
		if (PyContext_Exit(context) == -1)
			py_drop(&task);
	}
	Py_DECREF(context);
	return task;
}

static PyObject *
spawn_captured(struct core *c, PyObject *coro, PyObject *kwargs)
{
	PyObject *task;

	capture_begin(c);
	task = kwargs == NULL ? call_factory(c, coro) :
	    make_task(c, coro, kwargs);
	if (task == NULL)
		capture_drop(c);
	else if (captured_run(c) == -1)
		py_drop(&task);
	return task;
}

static int
spawn_prepare(struct core *c)
{
	PyObject *kwargs = PyDict_New();

	if (kwargs == NULL ||
	    set_key(kwargs, "loop", (PyObject *)c) == -1 ||
	    (PY_VERSION_HEX >= 0x030c0000 &&
	    set_key(kwargs, "eager_start", Py_True) == -1))
		py_drop(&kwargs);
	c->spawn_kwargs = kwargs;
	return kwargs != NULL ? 0 : -1;
}

/*
 * Make the number at the end of the text one higher, in place: when nobody
 * else can have the object, as PyUnicode_WriteChar() demands it too.  False:
 * a new one is needed.
 */
static bool
count_up(PyObject *name)
{
	Py_UCS1 *at;

	if (Py_REFCNT(name) != 1 || PyUnicode_CHECK_INTERNED(name) ||
	    ((PyASCIIObject *)name)->hash != -1)
		return false;
#if PY_VERSION_HEX < 0x030c0000
	if (((PyASCIIObject *)name)->wstr != NULL)	/* a copy */
		return false;
#endif
	at = PyUnicode_1BYTE_DATA(name) + PyUnicode_GET_LENGTH(name) - 1;
	for (; *at == '9'; at--)
		*at = '0';
	if (*at == '-')			/* one digit more */
		return false;
	++*at;
	return true;
}

/* The arguments for the next request's Task, whose name differs from all
 * before; borrowed. NULL with an exception. */
static PyObject *
numbered(struct core *c)
{
	PyObject *name;
	int rc;

	c->nspawned++;
	if (LIKELY(c->spawn_name != NULL && count_up(c->spawn_name)))
		return c->spawn_kwargs;
	c->spawn_name = NULL;
	name = PyUnicode_FromFormat(TASK_NAME, c->nspawned);
	if (name == NULL)
		return NULL;
	rc = PyDict_SetItem(c->spawn_kwargs, c->st->str_name, name);
	Py_DECREF(name);
	if (rc == -1)
		return NULL;
	c->spawn_name = name;			/* the dict's */
	return c->spawn_kwargs;
}

/* .. of another one's. New reference. */
static PyObject *
named(struct core *c, PyObject *name)
{
	PyObject *kwargs = PyDict_Copy(c->spawn_kwargs);

	if (kwargs != NULL &&
	    PyDict_SetItem(kwargs, c->st->str_name, name) == -1)
		py_drop(&kwargs);
	return kwargs;
}

static PyObject *
spawn_with(struct core *c, PyObject *coro, PyObject *kwargs)
{
	if (kwargs == NULL)
		return NULL;
#if PY_VERSION_HEX >= 0x030c0000
	return make_task(c, coro, kwargs);
#else
	return spawn_captured(c, coro, kwargs);
#endif
}

static PyObject *
spawn(struct core *c, PyObject *coro, PyObject *name)
{
	PyObject *kwargs, *task;

	if (UNLIKELY(core_check_open(c) == -1))
		return NULL;
	if (UNLIKELY(c->spawn_kwargs == NULL) && spawn_prepare(c) == -1)
		return NULL;
	if (UNLIKELY(c->task_factory != NULL && c->task_factory != Py_None))
		return spawn_captured(c, coro, NULL);
	if (LIKELY(name == NULL))
		return spawn_with(c, coro, numbered(c));
	kwargs = named(c, name);
	task = spawn_with(c, coro, kwargs);
	Py_XDECREF(kwargs);
	return task;
}

PyObject *
aloop_spawn(PyObject *loop, PyObject *coro, PyObject *name)
{
	PyObject *task = spawn((struct core *)loop, coro, name);

	fork_check(NULL);
	return task;
}
