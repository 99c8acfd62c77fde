/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/fleet.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "master/child.h"

/* A worker that served for so long was a good one. */
#define SETTLED		(10 * NSEC_PER_SEC)
#define PAUSE_FIRST	(1 * NSEC_PER_SEC)
#define PAUSE_MAX	(60 * NSEC_PER_SEC)

enum { STATUS_RUNTIME = 1, STATUS_APPLICATION = 3 };

static const struct child_ops child_ops;
static void give_up(struct fleet *, const char *why);
static void fail(struct fleet *, int status);

static bool
is_next(const struct seat *s)
{
	return s->cohort == &s->fleet->next;
}

/* ---- filling --------------------------------------------------------- */

/* Before whom a new one stands: the children are in the order of their
 * numbers, and behind those that had the same before them. */
static struct list *
place_of(struct fleet *f, unsigned id)
{
	struct list *n = f->children.next;

	while (n != &f->children && list_entry(n, struct child, node)->id <= id)
		n = n->next;
	return n;
}

/*
 * How long to wait after this worker's end (NULL: there was not even a
 * process).  The first early death of a worker that had served costs
 * nothing; from then on 1 s, doubling, until one has settled.
 */
static nsec_t
next_pause(struct seat *s, const struct child *c)
{
	nsec_t pause = s->pause;

	if (c != NULL && c->served != 0 && mono_now() - c->served >= SETTLED) {
		s->pause = 0;
		return 0;
	}
	if (pause == 0 && (c == NULL || c->served == 0))
		pause = PAUSE_FIRST;
	if (pause == 0)
		s->pause = PAUSE_FIRST;
	else if (pause >= PAUSE_MAX / 2)
		s->pause = PAUSE_MAX;
	else
		s->pause = 2 * pause;
	return pause;
}

static void
schedule_refill(struct seat *s, const struct child *c)
{
	nsec_t pause = next_pause(s, c);
	char text[32];

	if (pause > 0) {
		str_from_duration(pause, text);
		log_info("Starting another worker in %s", text);
	}
	loop_timer_set(s->fleet->loop, &s->refill, mono_now() + pause);
}

static void
on_refill(struct loop *loop, struct loop_timer *t)
{
	struct seat *s = container_of(t, struct seat, refill);
	struct fleet *f = s->fleet;
	struct child *c;
	char why[128];

	if (f->stopping)
		return;
	c = child_new(loop, s->cohort->spawn, s->id,
	    s->cohort->generation, &child_ops, f);
	if (c == NULL) {
		snprintf(why, sizeof(why), "cannot start a worker: %s",
		    strerror(errno));
		if (is_next(s)) {
			give_up(f, why);
		} else if (f->unborn > 0) {
			fail(f, STATUS_RUNTIME);
		} else {
			schedule_refill(s, NULL);
			f->ops->on_unborn(f, why);
		}
		return;
	}
	c->seat = s;
	list_append(place_of(f, c->id), &c->node);
	if (s->child == NULL)
		s->child = c;
	else
		s->successor = c;
}

/* ---- what happens to workers ----------------------------------------- */

static void
count_serving(struct fleet *f)
{
	struct list *n;
	unsigned serving = 0;

	for (n = f->children.next; n != &f->children; n = n->next)
		if (list_entry(n, struct child, node)->state == CHILD_SERVING)
			serving++;
	f->serving = serving;
	f->ops->on_change(f);
}

/* ---- generations ----------------------------------------------------- */

static struct seat *
seat_new(struct fleet *f, struct cohort *co)
{
	struct seat *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fleet = f;
	s->cohort = co;
	loop_timer_init(&s->refill, on_refill);
	loop_timer_set(f->loop, &s->refill, mono_now());
	list_append(&co->seats, &s->node);
	s->id = ++co->nseats;
	return s;
}

/* Its workers live on without it. */
static void
seat_free(struct seat *s)
{
	if (s->child != NULL)
		s->child->seat = NULL;
	if (s->successor != NULL)
		s->successor->seat = NULL;
	loop_timer_del(s->fleet->loop, &s->refill);
	list_remove(&s->node);
	s->cohort->nseats--;
	free(s);
}

static void
cohort_clear(struct cohort *co)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &co->seats)
		seat_free(list_entry(n, struct seat, node));
	co->spawn = NULL;
}

static int
cohort_fill(struct fleet *f, struct cohort *co, const struct spawn *spawn,
    unsigned count)
{
	co->spawn = spawn;
	co->generation = ++f->generations;
	while (co->nseats < count)
		if (seat_new(f, co) == NULL) {
			cohort_clear(co);
			return -1;
		}
	return 0;
}

/* One that never served has nothing to finish; only one that is ready has
 * an application to shut down, and is given the time for it. */
static void
dismiss(struct child *c, enum child_cause cause)
{
	if (c->state == CHILD_STARTING)
		child_stop_now(c, cause);
	else
		child_drain(c, cause);
}

/* The workers of that generation, and of those before it. */
static void
drain_until(struct fleet *f, unsigned generation)
{
	struct list *n, *next;
	struct child *c;

	list_foreach_safe(n, next, &f->children) {
		c = list_entry(n, struct child, node);
		if (c->generation <= generation)
			dismiss(c, CAUSE_RELOAD);
	}
}

static void
give_up(struct fleet *f, const char *why)
{
	unsigned generation = f->next.generation;
	struct list *n, *next;
	struct child *c;

	cohort_clear(&f->next);
	list_foreach_safe(n, next, &f->children) {
		c = list_entry(n, struct child, node);
		if (c->generation == generation)
			dismiss(c, CAUSE_RELOAD);
	}
	f->ops->on_renewed(f, why);
}

/* All are ready: the new ones go before the old ones leave. */
static void
take_over(struct fleet *f)
{
	unsigned former = f->now.generation;
	struct list *n, *next;
	struct seat *s;

	cohort_clear(&f->now);
	f->now.spawn = f->next.spawn;
	f->now.generation = f->next.generation;
	list_foreach_safe(n, next, &f->next.seats) {
		s = list_entry(n, struct seat, node);
		list_remove(&s->node);
		list_append(&f->now.seats, &s->node);
		s->cohort = &f->now;
		f->now.nseats++;
		f->next.nseats--;
	}
	f->ops->on_switch(f);
	list_foreach_safe(n, next, &f->now.seats)
		child_go(list_entry(n, struct seat, node)->child);
	drain_until(f, former);
	f->ops->on_renewed(f, NULL);
	count_serving(f);
}

/* ---- what happens to workers, continued ------------------------------ */

static void
on_ready(struct child *c)
{
	struct fleet *f = c->owner;
	struct seat *s = c->seat;
	struct child *old;

	if (s == NULL)
		return;
	if (!s->born) {
		s->born = true;
		if (is_next(s)) {
			if (--f->unready == 0)
				take_over(f);
			return;
		}
		f->unborn--;
	}
	child_go(c);
	if (s->successor == c) {
		old = s->child;
		s->child = c;
		s->successor = NULL;
		old->seat = NULL;
		child_drain(old, old->cause);
	}
	count_serving(f);
}

static int
replace(struct child *c, enum child_cause cause)
{
	struct seat *s = c->seat;

	if (s == NULL || s->child != c || s->successor != NULL ||
	    s->fleet->stopping || loop_timer_armed(&s->refill)) {
		errno = EBUSY;
		return -1;
	}
	c->cause = cause;
	loop_timer_set(s->fleet->loop, &s->refill, mono_now());
	return 0;
}

static void
on_recycle(struct child *c)
{
	(void)replace(c, CAUSE_RECYCLED);
}

static void
on_hang(struct child *c)
{
	struct fleet *f = c->owner;

	f->ops->on_hang(f, c);
}

/* For who looks at the seat afterwards. */
static void
remember(const struct child *c)
{
	struct seat *s = c->seat;

	if (s == NULL || (c->cause < CAUSE_STARTUP && c->cause != CAUSE_NONE))
		return;
	s->ends++;
	s->last_when = mono_now();
	snprintf(s->last_end, sizeof(s->last_end), "%s", c->cause ==
	    CAUSE_HANG || c->cause == CAUSE_STARTUP ?
	    child_cause_names[c->cause] : c->end);
}

/* The worker no longer serves its seat. */
static void
leave_seat(struct child *c)
{
	struct seat *s = c->seat;
	char why[320];

	if (s != NULL && is_next(s)) {
		snprintf(why, sizeof(why), "worker process [%d]: %s",
		    (int)c->pid, *c->why != '\0' ? c->why : "stopped");
		give_up(s->fleet, why);		/* frees the seat */
		return;
	}
	c->seat = NULL;
	if (s == NULL)
		return;
	if (s->successor == c) {
		s->successor = NULL;
	} else {
		s->child = s->successor;
		s->successor = NULL;
		if (s->child != NULL || loop_timer_armed(&s->refill))
			return;
	}
	if (!s->fleet->stopping)
		schedule_refill(s, c);
}

static void
on_leaving(struct child *c)
{
	leave_seat(c);
	count_serving(c->owner);
}

/* What its workers are made from stays: there may be some again. */
void
fleet_let_go(struct fleet *f)
{
	const struct spawn *spawn = f->now.spawn;

	assert(f->patient && !fleet_is_renewing(f));
	cohort_clear(&f->now);
	f->now.spawn = spawn;
	f->unborn = 0;
	drain_until(f, f->now.generation);
}

/* The first start is over, in vain. */
static void
fail(struct fleet *f, int status)
{
	if (f->patient)
		fleet_let_go(f);
	f->ops->on_failed(f, status);
}

static void
on_dead(struct child *c)
{
	struct fleet *f = c->owner;

	if (c->seat != NULL && !is_next(c->seat) && !c->seat->born &&
	    !f->stopping) {
		log_crit("Worker process [%d] failed to start%s", (int)c->pid,
		    f->patient ? "" : ", stopping asgid");
		fail(f, c->exit_status == STATUS_RUNTIME ? STATUS_RUNTIME :
		    STATUS_APPLICATION);
	} else if (c->failed)
		log_err("Worker process [%d] failed to start", (int)c->pid);
	remember(c);
	f->ops->on_exit(f, c);
	leave_seat(c);
	child_free(&c);
	count_serving(f);
	if (f->stopping && list_empty(&f->children))
		f->ops->on_empty(f);
}

static const struct child_ops child_ops = {
	.on_ready	= on_ready,
	.on_recycle	= on_recycle,
	.on_leaving	= on_leaving,
	.on_hang	= on_hang,
	.on_dead	= on_dead,
};

/* ---- life ------------------------------------------------------------ */

int
fleet_init(struct fleet *f, struct loop *loop, const struct spawn *spawn,
    unsigned count, const struct fleet_ops *ops)
{
	*f = (struct fleet){ .loop = loop, .ops = ops, .unborn = count };
	list_init(&f->children);
	list_init(&f->now.seats);
	list_init(&f->next.seats);
	return cohort_fill(f, &f->now, spawn, count);
}

void
fleet_fini(struct fleet *f)
{
	cohort_clear(&f->next);
	cohort_clear(&f->now);
}

int
fleet_renew(struct fleet *f, const struct spawn *spawn, unsigned count)
{
	f->unready = count;
	return cohort_fill(f, &f->next, spawn, count);
}

bool
fleet_is_renewing(const struct fleet *f)
{
	return f->next.nseats > 0;
}

static int
add(struct fleet *f)
{
	struct seat *s = seat_new(f, &f->now);

	if (s == NULL)
		return -1;
	/* its failure is no failed start of the daemon */
	s->born = true;
	return 0;
}

static void
take_away(struct fleet *f)
{
	struct seat *s = list_entry(f->now.seats.prev, struct seat, node);
	struct child *child = s->child, *successor = s->successor;

	assert(s->id == f->now.nseats);
	if (!s->born)
		f->unborn--;
	seat_free(s);
	if (child != NULL)
		dismiss(child, CAUSE_SCALED);
	if (successor != NULL)
		dismiss(successor, CAUSE_SCALED);
}

int
fleet_scale(struct fleet *f, unsigned count)
{
	while (f->now.nseats < count)
		if (add(f) == -1)
			return -1;
	while (f->now.nseats > count)
		take_away(f);
	count_serving(f);
	return 0;
}

int
fleet_replace(struct fleet *f, struct seat *s)
{
	if (fleet_is_renewing(f) || s->child == NULL) {
		errno = EBUSY;
		return -1;
	}
	return replace(s->child, CAUSE_ASKED);
}

struct seat *
fleet_seat(struct fleet *f, unsigned id)
{
	struct list *n;
	struct seat *s;

	for (n = f->now.seats.next; n != &f->now.seats; n = n->next) {
		s = list_entry(n, struct seat, node);
		if (s->id == id)
			return s;
	}
	return NULL;
}

void
fleet_check(struct fleet *f)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &f->children)
		child_check(list_entry(n, struct child, node));
}

void
fleet_stop(struct fleet *f, bool now)
{
	struct list *n, *next;

	f->stopping = true;
	cohort_clear(&f->next);
	list_foreach_safe(n, next, &f->now.seats)
		loop_timer_del(f->loop, &list_entry(n, struct seat,
		    node)->refill);
	list_foreach_safe(n, next, &f->children) {
		if (now)
			child_stop_now(list_entry(n, struct child, node),
			    CAUSE_STOP);
		else
			dismiss(list_entry(n, struct child, node), CAUSE_STOP);
	}
	if (list_empty(&f->children))
		f->ops->on_empty(f);
}

bool
fleet_has(struct fleet *f, pid_t pid)
{
	struct list *n;

	for (n = f->children.next; n != &f->children; n = n->next)
		if (list_entry(n, struct child, node)->pid == pid)
			return true;
	return false;
}

void
fleet_reopen(struct fleet *f, const char *names, const int *fds, size_t nfds)
{
	struct list *n, *next;
	struct child *c;

	list_foreach_safe(n, next, &f->children) {
		c = list_entry(n, struct child, node);
		if (c->generation <= f->now.generation)
			child_reopen(c, names, fds, nfds);
	}
}
