/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/master.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "loop/loop.h"
#include "master/fleet.h"
#include "master/listen.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/privs.h"
#include "master/reload.h"
#include "master/setup.h"

enum { STATUS_OK = 0, STATUS_RUNTIME = 1 };

struct master {
	struct setup		*setup;		/* what serves is made of */
	struct loop		*loop;
	struct notify		 notify;
	struct pidfile		 pidfile;
	struct fleet		 fleet;
	struct reload		 reload;
	bool			 reopen_again;	/* when the reload is over */
	bool			 announced;	/* "running on" was logged */
	bool			 ready;		/* READY=1 was sent */
	bool			 stopping;
	int			 status;
};

/* ---- stopping ----------------------------------------------------------- */

/* The workers take what is queued and close their copies; ours go at once, so
 * that the last of theirs closes the port. */
static void
stop(struct master *m, bool now)
{
	if (!m->stopping) {
		m->stopping = true;
		notify_send(&m->notify, "STOPPING=1\nSTATUS=Shutting down");
	}
	listeners_set_last(&m->setup->listeners, NULL);
	fleet_stop(&m->fleet, now);
	reload_abort(&m->reload, m->setup);
	listeners_close(&m->setup->listeners);
}

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
	stop(m, m->stopping);
}

static void
on_quit_signal(struct loop *loop UNUSED, int signo, void *arg)
{
	log_info("Received %s, stopping at once", signal_name(signo));
	stop(arg, true);
}

/* ---- logs --------------------------------------------------------------- */

/* The workers may not be allowed to open them: they get the descriptors. */
static void
reopen(struct master *m)
{
	const struct conf *conf = m->setup->conf;
	bool error = setup_is_file(conf->log_error);
	bool access = setup_is_file(conf->log_access), failed = false;
	int fds[2];
	size_t n = 0;

	if (error && log_reopen() == -1) {
		log_err("log.error: %s: %s", conf->log_error,
		    strerror(errno));
		failed = true;
		error = false;
	}
	if (access && setup_reopen_access(m->setup) == -1) {
		log_err("log.access: %s: %s", conf->log_access,
		    strerror(errno));
		failed = true;
		access = false;
	}
	if (error)
		fds[n++] = log_fd();
	if (access)
		fds[n++] = m->setup->access_fd;
	if (n > 0)
		fleet_reopen(&m->fleet, n == 2 ? "error access" :
		    error ? "error" : "access", fds, n);
	if (!failed)
		log_info("Log files reopened");
}

/* A generation that is starting has logs of its own, perhaps others: its
 * turn comes when it is known whether it stays. */
static void
on_reopen_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	struct master *m = arg;

	reopen(m);
	m->reopen_again = fleet_is_renewing(&m->fleet);
}

/* ---- another generation, another number --------------------------------- */

static void
tell_status(struct master *m, const char *first)
{
	notify_send(&m->notify, "%sSTATUS=%u of %u workers serve", first,
	    m->fleet.serving, m->fleet.now.nseats);
}

static void
on_reload_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	struct master *m = arg;

	if (m->stopping)
		return;
	if (fleet_is_renewing(&m->fleet)) {
		log_warn("Received SIGHUP: refused, a reload is running");
		return;
	}
	if (m->fleet.unborn > 0) {
		log_warn("Received SIGHUP: refused, asgid is starting");
		return;
	}
	log_info("Received SIGHUP, reloading");
	notify_send(&m->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64
	    "\nSTATUS=Reloading", mono_now() / 1000);
	if (reload_begin(&m->reload, m->setup, &m->fleet) == -1)
		tell_status(m, "READY=1\n");
}

/* SIGTTIN: one worker more; SIGTTOU: one less. */
static void
on_scale_signal(struct loop *loop UNUSED, int signo, void *arg)
{
	struct master *m = arg;
	bool more = signo == SIGTTIN;
	const char *name = more ? "SIGTTIN" : "SIGTTOU";

	if (m->stopping)
		return;
	if (fleet_is_renewing(&m->fleet)) {
		log_warn("Received %s: refused, a reload is running", name);
		return;
	}
	if ((more ? fleet_add(&m->fleet) : fleet_remove(&m->fleet)) == -1) {
		if (errno == ERANGE)
			log_warn("Received %s: %u worker(s) it is already",
			    name, m->fleet.now.nseats);
		else
			log_err("Received %s: %s", name, strerror(errno));
		return;
	}
	log_info("Received %s: now %u worker(s)", name,
	    m->fleet.now.nseats);
	tell_status(m, "");
}

/*
 * As process 1 of a container the master inherits the orphans of everybody
 * and has to bury them.  The workers' own watchers have run before, in this
 * turn; one that has died since comes back by its own signal.
 */
static void
on_child_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	struct master *m = arg;
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid != 0 && !fleet_has(&m->fleet, info.si_pid)) {
		(void)waitid(P_PID, (id_t)info.si_pid, NULL, WEXITED);
		info.si_pid = 0;
	}
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
	if (!m->ready && f->unborn == 0) {
		m->ready = true;
		notify_send(&m->notify, "READY=1\nMAINPID=%d", (int)getpid());
	}
	tell_status(m, "");
}

static void
on_renewed(struct fleet *f, const char *why)
{
	struct master *m = container_of(f, struct master, fleet);

	if (why == NULL) {
		reload_commit(&m->reload, &m->setup);
		log_info("Reloaded: %u worker(s) of generation %u serve",
		    f->now.nseats, f->now.generation);
	} else {
		reload_abort(&m->reload, m->setup);
		log_err("Reload failed, the old workers serve on: %s", why);
	}
	tell_status(m, "READY=1\n");
	if (m->reopen_again) {
		m->reopen_again = false;
		reopen(m);
	}
}

static void
on_failed(struct fleet *f, int status)
{
	struct master *m = container_of(f, struct master, fleet);

	m->status = status;
	stop(m, false);
}

static void
on_empty(struct fleet *f)
{
	loop_stop(f->loop);
}

static const struct fleet_ops fleet_ops = {
	.on_change	= on_change,
	.on_failed	= on_failed,
	.on_renewed	= on_renewed,
	.on_empty	= on_empty,
};

/* ---- start-up ----------------------------------------------------------- */

/* A daemon started with closed standard descriptors must not get a log or a
 * socket under their numbers. */
static int
init_stdio(struct master *m UNUSED)
{
	int fd;

	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			return STATUS_RUNTIME;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return STATUS_OK;
}

static int
init_log(struct master *m)
{
	const struct conf *conf = m->setup->conf;

	if (log_open(conf->log_error, (enum log_level)conf->log_level,
	    "asgid") == 0)
		return STATUS_OK;
	log_err("log.error: %s: %s", conf->log_error, strerror(errno));
	return STATUS_RUNTIME;
}

static int
init_access(struct master *m)
{
	return setup_open_access(m->setup, NULL) == 0 ? STATUS_OK :
	    STATUS_RUNTIME;
}

static int
init_privs(struct master *m)
{
	int status = privs_init(&m->setup->privs, m->setup->conf);

	if (status == STATUS_OK)
		privs_raise_nofile(m->setup->conf);
	return status;
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
	{ SIGHUP,	on_reload_signal },
	{ SIGTTIN,	on_scale_signal },
	{ SIGTTOU,	on_scale_signal },
	{ SIGPIPE,	LOOP_SIGNAL_IGNORE },
	/* if a careless parent ignores it, our children are reaped for us */
	{ SIGCHLD,	NULL },
};

static int
init_signals(struct master *m)
{
	sigset_t none;
	size_t i;

	for (i = 0; i < countof(caught); i++) {
		if (loop_signal(m->loop, caught[i].signo, caught[i].cb,
		    m) == -1) {
			log_err("signal %d: %s", caught[i].signo,
			    strerror(errno));
			return STATUS_RUNTIME;
		}
	}
	if (getpid() == 1 &&
	    loop_signal(m->loop, SIGCHLD, on_child_signal, m) == -1)
		log_warn("SIGCHLD: %s", strerror(errno));
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return STATUS_OK;
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
init_fleet(struct master *m)
{
	if (fleet_init(&m->fleet, m->loop, &m->setup->spawn,
	    conf_workers(m->setup->conf), &fleet_ops) == 0)
		return STATUS_OK;
	log_err("workers: %s", strerror(errno));
	return STATUS_RUNTIME;
}

static void
fini_fleet(struct master *m)
{
	fleet_fini(&m->fleet);
}

/*
 * In this order; undone in the reverse one.  The standard descriptors come
 * before anything is opened, the log before anything may fail, the pid file
 * before the listeners (a second master shall be told so, not that an
 * address is in use), the environment is cleaned by notify and listeners
 * before workers inherit it, and workers are last.  What no fini closes goes
 * with the setup.
 */
static const struct step {
	const char	*name;
	int		(*init)(struct master *);	/* exit status */
	void		(*fini)(struct master *);
} steps[] = {
	{ "standard descriptors",	init_stdio,	NULL },
	{ "log",		init_log,	NULL },
	{ "notify",		init_notify,	fini_notify },
	{ "privileges",		init_privs,	NULL },
	{ "pid file",		init_pidfile,	fini_pidfile },
	{ "listeners",		init_listeners,	fini_listeners },
	{ "access log",		init_access,	NULL },
	{ "loop",		init_loop,	fini_loop },
	{ "signals",		init_signals,	NULL },
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
	struct master m = { .reload = { .argc = argc, .argv = argv } };
	size_t done;

	if ((m.setup = setup_new(conf, worker)) == NULL) {
		log_err("configuration: %s", strerror(errno));
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
	if (m.announced || m.stopping)
		log_info("Finished asgid [%d]", (int)getpid());
	return m.status;
}
