/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Free lists of Python objects.  An object enters from its tp_dealloc, that
 * is, when nothing refers to it any more, so no request can ever see or wake
 * another's.  For types without GC whose instances are of one size; an
 * instance keeps its reference to its type while it lies in the pool.
 */
#ifndef PY_POOL_H
#define PY_POOL_H

#include "py/py.h"

#include <stdint.h>

#define POOL_MAX	1000

struct pool {
	const char	*name;
	size_t		 len;
	uint64_t	 hits, misses;
	uint64_t	 in_use, peak;
	PyObject	*objects[POOL_MAX];
};

/* New reference to an object whose own members are those of its last use
 * (all zero when it is new). NULL with MemoryError. */
static inline PyObject *
pool_get(struct pool *p, PyTypeObject *type)
{
	PyObject *o;

	if (p->len > 0) {
		p->hits++;
		o = p->objects[--p->len];
		_Py_NewReference(o);
	} else {
		p->misses++;
		o = PyObject_Calloc(1, (size_t)type->tp_basicsize);
		if (o == NULL)
			return PyErr_NoMemory();
		PyObject_Init(o, type);
	}
	if (++p->in_use > p->peak)
		p->peak = p->in_use;
	return o;
}

/* From tp_dealloc: true if the object was kept; else the caller releases its
 * members and calls pool_discard. */
static inline bool
pool_put(struct pool *p, PyObject *o)
{
	p->in_use--;
	if (p->len == POOL_MAX)
		return false;
	p->objects[p->len++] = o;
	return true;
}

static inline void
pool_discard(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);

	PyObject_Free(o);
	Py_DECREF(type);
}

/* The next kept object, for the caller to release and discard; NULL: empty. */
static inline PyObject *
pool_drain(struct pool *p)
{
	return p->len > 0 ? p->objects[--p->len] : NULL;
}

#endif
