/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Binary min-heap of pointers whose elements know their own place, so that
 * any of them can be removed in O(log n).  HEAP_GENERATE defines static
 * functions for one element type:
 *
 *	HEAP_GENERATE(timer_heap, struct loop_timer, index, timer_less)
 *
 * The element's `index` member is HEAP_NONE while it is in no heap.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdint.h>
#include <stdlib.h>

#include "base/defs.h"

#define HEAP_NONE	SIZE_MAX

struct heap {
	void	**at;
	size_t	  len, cap;
};

static inline void
heap_fini(struct heap *h)
{
	free(h->at);
	h->at = NULL;
	h->len = h->cap = 0;
}

#define HEAP_GENERATE(name, type, index, less)				\
static inline void							\
name##_put(struct heap *h, size_t i, type *e)				\
{									\
	h->at[i] = e;							\
	e->index = i;							\
}									\
static inline void							\
name##_up(struct heap *h, size_t i, type *e)				\
{									\
	while (i > 0 && less(e, (type *)h->at[(i - 1) / 2])) {		\
		name##_put(h, i, h->at[(i - 1) / 2]);			\
		i = (i - 1) / 2;					\
	}								\
	name##_put(h, i, e);						\
}									\
static inline void							\
name##_down(struct heap *h, size_t i, type *e)				\
{									\
	size_t c;							\
									\
	while ((c = 2 * i + 1) < h->len) {				\
		if (c + 1 < h->len &&					\
		    less((type *)h->at[c + 1], (type *)h->at[c]))	\
			c++;						\
		if (!less((type *)h->at[c], e))				\
			break;						\
		name##_put(h, i, h->at[c]);				\
		i = c;							\
	}								\
	name##_put(h, i, e);						\
}									\
static inline type *							\
name##_min(struct heap *h)						\
{									\
	return h->len > 0 ? h->at[0] : NULL;				\
}									\
/* 0, or -1 when out of memory (the heap is unchanged) */		\
static inline int							\
name##_insert(struct heap *h, type *e)					\
{									\
	if (h->len == h->cap) {						\
		size_t cap = h->cap > 0 ? 2 * h->cap : 64;		\
		void **at = realloc(h->at, cap * sizeof(*at));		\
									\
		if (at == NULL)						\
			return -1;					\
		h->at = at;						\
		h->cap = cap;						\
	}								\
	name##_up(h, h->len++, e);					\
	return 0;							\
}									\
/* The element's key changed, or it is to go: O(log n) */		\
static inline void							\
name##_remove(struct heap *h, type *e)					\
{									\
	size_t i = e->index;						\
	type *last = h->at[--h->len];					\
									\
	e->index = HEAP_NONE;						\
	if (last == e)							\
		return;							\
	if (i > 0 && less(last, (type *)h->at[(i - 1) / 2]))		\
		name##_up(h, i, last);					\
	else								\
		name##_down(h, i, last);				\
}

#endif
