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

#include "stats/stats.h"

#define POOL_MAX	1000

struct pool {
	enum stat_id	 hits, misses, in_use, peak;
	size_t		 len;
	PyObject	*objects[POOL_MAX];
};

/* The name of a pool in counters.def. */
#define POOL_INIT(pool)	\
	{ .hits = STAT_##pool##_hits, .misses = STAT_##pool##_misses, \
	    .in_use = STAT_##pool##_in_use, .peak = STAT_##pool##_peak }

/* New reference to an object whose own members are those of its last use
 * (all zero when it is new). NULL with MemoryError. */
static inline PyObject *
pool_get(struct pool *p, PyTypeObject *type)
{
	PyObject *o;

	if (p->len > 0) {
		stats_add(p->hits, 1);
		o = p->objects[--p->len];
		_Py_NewReference(o);
	} else {
		stats_add(p->misses, 1);
		o = PyObject_Calloc(1, (size_t)type->tp_basicsize);
		if (o == NULL)
			return PyErr_NoMemory();
		PyObject_Init(o, type);
	}
	stats_add_peak(p->in_use, p->peak);
	return o;
}

/* From tp_dealloc: true if the object was kept; else the caller releases its
 * members and calls pool_discard. */
static inline bool
pool_put(struct pool *p, PyObject *o)
{
	stats_sub(p->in_use, 1);
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

#endif
