/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands that take time.  Their clients wait on a list that is looked
 * through whenever something has changed, so that what they are told is what
 * the fleet is, and no state has to be kept in step with it.
 */
#include "master/master_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "master/child.h"

#define PROGRESS_EVERY	(1 * NSEC_PER_SEC)
/* For former workers to say that they accept no more: one that hangs does not
 * say it, nor does it accept. */
#define DEAF_LIMIT	(1 * NSEC_PER_SEC)

struct waiter {
	struct list		 node;
	struct master		*master;
	struct control_client	*client;
	enum wait_kind		 kind;
	int			 what;		/* see wait_for() */
	char			*text;		/* of the answer, or NULL */
	nsec_t			 since;
	struct loop_timer	 limit;
	struct loop_timer	 deaf_limit;
	struct loop_timer	 progress;
};

/* ---- waiting ------------------------------------------------------------ */

static void
waiter_free(struct waiter *w)
{
	loop_timer_del(w->master->loop, &w->limit);
	loop_timer_del(w->master->loop, &w->deaf_limit);
	loop_timer_del(w->master->loop, &w->progress);
	list_remove(&w->node);
	free(w->text);
	free(w);
}

static void
finish(struct waiter *w, enum ctl_result_id id, const char *text)
{
	control_answer(w->client, id, "%s", text);
	waiter_free(w);
}

static void
finish_done(struct waiter *w)
{
	finish(w, CTL_R_DONE, w->text != NULL ? w->text : "");
}

static void
on_limit(struct loop *loop UNUSED, struct loop_timer *t)
{
	finish(container_of(t, struct waiter, limit), CTL_R_TIMEOUT,
	    "timed out");
}

static void
on_deaf_limit(struct loop *loop UNUSED, struct loop_timer *t)
{
	finish_done(container_of(t, struct waiter, deaf_limit));
}

/* Each seat has a worker that serves. */
static bool
is_full(const struct fleet *f)
{
	struct list *n;
	const struct seat *s;

	for (n = f->now.seats.next; n != &f->now.seats; n = n->next) {
		s = list_entry(n, struct seat, node);
		if (s->child == NULL || s->child->state != CHILD_SERVING)
			return false;
	}
	return f->now.nseats > 0;
}

/* No process without a seat accepts connections any more. */
static bool
is_deaf(const struct fleet *f)
{
	struct list *n;
	const struct child *c;

	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		if (c->seat == NULL && c->served != 0 && !c->deaf)
			return false;
	}
	return true;
}

/* Processes that serve no seat, of whatever generation. */
static unsigned
leaving(const struct fleet *f)
{
	struct list *n;
	unsigned count = 0;

	for (n = f->children.next; n != &f->children; n = n->next)
		count += list_entry(n, struct child, node)->seat == NULL;
	return count;
}

static bool
holds_seat(const struct fleet *f, pid_t pid)
{
	struct list *n;
	const struct child *c;

	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		if (c->pid == pid)
			return c->seat != NULL;
	}
	return false;
}

static bool
is_done(const struct waiter *w)
{
	const struct fleet *f = &w->master->fleet;

	switch (w->kind) {
	case WAIT_READY:
		return !fleet_is_renewing(f) && is_full(f) &&
		    w->master->reload.lookup == NULL;
	case WAIT_DRAINED:
		return !fleet_is_renewing(f) && leaving(f) == 0;
	case WAIT_SCALE:
		return is_full(f);
	case WAIT_RESTART:
		return !holds_seat(f, w->what) && is_full(f);
	case WAIT_TAKEOVER:
		return true;
	default:
		return false;
	}
}

/* Somebody else has asked for another number of workers. */
static void
supersede(struct waiter *w)
{
	char text[64];

	snprintf(text, sizeof(text), "meanwhile %u worker(s) were asked for",
	    w->master->fleet.now.nseats);
	finish(w, CTL_R_CONFLICT, text);
}

/* Done is done when what comes from now on meets the new workers only. */
static void
look(struct waiter *w)
{
	const struct fleet *f = &w->master->fleet;
	bool former_matter = w->kind >= WAIT_SCALE;

	if (w->kind == WAIT_SCALE && f->now.nseats != (unsigned)w->what) {
		supersede(w);
		return;
	}
	if (!is_done(w))
		return;
	if (!former_matter || is_deaf(f))
		finish_done(w);
	else if (!loop_timer_armed(&w->deaf_limit))
		loop_timer_set(w->master->loop, &w->deaf_limit,
		    mono_now() + DEAF_LIMIT);
}

static unsigned
in_flight(const struct master *m, const struct child *c)
{
	const struct stats_slot *slot = stats_slot(m->stats, c->slot);

	return (unsigned)stats_value(slot, STAT_in_flight);
}

/* "waiting for 2 new worker(s) to become ready, 3.2s" */
static void
describe(const struct waiter *w, char text[160])
{
	const struct fleet *f = &w->master->fleet;
	struct list *n;
	const struct child *c;
	unsigned running = 0, processes = 0;
	char age[32];

	str_from_age(mono_now() - w->since, age);
	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		processes++;
		if (c->seat == NULL || w->kind == WAIT_STOP)
			running += in_flight(w->master, c);
	}
	if (w->kind == WAIT_STOP)
		snprintf(text, 160, "waiting for %u worker(s) with %u "
		    "request(s) to finish, %s", processes, running, age);
	else if ((w->kind == WAIT_DRAINED || w->master->alone) &&
	    !fleet_is_renewing(f))
		snprintf(text, 160, "waiting for %u former worker(s) with %u "
		    "request(s) to finish, %s", leaving(f), running, age);
	else if (w->master->reload.lookup != NULL)
		snprintf(text, 160, "waiting for users, groups and hosts to "
		    "be looked up, %s", age);
	else if (fleet_is_renewing(f))
		snprintf(text, 160, "waiting for %u of %u new worker(s) to "
		    "start, %s", f->unready, f->next.nseats, age);
	else if (w->kind == WAIT_RESTART && holds_seat(f, w->what))
		snprintf(text, 160, "waiting for the successor of worker "
		    "process [%d] to start, %s", w->what, age);
	else
		snprintf(text, 160, "%u of %u worker(s) serve, %s",
		    f->serving, f->now.nseats, age);
}

static void
on_progress(struct loop *loop, struct loop_timer *t)
{
	struct waiter *w = container_of(t, struct waiter, progress);
	char text[160];

	describe(w, text);
	control_progress(w->client, text);
	loop_timer_set(loop, t, mono_now() + PROGRESS_EVERY);
}

void
wait_for(struct master *m, struct control_client *client,
    const struct ctl_request *r, enum wait_kind kind, int what, nsec_t limit)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		control_answer(client, CTL_R_FAILED, "%s", strerror(errno));
		return;
	}
	w->kind = kind;
	w->what = what;
	w->master = m;
	w->client = client;
	w->since = mono_now();
	loop_timer_init(&w->limit, on_limit);
	loop_timer_init(&w->deaf_limit, on_deaf_limit);
	loop_timer_init(&w->progress, on_progress);
	list_append(&m->waiters, &w->node);
	if (limit > 0)
		loop_timer_set(m->loop, &w->limit,
		    mono_add(w->since, limit));
	if ((r->flags & CTL_F_PROGRESS) != 0 && !is_done(w))
		on_progress(m->loop, &w->progress);
	look(w);
}

/* ---- news --------------------------------------------------------------- */

void
wait_check(struct master *m)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &m->waiters)
		look(list_entry(n, struct waiter, node));
}

void
wait_on_unborn(struct master *m, const char *why)
{
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->kind == WAIT_SCALE || w->kind == WAIT_RESTART)
			finish(w, CTL_R_FAILED, why);
	}
}

void
wait_on_exit(struct master *m, const struct child *c)
{
	char text[400];

	if (c->served != 0 || c->seat == NULL ||
	    c->seat->cohort != &m->fleet.now || m->stopping)
		return;
	snprintf(text, sizeof(text), "worker process [%d]: %s", (int)c->pid,
	    c->why);
	wait_on_unborn(m, text);
}

void
wait_on_reload(struct master *m)
{
	const char *text = buf_str(&m->reload_text);
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->kind != WAIT_RELOAD)
			continue;
		if (m->reload_result != CTL_R_DONE) {
			finish(w, m->reload_result, text);
			continue;
		}
		w->kind = WAIT_TAKEOVER;
		w->text = strdup(text);
		look(w);
	}
}

void
wait_on_stop(struct master *m)
{
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->kind == WAIT_TAKEOVER)
			finish_done(w);
		else if (w->kind != WAIT_STOP && w->kind != WAIT_DRAINED)
			finish(w, CTL_R_BUSY, STOPPING_TEXT);
	}
}

void
wait_on_end(struct master *m)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &m->waiters)
		finish(list_entry(n, struct waiter, node), CTL_R_DONE, "");
}

void
wait_forget(struct master *m, const struct control_client *client)
{
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->client == client)
			waiter_free(w);
	}
}
