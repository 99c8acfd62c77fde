/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/child.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "proc/deadline.h"
#include "stats/render.h"
#include "stats/stats.h"

#define STOP_NOW_LIMIT	(2 * NSEC_PER_SEC)
/* From "stopped", or a closed channel, to the end of the process. */
#define EXIT_LIMIT	(5 * NSEC_PER_SEC)

/* timeouts.hang is looked at so many times as often. */
#define HANG_CHECKS	4

#define WHO		"Worker process [%d]"

const char *const child_state_names[] = {
	[CHILD_STARTING]	= "starting",
	[CHILD_READY]		= "ready",
	[CHILD_SERVING]		= "serving",
	[CHILD_DRAINING]	= "draining",
	[CHILD_STOPPING]	= "stopping",
	[CHILD_DEAD]		= "dead",
	[CHILD_NSTATE]		= NULL,
};

const char *const child_cause_names[] = {
	[CAUSE_NONE]		= "unknown",
	[CAUSE_RECYCLED]	= "recycled",
	[CAUSE_RELOAD]		= "reload",
	[CAUSE_SCALED]		= "scaled",
	[CAUSE_ASKED]		= "asked",
	[CAUSE_STOP]		= "stop",
	[CAUSE_STARTUP]		= "startup",
	[CAUSE_CRASH]		= "crash",
	[CAUSE_KILLED]		= "killed",
	[CAUSE_EXIT]		= "exit",
	[CAUSE_HANG]		= "hang",
	[CAUSE_DEADLINE]	= "deadline",
	[CAUSE_NCAUSE]		= NULL,
};

/* ---- state and deadline ------------------------------------------------- */

static void
set_state(struct child *c, enum child_state state)
{
	log_debug("worker %u [%d]: %s -> %s", c->id, (int)c->pid,
	    child_state_names[c->state], child_state_names[state]);
	c->state = state;
}

static void
set_deadline(struct child *c, nsec_t in)
{
	loop_timer_set(c->loop, &c->deadline, mono_add(mono_now(), in));
}

static void
send_signal(struct child *c, int signo)
{
	/* not yet reaped, so the number is still its */
	if (kill(c->pid, signo) == -1)
		log_warn("worker [%d]: signal %d: %s", (int)c->pid, signo,
		    strerror(errno));
}

static void
kill_it(struct child *c, enum child_cause cause)
{
	c->killed = c->hurried = true;
	c->cause = cause;
	set_state(c, CHILD_STOPPING);
	send_signal(c, SIGKILL);
}

static void
on_deadline(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct child *c = container_of(t, struct child, deadline);
	enum child_cause cause = CAUSE_DEADLINE;
	char text[32];

	switch (c->state) {
	case CHILD_STARTING:
		cause = CAUSE_STARTUP;
		str_from_duration(c->startup, text);
		log_err(WHO " is not ready after %s (timeouts.startup), "
		    "killing it", (int)c->pid, text);
		snprintf(c->why, sizeof(c->why), "not ready after %s "
		    "(timeouts.startup)", text);
		break;
	case CHILD_DRAINING:
		str_from_duration(c->graceful, text);
		log_err(WHO " did not stop within %s (timeouts.graceful), "
		    "killing it", (int)c->pid, text);
		break;
	default:
		log_err(WHO " does not exit, killing it", (int)c->pid);
		break;
	}
	kill_it(c, cause);
}

/* ---- hanging ------------------------------------------------------------ */

nsec_t
child_busy(const struct child *c)
{
	return stats_busy(stats_slot(c->stats, c->slot), mono_now());
}

/* Only with timeouts.hang: who does not ask for it is never woken. */
static void
on_watchdog(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct child *c = container_of(t, struct child, watchdog);
	nsec_t now = mono_now(), busy = child_busy(c);
	char text[32];

	if (c->stopped != 0 && now - c->stopped > busy)
		busy = now - c->stopped;
	if (c->state >= CHILD_STOPPING)
		return;
	if (busy < c->hang || c->state == CHILD_STARTING) {
		loop_timer_set(c->loop, t, now + c->hang / HANG_CHECKS);
		return;
	}
	str_from_duration(c->hang, text);
	log_err(WHO " hangs for more than %s (timeouts.hang), killing it",
	    (int)c->pid, text);
	kill_it(c, CAUSE_HANG);
	if (c->stopped == 0)
		c->ops->on_hang(c);
}

static void
check_stopped(struct child *c)
{
	siginfo_t info = { .si_pid = 0 };
	const char *name;

	if (waitid(P_PID, (id_t)c->pid, &info, WSTOPPED | WCONTINUED |
	    WNOHANG) == -1 || info.si_pid == 0)
		return;
	if (info.si_code == CLD_CONTINUED) {
		if (c->stopped != 0)
			log_info(WHO " goes on", (int)c->pid);
		c->stopped = 0;
		return;
	}
	name = sigabbrev_np(info.si_status);
	log_warn(WHO " was stopped by SIG%s", (int)c->pid,
	    name != NULL ? name : "?");
	if (c->stopped == 0) {
		c->stopped = mono_now();
		c->ops->on_hang(c);
	}
}

static void
set_drain_deadline(struct child *c, bool takes_part)
{
	nsec_t limit = deadline_to_end(c->graceful, c->shutdown, takes_part);

	if (limit == 0)
		loop_timer_del(c->loop, &c->deadline);
	else
		set_deadline(c, limit);
}

/* ---- what the worker says ----------------------------------------------- */

static void
on_ready(struct child *c, const char *text UNUSED)
{
	if (c->state != CHILD_STARTING)
		return;
	loop_timer_del(c->loop, &c->deadline);
	set_state(c, CHILD_READY);
	c->ops->on_ready(c);
}

static void
on_failed(struct child *c, const char *text)
{
	if (c->state != CHILD_STARTING)
		return;
	/* it has logged that itself, whole */
	log_debug("worker %u [%d]: failed: %s", c->id, (int)c->pid, text);
	c->failed = true;
	c->cause = CAUSE_STARTUP;
	snprintf(c->why, sizeof(c->why), "%.*s", (int)strcspn(text, "\n"),
	    text);
	set_state(c, CHILD_STOPPING);
	set_deadline(c, EXIT_LIMIT);
}

static void
on_recycle(struct child *c, const char *text UNUSED)
{
	if (c->state == CHILD_SERVING)
		c->ops->on_recycle(c);
}

static void
on_stopping(struct child *c, const char *text UNUSED)
{
	/* once: else one that says it again and again would never end */
	if (c->state > CHILD_DRAINING || c->deaf)
		return;
	set_drain_deadline(c, true);
	c->deaf = true;
	if (c->state < CHILD_DRAINING) {
		set_state(c, CHILD_DRAINING);
		c->cause = CAUSE_ASKED;
	}
	c->ops->on_leaving(c);
}

static void
on_stopped(struct child *c, const char *text UNUSED)
{
	if (c->state != CHILD_DRAINING)
		return;
	c->deaf = true;
	set_state(c, CHILD_STOPPING);
	set_deadline(c, EXIT_LIMIT);
}

static void (*const messages[CHAN_NTYPE])(struct child *, const char *) = {
	[CHAN_READY]	= on_ready,
	[CHAN_FAILED]	= on_failed,
	[CHAN_RECYCLE]	= on_recycle,
	[CHAN_STOPPING]	= on_stopping,
	[CHAN_STOPPED]	= on_stopped,
};

static void
on_message(struct chan *chan UNUSED, enum chan_type type, const char *text,
    void *arg)
{
	if (messages[type] != NULL)
		messages[type](arg, text);
}

/* Its end is near, or it can no longer be talked to. */
static void
on_eof(struct chan *chan, void *arg)
{
	struct child *c = arg;

	chan_fini(chan);
	if (c->state < CHILD_DRAINING)
		set_deadline(c, EXIT_LIMIT);
}

/* ---- the end ------------------------------------------------------------ */

static void
describe(const siginfo_t *info, char *to, size_t size)
{
	const char *name;

	if (info->si_code == CLD_EXITED) {
		snprintf(to, size, "exited with status %d", info->si_status);
		return;
	}
	name = sigabbrev_np(info->si_status);
	snprintf(to, size, "killed by %s%s%s", name != NULL ? "SIG" : "",
	    name != NULL ? name : "an unknown signal",
	    info->si_code == CLD_DUMPED ? " (core dumped)" : "");
}

/* What it was told to do does not explain any end. */
static enum child_cause
cause_of(const struct child *c, bool as_told, const siginfo_t *info)
{
	if (c->killed || c->failed || as_told)
		return c->cause;
	if (info->si_code != CLD_EXITED)
		return info->si_status == SIGKILL ? CAUSE_KILLED : CAUSE_CRASH;
	return c->served == 0 ? CAUSE_STARTUP : CAUSE_EXIT;
}

static void
obituary(struct child *c, const siginfo_t *info)
{
	double lived = (double)(mono_now() - c->born) / (double)NSEC_PER_SEC;
	/* SIGTERM is the end of one without a loop: not yet, or no longer */
	bool as_told = c->state >= CHILD_DRAINING && (c->exit_status == 0 ||
	    ((c->served == 0 || c->hurried) && c->exit_status == -1 &&
	    info->si_status == SIGTERM));

	describe(info, c->end, sizeof(c->end));
	if (*c->why == '\0' && c->served == 0)
		snprintf(c->why, sizeof(c->why), "%s", c->end);
	c->cause = cause_of(c, as_told, info);
	if (c->killed || c->failed)
		log_debug("worker [%d]: %s", (int)c->pid, c->end);
	else if (as_told)
		log_info("Finished worker process [%d]", (int)c->pid);
	else
		log_err(WHO " died: %s after %.1f s", (int)c->pid, c->end,
		    lived);
}

/* If it has ended; its owner frees it then. */
static void
bury(struct child *c)
{
	siginfo_t info = { .si_pid = 0 };

	/* its last words may still be on the way */
	chan_pump(&c->chan);
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) == -1) {
		log_err("worker [%d]: %s", (int)c->pid, strerror(errno));
		info.si_code = CLD_KILLED;
	} else if (info.si_pid == 0)
		return;
	c->exit_status = info.si_code == CLD_EXITED ? info.si_status : -1;
	obituary(c, &info);
	loop_timer_del(c->loop, &c->deadline);
	loop_timer_del(c->loop, &c->watchdog);
	loop_io_del(c->loop, &c->pidfd);
	chan_fini(&c->chan);
	set_state(c, CHILD_DEAD);
	c->ops->on_dead(c);
}

static void
on_exit_event(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	bury(container_of(io, struct child, pidfd));
}

void
child_check(struct child *c)
{
	check_stopped(c);
	if (c->pidfd.fd == -1)
		bury(c);
}

/* ---- life --------------------------------------------------------------- */

static void
set_up(struct child *c, const struct conf *conf)
{
	list_init(&c->node);
	c->startup = conf->timeouts_startup;
	c->graceful = conf->timeouts_graceful;
	c->shutdown = conf->timeouts_shutdown;
	c->hang = conf->timeouts_hang;
	c->born = mono_now();
	loop_timer_init(&c->deadline, on_deadline);
	loop_timer_init(&c->watchdog, on_watchdog);
	if (c->startup > 0)
		set_deadline(c, c->startup);
	if (c->hang > 0)
		loop_timer_set(c->loop, &c->watchdog, c->born + c->hang);
}

/* The process is there, so whatever fails it has to be waited for. */
static void
connect_to(struct child *c, const struct spawned *sp)
{
	c->pid = sp->pid;
	loop_io_init(&c->pidfd, sp->pidfd, on_exit_event);
	if (sp->pidfd != -1 &&
	    loop_io_set(c->loop, &c->pidfd, LOOP_READ) == -1)
		fd_close(&c->pidfd.fd);
	if (chan_init(&c->chan, c->loop, &sp->channel, on_message, on_eof,
	    c) == 0)
		return;
	log_err("worker [%d]: channel: %s", (int)c->pid, strerror(errno));
	kill_it(c, CAUSE_STARTUP);
}

struct child *
child_new(struct loop *loop, const struct spawn *spawn, unsigned id,
    unsigned generation, const struct child_ops *ops, void *owner)
{
	struct child *c = calloc(1, sizeof(*c));
	struct spawned sp;
	int stats_fd = -1, rv;

	if (c != NULL)
		c->slot = stats_slot_take(spawn->stats, &stats_fd);
	if (c == NULL || c->slot == -1) {
		log_err("cannot start a worker: %s: %s", c == NULL ?
		    "memory" : "statistics: memfd_create", strerror(errno));
		goto fail;
	}
	rv = spawn_worker(spawn, id, generation, stats_fd, &sp);
	fd_close(&stats_fd);
	if (rv == -1) {
		stats_slot_release(spawn->stats, c->slot);
		goto fail;
	}
	c->stats = spawn->stats;
	c->owner = owner;
	c->ops = ops;
	c->loop = loop;
	c->id = id;
	c->generation = generation;
	set_up(c, spawn->conf);
	connect_to(c, &sp);
	STAT_ADD(worker_starts, 1);
	log_info("Started worker process [%d] as worker %u", (int)c->pid, id);
	return c;
fail:
	free(c);
	return NULL;
}

void
child_free(struct child **c)
{
	if (*c == NULL)
		return;
	list_remove(&(*c)->node);
	fd_close(&(*c)->pidfd.fd);
	stats_slot_release((*c)->stats, (*c)->slot);
	free(*c);
	*c = NULL;
}

void
child_go(struct child *c)
{
	if (c->state != CHILD_READY)
		return;
	c->served = mono_now();
	set_state(c, CHILD_SERVING);
	if (chan_send(&c->chan, CHAN_GO, "") == -1) {
		log_err("worker [%d]: go: %s", (int)c->pid, strerror(errno));
		set_deadline(c, EXIT_LIMIT);
	}
}

void
child_drain(struct child *c, enum child_cause cause)
{
	bool listens;

	/* what it has said may change what is to be done: it may have been
	 * told already, by who tells all processes of a service */
	chan_pump(&c->chan);
	listens = c->state == CHILD_READY || c->state == CHILD_SERVING;
	if (c->state >= CHILD_DRAINING)
		return;
	c->cause = cause;
	set_state(c, CHILD_DRAINING);
	/* one that still loads the application reads no channel */
	if (!listens || chan_send(&c->chan, CHAN_DRAIN, "") == -1)
		send_signal(c, SIGTERM);
	/* who has closed it is about to be killed already */
	if (chan_is_open(&c->chan))
		set_drain_deadline(c, false);
}

void
child_stop_now(struct child *c, enum child_cause cause)
{
	bool listens;

	chan_pump(&c->chan);
	listens = c->state > CHILD_STARTING;
	if (c->state == CHILD_DEAD || c->hurried)
		return;
	if (c->state < CHILD_DRAINING)
		c->cause = cause;
	c->hurried = true;
	set_state(c, CHILD_STOPPING);
	if (chan_send(&c->chan, CHAN_STOP_NOW, "") == -1 || !listens)
		send_signal(c, SIGTERM);
	set_deadline(c, STOP_NOW_LIMIT);
}

void
child_reopen(struct child *c, const char *names, const int *fds, size_t nfds)
{
	if (chan_is_open(&c->chan) && chan_send_fds(&c->chan, CHAN_REOPEN,
	    names, fds, nfds) == -1)
		log_warn("worker [%d]: reopen: %s", (int)c->pid,
		    strerror(errno));
}
