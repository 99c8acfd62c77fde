/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Intrusive doubly linked ring.  A node that is on no list points at itself,
 * so removing it twice is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/defs.h"

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(l)	{ &(l), &(l) }

#define list_entry(p, type, member)	container_of(p, type, member)

/* Walk a list; the current node may be removed, no other may. */
#define list_foreach_safe(pos, tmp, head)				\
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); \
	    (pos) = (tmp), (tmp) = (pos)->next)

static inline void
list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

/* At the end of the list; before `head` if that is a node. */
static inline void
list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Move all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void
list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
