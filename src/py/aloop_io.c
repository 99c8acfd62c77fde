/* SPDX-License-Identifier: BSD-3-Clause
 *
 * add_reader, add_writer and what the standard transports use of a
 * selector.  The record of a descriptor number is kept until the loop is
 * closed: the number will be used again.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/defs.h"

/* ---- records -------------------------------------------------------- */

/* Queue the handle; one that was cancelled is taken out of its slot and
 * returned, to be dropped. */
static struct handle *
push_or_take(struct watch *w, struct handle **slot)
{
	struct handle *h = *slot;

	if (LIKELY(!h->cancelled)) {
		if (UNLIKELY(core_push(w->core, (PyObject *)h) == -1))
			PyErr_WriteUnraisable((PyObject *)h);
		return NULL;
	}
	*slot = NULL;
	(void)loop_io_set(w->core->loop, &w->io,
	    (w->reader != NULL ? LOOP_READ : 0) |
	    (w->writer != NULL ? LOOP_WRITE : 0));
	return h;
}

static void
on_watch(struct loop *l UNUSED, struct loop_io *io, unsigned revents)
{
	struct watch *w = container_of(io, struct watch, io);
	struct handle *reader = NULL, *writer = NULL;

	/* a hang-up wakes both, who then see the error for themselves */
	if ((revents & (LOOP_READ | LOOP_RDHUP | LOOP_HUP)) &&
	    w->reader != NULL)
		reader = push_or_take(w, &w->reader);
	if ((revents & (LOOP_WRITE | LOOP_HUP)) && w->writer != NULL)
		writer = push_or_take(w, &w->writer);
	/* last: destructors may change the watch */
	Py_XDECREF((PyObject *)reader);
	Py_XDECREF((PyObject *)writer);
}

static struct watch *
watch_find(const struct core *c, int fd)
{
	return fd >= 0 && fd < c->nwatches ? c->watches[fd] : NULL;
}

static struct watch *
watch_get(struct core *c, int fd)
{
	struct watch **v, *w = watch_find(c, fd);
	size_t n, i;

	if (LIKELY(w != NULL))
		return w;
	if (fd >= c->nwatches) {
		i = (size_t)c->nwatches;
		for (n = i > 0 ? i : 64; n <= (size_t)fd; n *= 2)
			continue;
		v = PyMem_Realloc(c->watches, n * sizeof(*v));
		if (v == NULL)
			goto nomem;
		while (i < n)
			v[i++] = NULL;
		c->watches = v;
		c->nwatches = n < INT_MAX ? (int)n : INT_MAX;
	}
	w = PyMem_Calloc(1, sizeof(*w));
	if (w == NULL)
		goto nomem;
	loop_io_init(&w->io, fd, on_watch);
	w->core = c;
	c->watches[fd] = w;
	return w;
nomem:
	PyErr_NoMemory();
	return NULL;
}

int
watches_traverse(struct core *c, visitproc visit, void *arg)
{
	struct watch *w;
	int i;

	for (i = 0; i < c->nwatches; i++) {
		w = c->watches[i];
		if (w == NULL)
			continue;
		Py_VISIT((PyObject *)w->reader);
		Py_VISIT((PyObject *)w->writer);
	}
	return 0;
}

static void
slot_clear(struct handle **slot)
{
	struct handle *h = *slot;

	*slot = NULL;
	if (h != NULL) {
		handle_cancel(h);
		Py_DECREF((PyObject *)h);
	}
}

void
watches_clear(struct core *c)
{
	struct watch **v = c->watches, *w;
	int i, n = c->nwatches;

	c->watches = NULL;
	c->nwatches = 0;
	for (i = 0; i < n; i++) {
		w = v[i];
		if (w == NULL)
			continue;
		if (c->loop != NULL)
			loop_io_del(c->loop, &w->io);
		slot_clear(&w->reader);
		slot_clear(&w->writer);
		PyMem_Free(w);
	}
	PyMem_Free(v);
}

/* ---- setting -------------------------------------------------------- */

/* Is it open? -1 with an exception, before a table grows to its number: a
 * number that is no descriptor may be a very high one. */
static int
check_open(const struct core *c, int fd)
{
	if (LIKELY(fd < c->nwatches) || fcntl(fd, F_GETFD) != -1)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

/* Watch for `event` besides what is watched already. 0, or -1 with an
 * exception. */
static int
watch_set(struct core *c, struct watch *w, unsigned event, struct handle *h)
{
	struct handle **slot = event == LOOP_READ ? &w->reader : &w->writer;
	struct handle *old = *slot;
	unsigned events = event | (w->reader != NULL ? LOOP_READ : 0) |
	    (w->writer != NULL ? LOOP_WRITE : 0);

	if (loop_io_set(c->loop, &w->io, events) == -1) {
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	*slot = (struct handle *)Py_NewRef((PyObject *)h);
	slot_clear(&old);
	return 0;
}

/* Was there something to remove? */
static bool
watch_unset(struct core *c, int fd, unsigned event)
{
	struct watch *w = watch_find(c, fd);
	struct handle **slot;

	if (w == NULL)
		return false;
	slot = event == LOOP_READ ? &w->reader : &w->writer;
	if (*slot == NULL)
		return false;
	/* stopping cannot fail, and a descriptor that was closed behind our
	 * back needs no change */
	(void)loop_io_set(c->loop, &w->io, w->io.events & ~event);
	slot_clear(slot);
	return true;
}

/* An integer or something with fileno(). -1: exception. */
static int
descriptor(PyObject *o)
{
	int fd = PyObject_AsFileDescriptor(o);

	if (fd == -1 && (PyErr_ExceptionMatches(PyExc_TypeError) ||
	    PyErr_ExceptionMatches(PyExc_OverflowError))) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "Invalid file object: %R", o);
	}
	return fd;
}

static PyObject *
add(struct core *c, PyObject *const *args, Py_ssize_t nargs, unsigned event)
{
	struct call call;
	struct watch *w;
	struct handle *h;
	int fd;

	if (core_check_open(c) == -1)
		return NULL;
	if (nargs < 2) {
		PyErr_SetString(PyExc_TypeError,
		    "a file descriptor and a callback are required");
		return NULL;
	}
	fd = descriptor(args[0]);
	if (fd == -1 || check_open(c, fd) == -1)
		return NULL;
	call.callback = args[1];
	call.args = args + 2;
	call.nargs = nargs - 2;
	call.context = NULL;
	h = handle_new(c, &call);
	if (h == NULL)
		return NULL;
	/* again: fileno() and destructors may have closed it */
	w = core_check_open(c) == 0 ? watch_get(c, fd) : NULL;
	if (w == NULL || watch_set(c, w, event, h) == -1) {
		Py_DECREF((PyObject *)h);
		return NULL;
	}
	return (PyObject *)h;
}

static PyObject *
unset(struct core *c, PyObject *file, unsigned event)
{
	int fd;

	if (c->flags & CORE_CLOSED || c->loop == NULL)
		Py_RETURN_FALSE;
	fd = descriptor(file);		/* which may close the loop */
	if (fd == -1)
		return NULL;
	return PyBool_FromLong(watch_unset(c, fd, event));
}

/* ---- methods -------------------------------------------------------- */

/* The public ones refuse a descriptor that a transport uses. */
static int
check_no_transport(struct core *c, PyObject *const *args, Py_ssize_t nargs)
{
	PyObject *r;

	if (nargs < 1)
		return 0;		/* add() complains */
	r = PyObject_CallMethodOneArg((PyObject *)c, c->st->str_no_transport,
	    args[0]);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

static PyObject *
add_public(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
    unsigned event)
{
	struct core *c = (struct core *)op;
	PyObject *h;

	if (check_no_transport(c, args, nargs) == -1)
		return NULL;
	h = add(c, args, nargs, event);
	if (h == NULL)
		return NULL;
	Py_DECREF(h);
	Py_RETURN_NONE;
}

static PyObject *
remove_public(PyObject *op, PyObject *file, unsigned event)
{
	struct core *c = (struct core *)op;

	if (check_no_transport(c, &file, 1) == -1)
		return NULL;
	return unset(c, file, event);
}

static PyObject *
LoopCore_add_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
	return add_public(op, args, nargs, LOOP_READ);
}

static PyObject *
LoopCore_add_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
	return add_public(op, args, nargs, LOOP_WRITE);
}

static PyObject *
LoopCore__add_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
	return add((struct core *)op, args, nargs, LOOP_READ);
}

static PyObject *
LoopCore__add_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
	return add((struct core *)op, args, nargs, LOOP_WRITE);
}

static PyObject *
LoopCore_remove_reader(PyObject *op, PyObject *file)
{
	return remove_public(op, file, LOOP_READ);
}

static PyObject *
LoopCore_remove_writer(PyObject *op, PyObject *file)
{
	return remove_public(op, file, LOOP_WRITE);
}

static PyObject *
LoopCore__remove_reader(PyObject *op, PyObject *file)
{
	return unset((struct core *)op, file, LOOP_READ);
}

static PyObject *
LoopCore__remove_writer(PyObject *op, PyObject *file)
{
	return unset((struct core *)op, file, LOOP_WRITE);
}

/* Who watches: 1 (selectors.EVENT_READ) | 2 (EVENT_WRITE). */
static PyObject *
LoopCore__watched(PyObject *op, PyObject *file)
{
	int fd = descriptor(file);
	const struct watch *w;

	if (fd == -1)
		return NULL;
	w = watch_find((struct core *)op, fd);
	return PyLong_FromLong(w == NULL ? 0 :
	    (w->reader != NULL) | (w->writer != NULL) << 1);
}

#define FUNC(f)	((PyCFunction)(void (*)(void))(f))

PyMethodDef aloop_io_methods[] = {
	{ "add_reader", FUNC(LoopCore_add_reader), METH_FASTCALL, NULL },
	{ "add_writer", FUNC(LoopCore_add_writer), METH_FASTCALL, NULL },
	{ "_add_reader", FUNC(LoopCore__add_reader), METH_FASTCALL, NULL },
	{ "_add_writer", FUNC(LoopCore__add_writer), METH_FASTCALL, NULL },
	{ "remove_reader", LoopCore_remove_reader, METH_O, NULL },
	{ "remove_writer", LoopCore_remove_writer, METH_O, NULL },
	{ "_remove_reader", LoopCore__remove_reader, METH_O, NULL },
	{ "_remove_writer", LoopCore__remove_writer, METH_O, NULL },
	{ "_watched", LoopCore__watched, METH_O, NULL },
	{ NULL, NULL, 0, NULL }
};
