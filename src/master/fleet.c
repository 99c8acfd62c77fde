/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/fleet.h"

#include <errno.h>
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

/* A place to be filled. While a worker is being replaced it has two: the
 * one that serves, and its successor that starts. */
struct seat {
	struct fleet		*fleet;
	struct child		*child;
	struct child		*successor;
	struct loop_timer	 refill;
	nsec_t			 pause;		/* before the next refill */
	bool			 born;		/* has served once */
};

static const struct child_ops child_ops;

/* ---- filling --------------------------------------------------------- */

/* The lowest number that no living worker has. */
static unsigned
free_id(struct fleet *f)
{
	struct list *n;
	unsigned id = 1;
	bool taken;

	do {
		taken = false;
		for (n = f->children.next; n != &f->children; n = n->next)
			if (list_entry(n, struct child, node)->id == id)
				taken = true;
	} while (taken && id++ > 0);
	return id;
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

	if (f->stopping)
		return;
	c = child_new(loop, f->spawn, free_id(f), f->generation, &child_ops,
	    f);
	if (c == NULL) {
		log_err("cannot start a worker: %s", strerror(errno));
		if (f->unborn > 0)
			f->ops->on_failed(f, STATUS_RUNTIME);
		else
			schedule_refill(s, NULL);
		return;
	}
	c->seat = s;
	list_append(&f->children, &c->node);
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
	if (serving == f->serving)
		return;
	f->serving = serving;
	f->ops->on_change(f);
}

static void
on_ready(struct child *c)
{
	struct fleet *f = c->owner;
	struct seat *s = c->seat;
	struct child *old;

	if (!s->born) {
		s->born = true;
		f->unborn--;
	}
	child_go(c);
	if (s->successor == c) {
		old = s->child;
		s->child = c;
		s->successor = NULL;
		old->seat = NULL;
		child_drain(old);
	}
	count_serving(f);
}

static void
on_recycle(struct child *c)
{
	struct seat *s = c->seat;

	if (s == NULL || s->successor != NULL || s->fleet->stopping ||
	    loop_timer_armed(&s->refill))
		return;
	loop_timer_set(s->fleet->loop, &s->refill, mono_now());
}

/* The worker no longer serves its seat. */
static void
leave_seat(struct child *c)
{
	struct seat *s = c->seat;

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

static void
on_dead(struct child *c)
{
	struct fleet *f = c->owner;

	if (c->seat != NULL && !c->seat->born && !f->stopping) {
		log_crit("Worker process [%d] failed to start, "
		    "stopping asgid", (int)c->pid);
		f->ops->on_failed(f, c->exit_status == STATUS_RUNTIME ?
		    STATUS_RUNTIME : STATUS_APPLICATION);
	} else if (c->failed)
		log_err("Worker process [%d] failed to start", (int)c->pid);
	leave_seat(c);
	list_remove(&c->node);
	count_serving(f);
	child_free(&c);
	if (f->stopping && list_empty(&f->children))
		f->ops->on_empty(f);
}

static const struct child_ops child_ops = {
	.on_ready	= on_ready,
	.on_recycle	= on_recycle,
	.on_leaving	= on_leaving,
	.on_dead	= on_dead,
};

/* ---- life ------------------------------------------------------------ */

int
fleet_init(struct fleet *f, struct loop *loop, const struct spawn *spawn,
    unsigned count, const struct fleet_ops *ops)
{
	unsigned i;

	*f = (struct fleet){ .loop = loop, .spawn = spawn, .ops = ops,
	    .nseats = count, .unborn = count, .generation = 1 };
	list_init(&f->children);
	f->seats = calloc(count, sizeof(*f->seats));
	if (f->seats == NULL)
		return -1;
	for (i = 0; i < count; i++) {
		f->seats[i].fleet = f;
		loop_timer_init(&f->seats[i].refill, on_refill);
		loop_timer_set(loop, &f->seats[i].refill, mono_now());
	}
	return 0;
}

void
fleet_fini(struct fleet *f)
{
	unsigned i;

	for (i = 0; i < f->nseats; i++)
		loop_timer_del(f->loop, &f->seats[i].refill);
	free(f->seats);
	f->seats = NULL;
	f->nseats = 0;
}

void
fleet_stop(struct fleet *f, bool now)
{
	struct list *n, *next;
	unsigned i;

	f->stopping = true;
	for (i = 0; i < f->nseats; i++)
		loop_timer_del(f->loop, &f->seats[i].refill);
	list_foreach_safe(n, next, &f->children) {
		if (now)
			child_stop_now(list_entry(n, struct child, node));
		else
			child_drain(list_entry(n, struct child, node));
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

	list_foreach_safe(n, next, &f->children)
		child_reopen(list_entry(n, struct child, node), names, fds,
		    nfds);
}
