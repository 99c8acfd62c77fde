/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker's life:
 *
 *	STARTING	application imported, lifespan start-up running
 *	READY		told the master, waits for its word to accept
 *	SERVING
 *	DRAINING	accepts no more; requests in flight end, by themselves
 *			or, after timeouts.graceful, cancelled
 *	STOPPING	lifespan shut-down running
 *	OVER		the loop is left
 */
#include "py/py.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "app/cycle.h"
#include "app/lifespan.h"
#include "app/load.h"
#include "app/port.h"
#include "app/scope.h"
#include "base/date.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "http/front.h"
#include "loop/loop.h"
#include "proc/chan.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/fork.h"
#include "py/host.h"
#include "py/signals.h"
#include "stats/stats.h"
#include "worker/main_task.h"
#include "worker/orphan.h"

/* Cancelled requests have so long to clean up; less when all must end at
 * once, so that lifespan.shutdown has its turn before the master kills. */
#define CANCEL_TIME	(2 * NSEC_PER_SEC)
#define CANCEL_NOW	(500 * NSEC_PER_MSEC)

enum phase { STARTING, READY, SERVING, DRAINING, STOPPING, OVER };

static struct {
	struct birth	*birth;
	struct conf	*conf;
	PyObject	*aloop;
	struct loop	*loop;
	struct chan	 chan;
	struct front	*front;
	struct app	 app;
	struct lifespan	 lifespan;
	struct loop_timer patience;	/* of a drain */
	struct loop_work check;		/* is the drain over? */
	enum phase	 phase;
	bool		 drained;	/* no connection is left */
	bool		 cancelled;
	int		 status;
} self;

static void
tell(enum chan_type type, const char *text)
{
	if (chan_is_open(&self.chan) &&
	    chan_send(&self.chan, type, text) == -1 && errno != EPIPE)
		log_warn("master: %s", strerror(errno));
}

/* ---- the way out -------------------------------------------------------- */

static void
leave(int status)
{
	self.phase = OVER;
	self.status = status;
	main_task_stop();
}

static void
on_shut_down(bool ok UNUSED, void *arg UNUSED)
{
	tell(CHAN_STOPPED, "");
	leave(WORKER_STOPPED);
}

/* Connections closed and applications ended: shut the application down. */
static void
on_check(struct loop *loop, struct loop_work *w UNUSED)
{
	if (self.phase != DRAINING || !self.drained || cycle_running() > 0)
		return;
	loop_timer_del(loop, &self.patience);
	self.phase = STOPPING;
	lifespan_shutdown(&self.lifespan, on_shut_down, NULL);
}

static void
check_later(void *arg UNUSED)
{
	if (self.phase == DRAINING)
		loop_work_add(self.loop, &self.check);
}

static void
on_front_drained(void *arg)
{
	self.drained = true;
	check_later(arg);
}

static void
cancel(nsec_t patience)
{
	self.cancelled = true;
	cycle_cancel_all();
	loop_timer_set(self.loop, &self.patience,
	    loop_now(self.loop) + patience);
}

/* Patience has run out: first with the applications, then with all. */
static void
on_patience(struct loop *loop UNUSED, struct loop_timer *t UNUSED)
{
	if (!self.cancelled) {
		log_warn("cancelling %u running request(s): timeouts.graceful "
		    "exceeded", cycle_running());
		cancel(CANCEL_TIME);
		return;
	}
	if (!self.drained)
		front_abort(self.front);
	if (cycle_running() == 0)
		return;			/* drained() comes now */
	log_err("%u request(s) ignore their cancellation and are abandoned",
	    cycle_running());
	cycle_on_idle(NULL, NULL);
	self.phase = STOPPING;
	lifespan_shutdown(&self.lifespan, on_shut_down, NULL);
}

/* `others`: where listeners stay, others serve on. */
static void
drain(bool now, bool others)
{
	nsec_t patience = self.conf->timeouts_graceful;

	orphan_takes_part();
	if (self.phase < SERVING && self.phase != READY) {
		leave(WORKER_STOPPED);
		return;
	}
	if (self.phase <= SERVING) {
		self.phase = DRAINING;
		if (patience > 0)
			loop_timer_set(self.loop, &self.patience,
			    loop_now(self.loop) + patience);
		front_drain(self.front, others);
		/* not before: who is told of it expects to meet others */
		tell(CHAN_STOPPING, "");
		cycle_end_streams();
		check_later(NULL);
	}
	if (now && self.phase == DRAINING && !self.cancelled)
		cancel(CANCEL_NOW);
}

/* What is meant for the master, and may reach the whole group. */
static void
on_others(struct loop *loop UNUSED, int signo UNUSED, void *arg UNUSED)
{
}

/* Ctrl-C: the master hears it as well. */
static void
on_interrupt(struct loop *loop UNUSED, int signo, void *arg UNUSED)
{
	signals_pass(self.aloop, signo, true);
}

static void
on_signal(struct loop *loop UNUSED, int signo, void *arg UNUSED)
{
	/* the whole group may have got it: who knows who is left */
	drain(signo == SIGQUIT, signo == SIGQUIT);
	signals_pass(self.aloop, signo, true);
}

/* Caught, where ignoring would do: the application's children would inherit
 * that. Python ignores SIGPIPE itself, and subprocess gives it back. */
static const struct {
	int		 signo;
	loop_signal_f	*cb;
	bool		 over;		/* handlers of the application */
} caught[] = {
	{ SIGTERM,	on_signal,	true },
	{ SIGQUIT,	on_signal,	true },
	{ SIGINT,	on_interrupt,	true },
	{ SIGHUP,	on_others,	false },
	{ SIGUSR1,	on_others,	false },
	{ SIGPIPE,	LOOP_SIGNAL_IGNORE, false },
};

/* Before the application is imported: what comes meanwhile is kept, and Python
 * knows what stands. */
static int
catch_signals(void)
{
	size_t i;

	loop_signal_at_once(orphan_on_signal);
	for (i = 0; i < countof(caught); i++)
		loop_signal(NULL, caught[i].signo, caught[i].cb, NULL);
	if (signals_init() == -1)
		goto fail;
	for (i = 0; i < countof(caught); i++)
		if (caught[i].cb != LOOP_SIGNAL_IGNORE &&
		    signals_share(caught[i].signo, caught[i].over) == -1)
			goto fail;
	return 0;
fail:
	error_log(LOG_L_CRITICAL, "cannot share signals with Python");
	return -1;
}

/* ---- what the master says ----------------------------------------------- */

static void
take_go(void)
{
	if (self.phase != READY)
		return;
	self.phase = SERVING;
	front_go(self.front);
}

static void
take_drain(void)
{
	drain(false, true);
}

static void
take_stop_now(void)
{
	drain(true, true);
}

typedef void take_f(void);

static take_f *const takes[CHAN_NTYPE] = {
	[CHAN_GO]	= take_go,
	[CHAN_DRAIN]	= take_drain,
	[CHAN_STOP_NOW]	= take_stop_now,
};

/* The text names the descriptors, in their order. */
static void
take_reopen(struct chan *ch, const char *text)
{
	struct str rest = str_of(text);
	int fd, to;
	size_t i;

	for (i = 0; rest.n > 0; i++) {
		to = rest.p[0] == 'e' ? log_fd() : self.birth->access_fd;
		rest.n = rest.n > 6 ? rest.n - 6 : 0;
		rest.p += rest.n > 0 ? 6 : 0;
		if ((fd = chan_take_fd(ch, i)) == -1)
			return;
		if (to != -1 && dup3(fd, to, O_CLOEXEC) == -1)
			log_warn("reopen: %s", strerror(errno));
		close(fd);
	}
}

static void
on_message(struct chan *ch, enum chan_type type, const char *text,
    void *arg UNUSED)
{
	if (type == CHAN_REOPEN)
		take_reopen(ch, text);
	else if (takes[type] != NULL)
		takes[type]();
}

/* Nobody would respawn or stop us any more. */
static void
on_master_gone(struct chan *ch, void *arg UNUSED)
{
	chan_fini(ch);
	log_warn("the master has died: stopping");
	drain(false, false);
}

/* ---- processes that the application forks ------------------------------- */

static void
count_dates(void)
{
	date_count(&stats->values[STAT_date_hits],
	    &stats->values[STAT_date_misses]);
}

/* Nothing that the master or a client waits for stays open in them. */
static void
on_forked(void *arg UNUSED)
{
	size_t i;

	if (self.front != NULL)
		front_forked(self.front);
	for (i = 0; i < self.birth->nlisteners; i++)
		fd_close(&self.birth->listeners[i]);
	if (self.loop == NULL)		/* the channel is mute */
		fd_close(&self.birth->channel.in);
	chan_fini(&self.chan);
	count_dates();		/* stats is another one */
}

/* ---- the way in --------------------------------------------------------- */

static void
on_served_out(void *arg UNUSED)
{
	log_info("workers.max_requests reached: asking to be replaced");
	tell(CHAN_RECYCLE, "");
}

static const struct front_events front_events = {
	.drained = on_front_drained,
	.served_out = on_served_out,
};

static void
on_started(bool ok, void *arg UNUSED)
{
	struct buf why = BUF_INIT;

	if (self.phase != STARTING)
		return;
	if (!ok) {
		buf_printf(&why, "application startup failed%s%s",
		    *lifespan_why(&self.lifespan) != '\0' ? ": " : "",
		    lifespan_why(&self.lifespan));
		tell(CHAN_FAILED, buf_str(&why));
		buf_fini(&why);
		leave(WORKER_UNUSABLE);
		return;
	}
	self.phase = READY;
	tell(CHAN_READY, "");
}

/* asyncio.get_event_loop() finds it where no loop runs. */
static int
set_current(void)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio"), *r = NULL;

	if (asyncio != NULL)
		r = PyObject_CallMethod(asyncio, "set_event_loop", "O",
		    self.aloop);
	Py_XDECREF(asyncio);
	Py_XDECREF(r);
	return r != NULL ? 0 : -1;
}

static int
make_loop(void)
{
	py_set(&self.aloop, aloop_new());
	if (self.aloop != NULL)
		return 0;
	error_log(LOG_L_CRITICAL, "cannot make the event loop");
	return -1;
}

/*
 * The code of modules runs a loop of its own now and then, which may close it
 * or leave another one current.  What it has left usable becomes ours, so that
 * objects which were made for it serve; else we take a new one.  A policy of
 * the application may refuse it: while it runs it is found all the same.
 */
static int
take_loop(void)
{
	if (!aloop_own(self.aloop) &&
	    (make_loop() == -1 || !aloop_own(self.aloop)))
		return -1;
	if (set_current() == -1)
		error_log(LOG_L_WARNING, "cannot make the event loop current");
	return 0;
}

static int
start_loop(void)
{
	self.loop = aloop_loop(self.aloop);
	loop_count(self.loop);
	count_dates();
	loop_timer_init(&self.patience, on_patience);
	loop_work_init(&self.check, LOOP_DEFERRED, on_check);
	loop_signals_serve(self.loop);
	fork_serve(self.aloop);
	if (chan_init(&self.chan, self.loop, &self.birth->channel,
	    on_message, on_master_gone, NULL) == -1)
		return -1;
	if (main_task_init(self.aloop) == 0)
		return 0;
	error_log(LOG_L_CRITICAL, "cannot make the root task");
	return -1;
}

static int
load_application(void)
{
	struct buf why = BUF_INIT;
	int rc = app_load(&self.app, self.conf, &why);

	fork_check(NULL);
	if (rc == -1)
		tell(CHAN_FAILED, buf_str(&why));
	buf_fini(&why);
	return rc;
}

static int
start_application(void)
{
	if (port_init(self.aloop) == -1 ||
	    lifespan_start(&self.lifespan, self.aloop, &self.app, self.conf,
	    on_started, NULL) == -1 ||
	    cycle_init(self.aloop, self.conf) == -1 ||
	    scope_init(self.conf, &self.app,
	    lifespan_state(&self.lifespan)) == -1) {
		error_log(LOG_L_CRITICAL, "cannot start the application");
		return -1;
	}
	cycle_on_idle(check_later, NULL);
	self.front = front_new(self.loop, self.conf, &cycle_ops,
	    self.app.callable, &front_events, NULL);
	if (self.front == NULL || front_listen(self.front,
	    self.birth->listeners, self.birth->nlisteners) == -1)
		return -1;
	self.birth->nlisteners = 0;	/* the front's now */
	front_set_access_fd(self.front, self.birth->access_fd);
	return 0;
}

/* ---- the end ------------------------------------------------------------ */

/* What was done, and whether all came back to where it was taken from. */
static void
report(void)
{
	const uint64_t *v = stats->values;
	const struct stats_pool *p;
	enum stat_id id;

	log_debug("served %" PRIu64 " requests on %" PRIu64 " connections; %"
	    PRIu64 " refused, %" PRIu64 " timed out", STAT_GET(requests),
	    STAT_GET(accepted), STAT_GET(errors_parse) +
	    STAT_GET(errors_limit), STAT_GET(errors_timeout));
	log_debug("date: %" PRIu64 " hits, %" PRIu64 " misses",
	    STAT_GET(date_hits), STAT_GET(date_misses));
	for (p = stats_pools; p < stats_pools + STATS_NPOOLS; p++)
		log_debug("pool %s: %" PRIu64 " at most, %" PRIu64 " of %"
		    PRIu64 " reused", p->name, v[p->peak], v[p->hits],
		    v[p->hits] + v[p->misses]);
	for (id = 0; id < STATS_NLINES; id++)
		if (stats_lines[id].kind == STATS_GAUGE && v[id] > 0)
			log_info("left over: %s %" PRIu64,
			    stats_lines[id].member, v[id]);
}

/*
 * The application may run code until the interpreter is gone: cancelled tasks,
 * destructors, atexit functions, threads that Python joins.  So what such code
 * can reach by receive, send or the loop is closed here, never released:
 * receive() finds http.disconnect, send() raises, the loop says that it is
 * closed.  What is released is what only C reaches.
 */
static void
stop_all(void)
{
	bool served = self.front != NULL;

	/* a signal that comes now comes late: the process ends as it is told.
	 * Some send SIGTERM to all of a service, and the master then again */
	loop_signals_leave(self.loop);
	/* requests end from here on; nobody is to be told */
	cycle_on_idle(NULL, NULL);
	/* while the loop is open: ends of requests wake whom they concern,
	 * and from here on no cycle has a request */
	front_free(&self.front);
	/* its task is cancelled, and main_task_fini() lets it end; its ports
	 * say from now on that the lifespan is over */
	lifespan_fini(&self.lifespan);
	/* ours in the C loop, which main_task_fini() frees */
	loop_timer_del(self.loop, &self.patience);
	loop_work_del(self.loop, &self.check);
	chan_fini(&self.chan);
	/* cancels and closes: the last turns of the loop */
	main_task_fini();
	/* references to the application, whose destructors run now */
	app_free(&self.app);
	/* read by front_free's front alone */
	scope_fini();
	/* what only cycles of garbage hold would count as left over */
	PyGC_Collect();
	/* before host_stop(): the interpreter's end does not free all */
	if (served)
		report();
	/* one reference of several; the object is a closed loop by now */
	Py_CLEAR(self.aloop);
	/* joins threads, calls atexit functions, takes modules apart: types,
	 * names and free lists must be as they were */
	host_stop();
}

int
worker_main(struct birth *birth, struct conf *conf)
{
	struct buf why = BUF_INIT;
	bool loaded;

	self.birth = birth;
	self.conf = conf;
	self.status = WORKER_UNUSABLE;
	chan_init_mute(&self.chan, &birth->channel);
	orphan_init(conf->timeouts_graceful, conf->timeouts_shutdown);
	if (host_start(conf, &why) == -1) {
		tell(CHAN_FAILED, buf_str(&why));
		buf_fini(&why);
		return WORKER_UNUSABLE;
	}
	if (make_loop() == -1)
		return WORKER_FAILED;
	if (set_current() == -1) {
		error_log(LOG_L_CRITICAL, "cannot make the event loop current");
		return WORKER_FAILED;
	}
	if (fork_init(on_forked, NULL) == -1) {
		error_log(LOG_L_CRITICAL, "cannot watch over forks");
		return WORKER_FAILED;
	}
	if (catch_signals() == -1)
		return WORKER_FAILED;
	loaded = load_application() == 0;
	if (take_loop() == -1 || start_loop() == -1)
		return WORKER_FAILED;
	if (loaded && start_application() == 0 && main_task_run() == -1)
		self.status = WORKER_FAILED;
	stop_all();
	return self.status;
}
