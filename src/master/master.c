/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/master.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/child.h"
#include "master/helper.h"
#include "master/listen.h"
#include "master/lookup.h"
#include "master/master_priv.h"
#include "master/names.h"
#include "master/precheck.h"
#include "master/privs.h"

enum { STATUS_OK = 0, STATUS_RUNTIME = 1, STATUS_CONFIG = 6 };

/* ---- signals ------------------------------------------------------------ */

static const char *
signal_name(int signo)
{
	return signo == SIGINT ? "SIGINT" :
	    signo == SIGQUIT ? "SIGQUIT" : "SIGTERM";
}

/* SIGTERM and SIGINT: drain; the second one: now. */
static void
on_stop_signal(struct loop *loop UNUSED, int signo, void *arg)
{
	struct master *m = arg;

	if (m->stopping)
		log_info("Received %s again, stopping at once",
		    signal_name(signo));
	else
		log_info("Received %s, shutting down", signal_name(signo));
	master_stop(m, m->stopping);
}

static void
on_quit_signal(struct loop *loop UNUSED, int signo, void *arg)
{
	log_info("Received %s, stopping at once", signal_name(signo));
	master_stop(arg, true);
}

static void
on_reopen_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	(void)master_reopen(arg, NULL);
}

/*
 * As process 1 of a container the master inherits the orphans of everybody
 * and has to bury them.  A dead worker whose watcher has not run yet, or a
 * helper, hides those behind it: we are called again when it is buried, or
 * another child has died.
 */
static void
bury_orphans(struct master *m)
{
	siginfo_t info = { .si_pid = 0 };

	if (getpid() != 1)
		return;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid != 0 && !fleet_has(&m->fleet, info.si_pid) &&
	    !helper_has(info.si_pid)) {
		(void)waitid(P_PID, (id_t)info.si_pid, NULL, WEXITED);
		info.si_pid = 0;
	}
}

static void
on_child_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	struct master *m = arg;

	fleet_check(&m->fleet);
	helper_reap();
	bury_orphans(m);
}

/* ---- changed files ------------------------------------------------------ */

#define CHANGED_FILES	"changed files"		/* who asks for the reload */

/* A change that comes while a generation starts has a reload of its own: who
 * knows what that generation has read of it. */
static void
on_changed_files(const char *path, unsigned more, void *arg)
{
	struct master *m = arg;
	char others[32] = "";

	if (m->stopping)
		return;
	if (more > 0)
		snprintf(others, sizeof(others), " (and %u more)", more);
	m->changed = master_is_reloading(m) || m->fleet.unborn > 0;
	log_warn("asgid detected changes in '%s'%s. %s...", path, others,
	    m->changed ? "Another reload will follow" : "Reloading");
	if (!m->changed)
		(void)master_reload(m, CHANGED_FILES, NULL);
}

static void
on_catch_up(struct loop *loop UNUSED, struct loop_work *work)
{
	struct master *m = container_of(work, struct master, catch_up);

	m->changed = false;
	/* somebody else's reload, begun meanwhile, will do */
	if (m->stopping || fleet_is_renewing(&m->fleet) ||
	    m->reload.lookup != NULL)
		return;
	if (m->alone)
		master_reload_alone(m);
	else
		(void)master_reload(m, CHANGED_FILES, NULL);
}

/* What starts has started, or never will; not in the midst of its news. */
void
master_catch_up(struct master *m)
{
	bool due = m->alone ? list_empty(&m->fleet.children) :
	    m->changed && m->fleet.unborn == 0;

	if (due && !m->stopping && !fleet_is_renewing(&m->fleet) &&
	    m->reload.lookup == NULL)
		loop_work_add(m->loop, &m->catch_up);
}

/* ---- the fleet's news --------------------------------------------------- */

static void
announce(struct master *m)
{
	const struct listeners *ls = &m->setup->listeners;
	char text[LISTENER_TEXT_MAX];
	size_t i;

	m->announced = true;
	for (i = 0; i < ls->len; i++) {
		listener_text(&ls->at[i], text);
		log_info("asgid running on %s%s", text,
		    i + 1 == ls->len ? " (Press CTRL+C to quit)" :
		    "");
	}
}

static void
on_change(struct fleet *f)
{
	struct master *m = container_of(f, struct master, fleet);

	if (m->stopping)
		return;
	if (!m->announced && f->serving > 0)
		announce(m);
	if (!m->ready && f->unborn == 0 && f->serving > 0) {
		m->ready = true;
		notify_send(&m->notify, "READY=1\nMAINPID=%d", (int)getpid());
	}
	if (f->serving != m->told_serving)
		master_tell(m, "");
	wait_check(m);
	master_catch_up(m);
}

static void
on_switch(struct fleet *f)
{
	struct master *m = container_of(f, struct master, fleet);

	reload_commit(&m->reload, &m->setup);
}

static void
on_renewed(struct fleet *f, const char *why)
{
	struct master *m = container_of(f, struct master, fleet);

	master_reloaded(m, why);
	master_catch_up(m);
}

static void
on_hang(struct fleet *f UNUSED, const struct child *c UNUSED)
{
	STAT_ADD(worker_hangs, 1);
}

static const enum stat_id exits[CAUSE_NCAUSE] = {
	[CAUSE_NONE]		= STAT_exits_exit,
	[CAUSE_RECYCLED]	= STAT_exits_recycled,
	[CAUSE_RELOAD]		= STAT_exits_reload,
	[CAUSE_SCALED]		= STAT_exits_scaled,
	[CAUSE_ASKED]		= STAT_exits_asked,
	[CAUSE_STOP]		= STAT_exits_stop,
	[CAUSE_STARTUP]		= STAT_exits_startup,
	[CAUSE_CRASH]		= STAT_exits_crash,
	[CAUSE_KILLED]		= STAT_exits_killed,
	[CAUSE_EXIT]		= STAT_exits_exit,
	[CAUSE_HANG]		= STAT_exits_hang,
	[CAUSE_DEADLINE]	= STAT_exits_deadline,
};

static void
on_exit_of(struct fleet *f, const struct child *c)
{
	struct master *m = container_of(f, struct master, fleet);

	stats_add(exits[c->cause], 1);
	wait_on_exit(m, c);
	bury_orphans(m);
}

static void
on_unborn(struct fleet *f, const char *why)
{
	wait_on_unborn(container_of(f, struct master, fleet), why);
}

static void
on_failed(struct fleet *f, int status)
{
	struct master *m = container_of(f, struct master, fleet);

	if (f->patient) {
		log_info("Waiting for changes");
		master_catch_up(m);
		return;
	}
	m->status = status;
	master_stop(m, false);
}

static void
on_empty(struct fleet *f)
{
	wait_on_end(container_of(f, struct master, fleet));
	loop_stop(f->loop);
}

static const struct fleet_ops fleet_ops = {
	.on_change	= on_change,
	.on_hang	= on_hang,
	.on_exit	= on_exit_of,
	.on_unborn	= on_unborn,
	.on_failed	= on_failed,
	.on_switch	= on_switch,
	.on_renewed	= on_renewed,
	.on_empty	= on_empty,
};

/* ---- start-up ----------------------------------------------------------- */

/* A daemon started with closed standard descriptors must not get a log or a
 * socket under their numbers. */
static void
init_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd != -1 && fd <= STDERR_FILENO);
	fd_close(&fd);
}

static int
init_stats(struct master *m)
{
	if ((m->stats = stats_new()) == NULL) {
		log_err("statistics: %s", strerror(errno));
		return STATUS_RUNTIME;
	}
	log_count(&stats->values[STAT_master_log_lines_dropped]);
	m->setup->spawn.stats = m->stats;
	return STATUS_OK;
}

static void
fini_stats(struct master *m)
{
	log_count(NULL);
	stats_free(&m->stats);
}

static int
init_log(struct master *m)
{
	return setup_open_error(m->setup) == 0 ? STATUS_OK : STATUS_RUNTIME;
}

static int
init_access(struct master *m)
{
	return setup_open_access(m->setup, NULL) == 0 ? STATUS_OK :
	    STATUS_RUNTIME;
}

static int
init_names(struct master *m)
{
	if (lookup_wait(m->setup->conf) == 0)
		return STATUS_OK;
	log_err("users, groups and hosts: %s", strerror(errno));
	return STATUS_RUNTIME;
}

static void
fini_names(struct master *m UNUSED)
{
	names_forget();
}

static int
init_privs(struct master *m)
{
	const struct conf *conf = m->setup->conf;
	struct buf errors = BUF_INIT;
	unsigned unknown = precheck_names(conf, &errors);

	precheck_log(&errors);
	buf_fini(&errors);
	return unknown > 0 ? STATUS_CONFIG :
	    privs_init(&m->setup->privs, conf);
}

static int
init_limits(struct master *m)
{
	const struct conf *conf = m->setup->conf;

	/* a developer's "asgid main:app" in a container needs no telling */
	if (geteuid() == 0 && !m->setup->privs.drop && *conf->file != '\0')
		log_warn("the application runs as root: set user");
	privs_raise_nofile(conf);
	return STATUS_OK;
}

static int
init_listeners(struct master *m)
{
	return listeners_open(&m->setup->listeners, m->setup->conf,
	    NULL) == 0 ? STATUS_OK : STATUS_RUNTIME;
}

static void
fini_listeners(struct master *m)
{
	listeners_close(&m->setup->listeners);
}

static int
init_loop(struct master *m)
{
	if ((m->loop = loop_new()) != NULL)
		return STATUS_OK;
	log_err("loop: %s", strerror(errno));
	return STATUS_RUNTIME;
}

static void
fini_loop(struct master *m)
{
	loop_free(&m->loop);
}

static const struct {
	int		 signo;
	loop_signal_f	*cb;
} caught[] = {
	{ SIGTERM,	on_stop_signal },
	{ SIGINT,	on_stop_signal },
	{ SIGQUIT,	on_quit_signal },
	{ SIGUSR1,	on_reopen_signal },
	{ SIGPIPE,	LOOP_SIGNAL_IGNORE },
	{ SIGXFSZ,	LOOP_SIGNAL_IGNORE },
	{ SIGCHLD,	on_child_signal },
};

static int
init_signals(struct master *m)
{
	size_t i;

	for (i = 0; i < countof(caught); i++) {
		if (loop_signal(m->loop, caught[i].signo, caught[i].cb,
		    m) == -1) {
			log_err("signal %d: %s", caught[i].signo,
			    strerror(errno));
			return STATUS_RUNTIME;
		}
	}
	if (signals_init(m) == 0)
		return STATUS_OK;
	log_err("signals: %s", strerror(errno));
	return STATUS_RUNTIME;
}

static void
fini_signals(struct master *m)
{
	signals_fini(m);
}

static int
init_pidfile(struct master *m)
{
	return pidfile_init(&m->pidfile, m->setup->conf->pid_file) == 0 ?
	    STATUS_OK : STATUS_RUNTIME;
}

static void
fini_pidfile(struct master *m)
{
	pidfile_fini(&m->pidfile);
}

static int
init_notify(struct master *m)
{
	notify_init(&m->notify);
	return STATUS_OK;
}

static void
fini_notify(struct master *m)
{
	notify_fini(&m->notify);
}

static int
init_control(struct master *m)
{
	return control_init(&m->control, m->loop, m->setup->conf,
	    &command_ops, m) == 0 ? STATUS_OK : STATUS_RUNTIME;
}

static void
fini_control(struct master *m)
{
	control_fini(&m->control);
}

static void
render_metrics(enum metrics_format format, struct buf *to, void *arg)
{
	static stats_render_f *const renders[] = {
		[METRICS_OPENMETRICS]	= stats_openmetrics,
		[METRICS_PROMETHEUS]	= stats_prometheus,
		[METRICS_TEXT]		= stats_text,
	};

	view_stats(arg, renders[format], to);
}

static int
init_metrics(struct master *m)
{
	const char *address = m->setup->conf->metrics_listen;
	char text[SOCK_TEXT_MAX];

	if (*address == '\0')
		return STATUS_OK;
	m->metrics = metrics_new(m->loop, address, render_metrics, m);
	if (m->metrics == NULL)
		return STATUS_RUNTIME;
	metrics_text(m->metrics, text);
	log_info("Metrics on http://%s/metrics", text);
	return STATUS_OK;
}

static void
fini_metrics(struct master *m)
{
	metrics_free(&m->metrics);
}

static int
init_watch(struct master *m)
{
	const struct conf *conf = m->setup->conf;

	loop_work_init(&m->catch_up, LOOP_DEFERRED, on_catch_up);
	if (!conf->reload_watch)
		return STATUS_OK;
	m->watch = watch_new(m->loop, conf, on_changed_files, m);
	return m->watch != NULL ? STATUS_OK : STATUS_RUNTIME;
}

static void
fini_watch(struct master *m)
{
	watch_free(&m->watch);
}

static int
init_fleet(struct master *m)
{
	if (fleet_init(&m->fleet, m->loop, &m->setup->spawn,
	    conf_workers(m->setup->conf), &fleet_ops) == -1) {
		log_err("workers: %s", strerror(errno));
		return STATUS_RUNTIME;
	}
	/* code that is wrong now will be changed */
	m->fleet.patient = m->watch != NULL;
	return STATUS_OK;
}

static void
fini_fleet(struct master *m)
{
	fleet_fini(&m->fleet);
}

/*
 * In this order; undone in the reverse one.  The log is opened when it is known
 * who must not be able to choose its place, but before the rest may fail, the
 * pid file before the listeners (a second master shall be told so, not that an
 * address is in use), the environment is cleaned by notify and listeners before
 * workers inherit it, and workers are last.  What no fini closes goes with the
 * setup.
 */
static const struct step {
	const char	*name;
	int		(*init)(struct master *);	/* exit status */
	void		(*fini)(struct master *);
} steps[] = {
	{ "names",		init_names,	fini_names },
	{ "privileges",		init_privs,	NULL },
	{ "log",		init_log,	NULL },
	{ "statistics",		init_stats,	fini_stats },
	{ "notify",		init_notify,	fini_notify },
	{ "limits",		init_limits,	NULL },
	{ "pid file",		init_pidfile,	fini_pidfile },
	{ "listeners",		init_listeners,	fini_listeners },
	{ "access log",		init_access,	NULL },
	{ "loop",		init_loop,	fini_loop },
	{ "signals",		init_signals,	fini_signals },
	{ "control socket",	init_control,	fini_control },
	{ "metrics",		init_metrics,	fini_metrics },
	{ "watch",		init_watch,	fini_watch },
	{ "workers",		init_fleet,	fini_fleet },
};

static int
start(struct master *m, size_t *done)
{
	int status = STATUS_OK;

	for (*done = 0; *done < countof(steps); (*done)++) {
		if ((status = steps[*done].init(m)) == STATUS_OK)
			continue;
		log_debug("start-up failed: %s", steps[*done].name);
		break;
	}
	return status;
}

int
master_run(struct conf *conf, const char *worker, int argc,
    char *const argv[])
{
	struct master m = {
		.started = mono_now(), .started_at = time(NULL),
	};
	struct sigaction hup;
	sigset_t all;
	size_t done;

	/* before anything is opened that stays */
	init_stdio();
	list_init(&m.waiters);
	list_init(&m.checks);
	reload_init(&m.reload, argc, argv);
	m.reload.on_names = master_on_names;
	m.nohup = sigaction(SIGHUP, NULL, &hup) == 0 &&
	    hup.sa_handler == SIG_IGN;
	/* what comes while we start is heard when we can act on it */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if ((m.setup = setup_new(conf, worker)) == NULL) {
		log_err("configuration: %s", strerror(errno));
		reload_fini(&m.reload);
		return STATUS_RUNTIME;
	}
	m.status = start(&m, &done);
	if (m.status == STATUS_OK) {
		log_info("Started asgid [%d]", (int)getpid());
		if (loop_run(m.loop) == -1)
			m.status = STATUS_RUNTIME;
	}
	while (done > 0)
		if (steps[--done].fini != NULL)
			steps[done].fini(&m);
	setup_free(&m.setup);
	reload_fini(&m.reload);
	buf_fini(&m.reload_text);
	if (m.announced || m.stopping)
		log_info("Finished asgid [%d]", (int)getpid());
	return m.status;
}
