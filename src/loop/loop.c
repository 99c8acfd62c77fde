/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The turn, timers and works.  See loop.h for the order of a turn.
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/defs.h"
#include "loop/impl.h"
#include "stats/stats.h"

/* ---- timers --------------------------------------------------------- */

/* In `index`: the place is one of loop->due, not of the heap. */
#define DUE_BIT		(SIZE_MAX / 2 + 1)

static inline bool
timer_less(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->when != b->when ? a->when < b->when : a->seq < b->seq;
}

HEAP_GENERATE(timer_heap, struct loop_timer, index, timer_less)

void
loop_timer_init(struct loop_timer *t, loop_timer_f *cb)
{
	t->when = NSEC_NEVER;
	t->seq = 0;
	t->index = HEAP_NONE;
	t->cb = cb;
}

bool
loop_timer_armed(const struct loop_timer *t)
{
	return t->index != HEAP_NONE;
}

void
loop_timer_del(struct loop *l, struct loop_timer *t)
{
	if (t->index == HEAP_NONE)
		return;
	if (t->index & DUE_BIT) {
		l->due[t->index & ~DUE_BIT] = NULL;
		t->index = HEAP_NONE;
	} else
		timer_heap_remove(&l->timers, t);
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, nsec_t when)
{
	loop_timer_del(l, t);
	t->when = when;
	t->seq = l->timer_seq++;
	if (timer_heap_insert(&l->timers, t) == -1)
		abort();
}

/*
 * Move what is due out of the heap, in order.  With no memory for it, fewer
 * timers run in this turn and the rest in the next ones.
 */
static void
timers_collect(struct loop *l)
{
	struct loop_timer *t;

	while ((t = timer_heap_min(&l->timers)) != NULL && t->when <= l->now) {
		if (l->ndue == l->due_cap) {
			size_t cap = l->due_cap > 0 ? 2 * l->due_cap : 64;
			struct loop_timer **due;

			due = reallocarray(l->due, cap, sizeof(*due));
			if (due == NULL)
				return;
			l->due = due;
			l->due_cap = cap;
		}
		timer_heap_remove(&l->timers, t);
		t->index = DUE_BIT | l->ndue;
		l->due[l->ndue++] = t;
	}
}

static void
timers_run(struct loop *l)
{
	struct loop_timer *t;
	size_t i;

	timers_collect(l);
	for (i = 0; i < l->ndue; i++) {
		t = l->due[i];
		if (t == NULL)
			continue;
		t->index = HEAP_NONE;
		t->cb(l, t);
	}
	l->ndue = 0;
}

/* ---- works ---------------------------------------------------------- */

void
loop_work_init(struct loop_work *w, enum loop_phase phase, loop_work_f *cb)
{
	list_init(&w->node);
	w->phase = phase;
	w->cb = cb;
}

void
loop_work_add(struct loop *l, struct loop_work *w)
{
	if (list_empty(&w->node))
		list_append(&l->works[w->phase], &w->node);
}

void
loop_work_del(struct loop *l UNUSED, struct loop_work *w)
{
	list_remove(&w->node);
}

/* Only what is scheduled now: a work that adds itself runs next turn. */
static void
works_run(struct loop *l, enum loop_phase phase)
{
	struct list todo = LIST_INIT(todo);
	struct loop_work *w;

	list_splice(&todo, &l->works[phase]);
	while (!list_empty(&todo)) {
		w = list_entry(todo.next, struct loop_work, node);
		list_remove(&w->node);
		w->cb(l, w);
	}
}

static bool
works_pending(const struct loop *l)
{
	enum loop_phase p;

	for (p = 0; p < LOOP_NPHASE; p++)
		if (!list_empty(&l->works[p]))
			return true;
	return false;
}

/* ---- hooks ---------------------------------------------------------- */

static int
hook_ready(void *arg UNUSED)
{
	return 0;
}

static bool
hook_pending(void *arg UNUSED)
{
	return false;
}

static void
hook_wait_enter(void *arg UNUSED, bool may_block UNUSED)
{
}

static int
hook_wait_leave(void *arg UNUSED)
{
	return 0;
}

static const struct loop_hooks no_hooks = {
	.ready		= hook_ready,
	.pending	= hook_pending,
	.wait_enter	= hook_wait_enter,
	.wait_leave	= hook_wait_leave,
};

void
loop_set_hooks(struct loop *l, const struct loop_hooks *hooks, void *arg)
{
	l->hooks = hooks != NULL ? hooks : &no_hooks;
	l->hooks_arg = arg;
}

/* ---- the turn ------------------------------------------------------- */

void
loop_count(struct loop *l)
{
	l->counted = true;
}

/* Waiting for the hooks, for the GIL that is, is part of the turn. */
void
loop_turn_begins(struct loop *l, nsec_t now)
{
	l->began = now;
	if (l->counted)
		stats_turn_begins(now);
}

static void
turn_ends(struct loop *l, nsec_t now)
{
	if (l->counted && l->began != 0)
		STAT_OBSERVE(turn, now - l->began);
	l->began = 0;
}

nsec_t
loop_now(const struct loop *l)
{
	return l->now;
}

bool
loop_running(const struct loop *l)
{
	return l->running;
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}

/* How long step 5 may wait, the turn having ended `now`. */
static nsec_t
wait_time(struct loop *l, nsec_t now)
{
	const struct loop_timer *t;

	if (works_pending(l) || l->hooks->pending(l->hooks_arg))
		return 0;
	t = timer_heap_min(&l->timers);
	if (t == NULL)
		return NSEC_NEVER;
	return t->when > now ? t->when - now : 0;
}

static int
turns(struct loop *l)
{
	nsec_t timeout = 0, now;

	for (;;) {
		if (loop_io_turn(l, timeout) == -1)		/* 5, 6 */
			return -1;
		timers_run(l);					/* 1 */
		if (l->hooks->ready(l->hooks_arg) == -1)	/* 2 */
			return -1;
		works_run(l, LOOP_ENGINE);			/* 3 */
		works_run(l, LOOP_DEFERRED);			/* 4 */
		works_run(l, LOOP_FLUSH);
		if (l->stopping)
			return 0;
		now = mono_now();
		turn_ends(l, now);
		timeout = wait_time(l, now);
	}
}

int
loop_run(struct loop *l)
{
	int rc;

	if (l->running) {
		errno = EBUSY;
		return -1;
	}
	l->running = true;
	rc = turns(l);
	turn_ends(l, mono_now());
	if (l->counted)
		stats_turn_over();
	l->running = false;
	l->stopping = false;
	return rc;
}

/* ---- life ----------------------------------------------------------- */

struct loop *
loop_new(void)
{
	struct loop *l;
	enum loop_phase p;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->hooks = &no_hooks;
	l->now = mono_now();
	atomic_init(&l->wake, WAKE_AWAKE);
	for (p = 0; p < LOOP_NPHASE; p++)
		list_init(&l->works[p]);
	if (loop_io_open(l) == -1) {
		free(l);
		return NULL;
	}
	return l;
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	loop_signal_close(l);
	loop_io_close(l);
	heap_fini(&l->timers);
	free(l->due);
	free(l);
}
