/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The commands of the control socket.  Those that take time are answered when
 * their outcome is known: their clients wait on a list that is looked through
 * whenever something has changed.
 */
#include "master/master_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "master/child.h"

#define PROGRESS_EVERY	(1 * NSEC_PER_SEC)
/* For former workers to say that they accept no more: one that hangs does not
 * say it, nor does it accept. */
#define DEAF_LIMIT	(1 * NSEC_PER_SEC)

enum wait_kind {
	WAIT_READY, WAIT_DRAINED,
	WAIT_SCALE, WAIT_RESTART,	/* is_done() knows */
	WAIT_RELOAD, WAIT_STOP,		/* they say it themselves */
	WAIT_TAKEOVER,			/* reloaded */
};

struct waiter {
	struct list		 node;
	struct master		*master;
	struct control_client	*client;
	enum wait_kind		 kind;
	pid_t			 pid;		/* RESTART: to be replaced */
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
	return true;
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
		return !fleet_is_renewing(f) && is_full(f);
	case WAIT_DRAINED:
		return !fleet_is_renewing(f) && leaving(f) == 0;
	case WAIT_SCALE:
		return is_full(f);
	case WAIT_RESTART:
		return !holds_seat(f, w->pid) && is_full(f);
	case WAIT_TAKEOVER:
		return true;
	default:
		return false;
	}
}

/* Done is done when what comes from now on meets the new workers only. */
static void
look(struct waiter *w)
{
	bool former_matter = w->kind >= WAIT_SCALE;

	if (!is_done(w))
		return;
	if (!former_matter || is_deaf(&w->master->fleet))
		finish_done(w);
	else if (!loop_timer_armed(&w->deaf_limit))
		loop_timer_set(w->master->loop, &w->deaf_limit,
		    mono_now() + DEAF_LIMIT);
}

static unsigned
in_flight(const struct master *m, const struct child *c)
{
	const struct stats_slot *slot = stats_slot(m->stats, c->slot);

	return (unsigned)relaxed_get(&slot->values[STAT_in_flight]);
}

/* "waiting for 2 new worker(s) to become ready, 3.2s" */
static void
describe(const struct waiter *w, char text[160])
{
	const struct fleet *f = &w->master->fleet;
	struct list *n;
	const struct child *c;
	unsigned running = 0, processes = 0;
	char age[VIEW_AGE_MAX];

	view_age(mono_now() - w->since, age);
	for (n = f->children.next; n != &f->children; n = n->next) {
		c = list_entry(n, struct child, node);
		processes++;
		if (c->seat == NULL || w->kind == WAIT_STOP)
			running += in_flight(w->master, c);
	}
	if (w->kind == WAIT_STOP)
		snprintf(text, 160, "waiting for %u worker(s) with %u "
		    "request(s) to finish, %s", processes, running, age);
	else if (w->kind == WAIT_DRAINED && !fleet_is_renewing(f))
		snprintf(text, 160, "waiting for %u former worker(s) with %u "
		    "request(s) to finish, %s", leaving(f), running, age);
	else if (fleet_is_renewing(f))
		snprintf(text, 160, "waiting for %u of %u new worker(s) to "
		    "start, %s", f->unready, f->next.nseats, age);
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

/* limit 0: for ever. Answered at once if there is nothing to wait for. */
static void
wait_for(struct master *m, struct control_client *client,
    const struct ctl_request *r, struct waiter like, nsec_t limit)
{
	struct waiter *w = malloc(sizeof(*w));

	if (w == NULL) {
		control_answer(client, CTL_R_FAILED, "%s", strerror(errno));
		return;
	}
	*w = like;
	w->master = m;
	w->client = client;
	w->since = mono_now();
	loop_timer_init(&w->limit, on_limit);
	loop_timer_init(&w->deaf_limit, on_deaf_limit);
	loop_timer_init(&w->progress, on_progress);
	list_append(&m->waiters, &w->node);
	if (limit > 0)
		loop_timer_set(m->loop, &w->limit, w->since + limit);
	if ((r->flags & CTL_F_PROGRESS) != 0 && !is_done(w))
		on_progress(m->loop, &w->progress);
	look(w);
}

/* ---- news --------------------------------------------------------------- */

void
command_check(struct master *m)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &m->waiters)
		look(list_entry(n, struct waiter, node));
}

void
command_on_exit(struct master *m, const struct child *c)
{
	struct list *n, *next;
	struct waiter *w;
	char text[400];

	if (c->served != 0 || m->stopping)
		return;
	snprintf(text, sizeof(text), "worker process [%d]: %s", (int)c->pid,
	    c->why);
	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->kind == WAIT_SCALE || w->kind == WAIT_RESTART)
			finish(w, CTL_R_FAILED, text);
	}
}

void
command_on_reload(struct master *m)
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
command_on_stop(struct master *m)
{
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->kind != WAIT_STOP && w->kind != WAIT_DRAINED)
			finish(w, CTL_R_BUSY, "asgid is stopping");
	}
}

void
command_on_end(struct master *m)
{
	struct list *n, *next;

	list_foreach_safe(n, next, &m->waiters)
		finish(list_entry(n, struct waiter, node), CTL_R_DONE, "");
}

static void
on_gone(struct control_client *client, void *arg)
{
	struct master *m = arg;
	struct list *n, *next;
	struct waiter *w;

	list_foreach_safe(n, next, &m->waiters) {
		w = list_entry(n, struct waiter, node);
		if (w->client == client)
			waiter_free(w);
	}
}

/* ---- commands ----------------------------------------------------------- */

typedef void command_f(struct master *, struct control_client *,
    const struct ctl_request *);

static void
answer_text(struct control_client *client, struct buf *text)
{
	control_answer_buf(client, CTL_R_DONE, text);
	buf_fini(text);
}

static void
do_status(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_status(m, (r->flags & CTL_F_JSON) != 0, &b);
	answer_text(client, &b);
}

static void
do_stats(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_stats(m, (r->flags & CTL_F_JSON) != 0 ? stats_json :
	    (r->flags & CTL_F_OPENMETRICS) != 0 ? stats_openmetrics :
	    stats_text, &b);
	answer_text(client, &b);
}

static void
do_workers(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;

	view_workers(m, r->flags, &b);
	answer_text(client, &b);
}

static void
do_reload(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	enum ctl_result_id result;
	struct buf why = BUF_INIT;
	char who[CONTROL_WHO_MAX];

	control_who(client, who);
	result = master_reload(m, who, &why);
	if (result == CTL_R_WAITING)
		wait_for(m, client, r, (struct waiter){ .kind = WAIT_RELOAD },
		    0);
	else
		control_answer_buf(client, result, &why);
	buf_fini(&why);
}

/* The waiter first: an empty fleet ends at once. */
static void
do_stop(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	wait_for(m, client, r, (struct waiter){ .kind = WAIT_STOP }, 0);
	master_stop(m, (r->flags & CTL_F_NOW) != 0);
}

static void
do_reopen(struct master *m, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	struct buf why = BUF_INIT;

	control_answer_buf(client, master_reopen(m, &why), &why);
	buf_fini(&why);
}

/* A decimal number; 0 if it is none, which no worker and no count is. */
static unsigned
number(const char *text)
{
	uint64_t n;

	return str_to_uint(str_of(text), &n) == 0 && n <= INT32_MAX ?
	    (unsigned)n : 0;
}

static void
do_scale(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf why = BUF_INIT;
	enum ctl_result_id result = master_scale(m, number(r->args[0]), &why);

	if (result == CTL_R_DONE)
		wait_for(m, client, r, (struct waiter){ .kind = WAIT_SCALE },
		    0);
	else
		control_answer_buf(client, result, &why);
	buf_fini(&why);
}

static void
do_restart_worker(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct child *c = fleet_find(&m->fleet, number(r->args[0]));

	if (c == NULL)
		control_answer(client, CTL_R_UNKNOWN, "no worker %s",
		    r->args[0]);
	else if (m->stopping || fleet_replace(&m->fleet, c) == -1)
		control_answer(client, CTL_R_CONFLICT, "worker %s is being "
		    "replaced already, or a reload is running", r->args[0]);
	else
		wait_for(m, client, r, (struct waiter){ .kind = WAIT_RESTART,
		    .pid = c->pid }, 0);
}

struct comparison {
	const struct conf	*from, *to;
	struct buf		*text;
};

/* "workers.count: 2 -> 4 (with new workers)" */
static void
on_difference(const char *key, enum conf_class class, void *arg)
{
	static const char *const effects[] = {
		[CONF_LIVE]	= "at once",
		[CONF_WORKER]	= "with new workers",
		[CONF_RESTART]	= "only by a restart",
	};
	struct comparison *c = arg;

	buf_printf(c->text, "%s: ", key);
	conf_print_one(c->from, key, c->text);
	buf_puts(c->text, " -> ");
	conf_print_one(c->to, key, c->text);
	buf_printf(c->text, " (%s)\n", effects[class]);
}

static void
do_check(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf text = BUF_INIT;
	struct conf *conf = reload_parse(&m->reload, &text);
	struct comparison c = { m->setup->conf, conf, &text };

	if (conf == NULL) {
		control_answer_buf(client, CTL_R_INVALID, &text);
		buf_fini(&text);
		return;
	}
	buf_reset(&text);
	if ((r->flags & CTL_F_DIFF) == 0)
		buf_puts(&text, "the configuration is valid\n");
	else if (conf_diff(c.from, c.to, on_difference, &c) == CONF_SAME)
		buf_puts(&text, "nothing differs\n");
	conf_free(&conf);
	answer_text(client, &text);
}

static void
do_config(struct master *m, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	struct buf b = BUF_INIT;

	conf_print(m->setup->conf, &b);
	answer_text(client, &b);
}

static void
do_wait(struct master *m, struct control_client *client,
    const struct ctl_request *r)
{
	bool ready = strcmp(r->args[0], "ready") == 0;
	nsec_t limit = 0;

	if (r->nargs > 1 && (str_to_duration(r->args[1], &limit) == -1 ||
	    limit <= 0))
		control_answer(client, CTL_R_USAGE, "%s: expected a duration "
		    "(10s, 2m)", r->args[1]);
	else if (ready && m->stopping)
		control_answer(client, CTL_R_BUSY, "asgid is stopping");
	else
		wait_for(m, client, r, (struct waiter){ .kind = ready ?
		    WAIT_READY : WAIT_DRAINED }, limit);
}

static void
do_ping(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r UNUSED)
{
	control_answer(client, CTL_R_DONE, "pong");
}

static void
do_version(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	if ((r->flags & CTL_F_JSON) != 0) {
		json_open(&j, NULL, '{');
		json_str(&j, "asgid", PACKAGE_VERSION);
		json_close(&j, '}');
		buf_putc(&b, '\n');
	} else
		buf_puts(&b, "asgid " PACKAGE_VERSION "\n");
	answer_text(client, &b);
}

static void
do_help(struct master *m UNUSED, struct control_client *client,
    const struct ctl_request *r)
{
	const struct ctl_command *of = NULL;
	struct buf b = BUF_INIT;

	if (r->nargs > 0 && (of = ctl_find(r->args[0], &b)) == NULL) {
		control_answer(client, CTL_R_USAGE, "%s", buf_str(&b));
		buf_fini(&b);
		return;
	}
	ctl_help(of, &b);
	answer_text(client, &b);
}

static command_f *const commands[CTL_NCOMMANDS] = {
#define COMMAND(id, ...)	[CTL_##id] = do_##id,
#include "ctl/commands.def"
#undef COMMAND
};

static void
on_request(struct control_client *client, const struct ctl_request *r,
    void *arg)
{
	STAT_ADD(commands, 1);
	commands[r->command - ctl_commands](arg, client, r);
}

const struct control_ops command_ops = {
	.on_request	= on_request,
	.on_gone	= on_gone,
};
