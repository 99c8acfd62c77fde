/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the master shows of itself, as text for people and as JSON.  No worker
 * takes part: all of it is known here or stands in shared memory.
 */
#include "master/master_priv.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "master/child.h"
#include "stats/render.h"

/* Of one step of a worker's loop: longer is worth showing. */
#define BUSY_SHOWN	(1 * NSEC_PER_SEC)

static double
seconds(nsec_t t)
{
	return (double)t / (double)NSEC_PER_SEC;
}

static void
clock_text(time_t when, char text[32])
{
	struct tm tm;

	localtime_r(&when, &tm);
	strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

/* ---- status ------------------------------------------------------------- */

static const char *
state_of(const struct master *m)
{
	if (m->stopping)
		return "stopping";
	if (m->fleet.unborn > 0)
		return "starting";
	if (master_is_reloading(m))
		return "reloading";
	return m->fleet.serving > 0 ? "serving" : "no worker serves";
}

static const char *
reload_outcome(const struct master *m)
{
	return m->reload_result == CTL_R_WAITING ? "running" :
	    m->reload_result == CTL_R_DONE ? "done" : "failed";
}

static void
status_json(struct master *m, struct buf *to)
{
	const struct listeners *ls = &m->setup->listeners;
	struct json j = JSON_INIT(to);
	char text[LISTENER_TEXT_MAX];
	size_t i;

	json_open(&j, NULL, '{');
	json_str(&j, KEY(version), PACKAGE_VERSION);
	json_str(&j, KEY(state), state_of(m));
	json_int(&j, KEY(pid), getpid());
	json_num(&j, KEY(uptime_seconds), seconds(mono_now() - m->started));
	json_str(&j, KEY(application), m->setup->conf->app);
	if (*m->setup->conf->file != '\0')
		json_str(&j, KEY(configuration), m->setup->conf->file);
	json_uint(&j, KEY(generation), m->fleet.now.generation);
	json_uint(&j, KEY(workers_wanted), m->fleet.now.nseats);
	json_uint(&j, KEY(workers_serving), m->fleet.serving);
	json_open(&j, KEY(listening), '[');
	for (i = 0; i < ls->len; i++) {
		listener_text(&ls->at[i], text);
		json_str(&j, NULL, text);
	}
	json_close(&j, ']');
	if (m->metrics != NULL) {
		metrics_text(m->metrics, text);
		json_str(&j, KEY(metrics), text);
	}
	if (m->reload_at != 0) {
		json_open(&j, KEY(last_reload), '{');
		json_int(&j, KEY(time), m->reload_at);
		json_str(&j, KEY(by), m->reload_by);
		json_str(&j, KEY(result), reload_outcome(m));
		json_str(&j, KEY(text), buf_str(&m->reload_text));
		json_close(&j, '}');
	}
	json_close(&j, '}');
	buf_putc(to, '\n');
}

static void
status_text(struct master *m, struct buf *to)
{
	const struct listeners *ls = &m->setup->listeners;
	char text[LISTENER_TEXT_MAX], age[32], when[32];
	const char *result;
	size_t i;

	str_from_age(mono_now() - m->started, age);
	clock_text(m->started_at, when);
	buf_printf(to, "asgid %s, pid %d: %s\n", PACKAGE_VERSION,
	    (int)getpid(), state_of(m));
	buf_printf(to, "up             %s, since %s\n", age, when);
	buf_printf(to, "application    %s\n", m->setup->conf->app);
	if (*m->setup->conf->file != '\0')
		buf_printf(to, "configuration  %s\n", m->setup->conf->file);
	for (i = 0; i < ls->len; i++) {
		listener_text(&ls->at[i], text);
		buf_printf(to, "%-15s%s\n", i == 0 ? "listening" : "", text);
	}
	if (m->metrics != NULL) {
		metrics_text(m->metrics, text);
		buf_printf(to, "metrics        http://%s/metrics\n", text);
	}
	buf_printf(to, "workers        %u of %u serve, generation %u\n",
	    m->fleet.serving, m->fleet.now.nseats, m->fleet.now.generation);
	if (m->reload_at == 0)
		return;
	clock_text(m->reload_at, when);
	result = reload_outcome(m);
	buf_printf(to, "last reload    %s, by %s: %s\n", when, m->reload_by,
	    result);
	if (strcmp(result, "failed") == 0)
		buf_puts(to, buf_str(&m->reload_text));
}

void
view_status(struct master *m, bool json, struct buf *to)
{
	if (json)
		status_json(m, to);
	else
		status_text(m, to);
}

/* ---- workers ------------------------------------------------------------ */

/* One line: a seat's worker, or one that has none, or a seat without. */
struct row {
	const struct child	*child;		/* or NULL */
	const struct seat	*seat;		/* or NULL */
	nsec_t			 busy;
};

typedef void row_f(struct master *, const struct row *, void *arg);

static void
child_row(struct master *m, const struct child *c, row_f *cb, void *arg)
{
	struct row r = { .child = c, .seat = c->seat, .busy = child_busy(c) };

	cb(m, &r, arg);
}

/* The empty ones from this seat on, below a number; where it ends. */
static struct list *
empty_rows(struct master *m, struct list *n, unsigned id, row_f *cb, void *arg)
{
	const struct seat *s;

	for (; n != &m->fleet.now.seats; n = n->next) {
		s = list_entry(n, struct seat, node);
		if (s->id >= id)
			break;
		if (s->child == NULL && s->successor == NULL)
			cb(m, &(struct row){ .seat = s }, arg);
	}
	return n;
}

/* In the order of their numbers, as both lists are. */
static void
each_row(struct master *m, row_f *cb, void *arg)
{
	struct fleet *f = &m->fleet;
	struct list *n, *seats = f->now.seats.next;
	const struct child *c;

	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		seats = empty_rows(m, seats, c->id, cb, arg);
		child_row(m, c, cb, arg);
	}
	(void)empty_rows(m, seats, UINT_MAX, cb, arg);
}

struct state {
	char		 text[48];
	const char	*colour;
};

static void
row_state(const struct row *r, struct state *st)
{
	const struct child *c = r->child;
	nsec_t in = 0;
	char age[32];

	st->colour = "33";
	if (c == NULL) {
		in = r->seat->refill.when - mono_now();
		str_from_age(in > 0 ? in : 0, age);
		snprintf(st->text, sizeof(st->text), "next in %s", age);
	} else if (c->stopped != 0) {
		str_from_age(mono_now() - c->stopped, age);
		snprintf(st->text, sizeof(st->text), "stopped %s", age);
		st->colour = "31";
	} else if (r->busy > BUSY_SHOWN && c->state != CHILD_STARTING) {
		str_from_age(r->busy, age);
		snprintf(st->text, sizeof(st->text), "hangs %s", age);
		st->colour = "31";
	} else {
		snprintf(st->text, sizeof(st->text), "%s",
		    child_state_names[c->state]);
		if (c->state == CHILD_SERVING)
			st->colour = "32";
	}
}

static void
end_text(const struct seat *s, char text[128])
{
	char age[32];

	*text = '\0';
	if (s == NULL || s->last_when == 0)
		return;
	str_from_age(mono_now() - s->last_when, age);
	snprintf(text, 128, "%u, last: %s, %s ago", s->ends, s->last_end,
	    age);
}

static uint64_t
connections(const struct stats_slot *slot)
{
	return stats_value(slot, STAT_conns_active) +
	    stats_value(slot, STAT_conns_idle);
}

struct table {
	struct buf	*to;
	bool		 colour;
};

static void
row_text(struct master *m, const struct row *r, void *arg)
{
	const struct child *c = r->child;
	const struct stats_slot *slot;
	struct table *t = arg;
	struct state st;
	char age[32], end[128];
	uint64_t resident;
	nsec_t cpu;

	row_state(r, &st);
	end_text(r->seat, end);
	if (c == NULL) {
		buf_printf(t->to, "%3u %8s %4u ", r->seat->id, "-",
		    r->seat->cohort->generation);
	} else
		buf_printf(t->to, "%3u %8d %4u ", c->id, (int)c->pid,
		    c->generation);
	if (t->colour)
		buf_printf(t->to, "\033[%sm%-14s\033[0m", st.colour, st.text);
	else
		buf_printf(t->to, "%-14s", st.text);
	if (c == NULL) {
		buf_printf(t->to, "%56s%s\n", "", end);
		return;
	}
	slot = stats_slot(m->stats, c->slot);
	(void)stats_process(c->pid, &resident, &cpu);
	str_from_age(mono_now() - c->born, age);
	buf_printf(t->to, " %8s %10" PRIu64 " %7" PRIu64 " %6" PRIu64
	    " %7.1fM %8.2fs  %s\n", age, stats_value(slot, STAT_requests),
	    stats_value(slot, STAT_in_flight), connections(slot),
	    (double)resident / 1048576, seconds(cpu), end);
}

static struct stats_worker
told_of(const struct child *c, nsec_t now)
{
	return (struct stats_worker){
		.slot = c->slot, .id = c->id, .pid = c->pid,
		.generation = c->generation,
		.state = child_state_names[c->state], .age = now - c->born,
	};
}

static void
put_seat(struct json *j, const struct seat *s, nsec_t now)
{
	json_uint(j, KEY(unexpected_ends), s->ends);
	if (s->last_when == 0)
		return;
	json_str(j, KEY(last_end), s->last_end);
	json_num(j, KEY(last_end_age_seconds), seconds(now - s->last_when));
}

static void
row_json(struct master *m, const struct row *r, void *arg)
{
	const struct child *c = r->child;
	struct json *j = arg;
	struct stats_view v = { .segment = m->stats, .now = mono_now() };
	struct stats_worker w;

	json_open(j, NULL, '{');
	if (c != NULL) {
		w = told_of(c, v.now);
		stats_json_worker(&v, &w, j);
		json_num(j, KEY(stopped_seconds), c->stopped == 0 ? 0 :
		    seconds(v.now - c->stopped));
	} else {
		json_uint(j, KEY(id), r->seat->id);
		json_uint(j, KEY(generation), r->seat->cohort->generation);
		json_str(j, KEY(state), "waiting");
	}
	if (r->seat != NULL)
		put_seat(j, r->seat, v.now);
	json_close(j, '}');
}

void
view_workers(struct master *m, unsigned flags, struct buf *to)
{
	struct table t = { to, (flags & CTL_F_COLOR) != 0 };
	struct json j = JSON_INIT(to);

	if ((flags & CTL_F_JSON) != 0) {
		json_open(&j, NULL, '[');
		each_row(m, row_json, &j);
		json_close(&j, ']');
		buf_putc(to, '\n');
		return;
	}
	buf_printf(to, "%3s %8s %4s %-14s %8s %10s %7s %6s %8s %9s  %s\n",
	    "ID", "PID", "GEN", "STATE", "UP", "REQUESTS", "RUNNING", "CONNS",
	    "MEMORY", "CPU", "UNEXPECTED ENDS");
	each_row(m, row_text, &t);
}

/* ---- stats -------------------------------------------------------------- */

/* Every process, with a seat or without. */
static size_t
take_roster(const struct fleet *f, nsec_t now, struct stats_worker *to)
{
	const struct child *c;
	struct list *n;
	size_t len = 0;

	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		to[len++] = told_of(c, now);
	}
	return len;
}

void
view_stats(struct master *m, stats_render_f *render, struct buf *to)
{
	nsec_t now = mono_now();
	struct stats_worker *workers;
	struct list *n;
	size_t count = 0;

	for (n = m->fleet.children.next; n != &m->fleet.children; n = n->next)
		count++;
	if ((workers = calloc(count + 1, sizeof(*workers))) == NULL) {
		to->failed = true;
		return;
	}
	STAT_SET(workers_wanted, m->fleet.now.nseats);
	STAT_SET(workers_serving, m->fleet.serving);
	STAT_SET(generation, m->fleet.now.generation);
	render(&(struct stats_view){
		.segment = m->stats, .workers = workers,
		.nworkers = take_roster(&m->fleet, now, workers),
		.now = now, .uptime = now - m->started,
	}, to);
	free(workers);
}
