/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/master.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
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
#include "master/spawn.h"

enum { STATUS_OK = 0, STATUS_RUNTIME = 1 };

struct master {
	const struct conf	*conf;
	const char		*worker;
	struct loop		*loop;
	struct privs		 privs;
	struct listeners	 listeners;
	struct notify		 notify;
	struct pidfile		 pidfile;
	int			 access_fd;
	struct spawn		 spawn;
	struct fleet		 fleet;
	bool			 announced;	/* "running on" was logged */
	bool			 ready;		/* READY=1 was sent */
	bool			 stopping;
	int			 status;
};

/* ---- stopping ----------------------------------------------------------- */

/* The master's copies go first: with the workers' they are what keeps the
 * port open, and new connections shall be refused at once. */
static void
stop(struct master *m, bool now)
{
	if (!m->stopping) {
		m->stopping = true;
		notify_send(&m->notify, "STOPPING=1\nSTATUS=Shutting down");
	}
	fleet_stop(&m->fleet, now);
	listeners_close(&m->listeners);
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

static bool
is_file(const char *sink)
{
	return strcmp(sink, "stderr") != 0 && strcmp(sink, "stdout") != 0 &&
	    strcmp(sink, "syslog") != 0 && strcmp(sink, "off") != 0;
}

static int
open_access(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static int
reopen_access(struct master *m)
{
	int fd = open_access(m->conf->log_access), rv;

	if (fd == -1)
		return -1;
	rv = dup3(fd, m->access_fd, O_CLOEXEC);
	close(fd);
	return rv;
}

/* The workers may not be allowed to open them: they get the descriptors. */
static void
on_reopen_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg)
{
	struct master *m = arg;
	bool error = is_file(m->conf->log_error);
	bool access = is_file(m->conf->log_access), failed = false;
	int fds[2];
	size_t n = 0;

	if (error && log_reopen() == -1) {
		log_err("log.error: %s: %s", m->conf->log_error,
		    strerror(errno));
		failed = true;
		error = false;
	}
	if (access && reopen_access(m) == -1) {
		log_err("log.access: %s: %s", m->conf->log_access,
		    strerror(errno));
		failed = true;
		access = false;
	}
	if (error)
		fds[n++] = log_fd();
	if (access)
		fds[n++] = m->access_fd;
	if (n > 0)
		fleet_reopen(&m->fleet, n == 2 ? "error access" :
		    error ? "error" : "access", fds, n);
	if (!failed)
		log_info("Log files reopened");
}

static void
on_reload_signal(struct loop *loop UNUSED, int signo UNUSED, void *arg UNUSED)
{
	log_warn("reload is not supported yet: restart asgid instead");
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
	char text[LISTENER_TEXT_MAX];
	size_t i;

	m->announced = true;
	for (i = 0; i < m->listeners.len; i++) {
		listener_text(&m->listeners.at[i], text);
		log_info("asgid running on %s%s", text,
		    i + 1 == m->listeners.len ? " (Press CTRL+C to quit)" :
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
	notify_send(&m->notify, "STATUS=%u of %u workers serve", f->serving,
	    f->nseats);
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
	const struct conf *conf = m->conf;

	if (log_open(conf->log_error, (enum log_level)conf->log_level,
	    "asgid") == 0)
		return STATUS_OK;
	log_err("log.error: %s: %s", conf->log_error, strerror(errno));
	return STATUS_RUNTIME;
}

static int
init_access(struct master *m)
{
	const char *sink = m->conf->log_access;

	m->access_fd = strcmp(sink, "off") == 0 ? -1 :
	    strcmp(sink, "stdout") == 0 ? STDOUT_FILENO :
	    strcmp(sink, "stderr") == 0 ? STDERR_FILENO : open_access(sink);
	if (m->access_fd != -1 || !is_file(sink))
		return STATUS_OK;
	log_err("log.access: %s: %s", sink, strerror(errno));
	return STATUS_RUNTIME;
}

static void
fini_access(struct master *m)
{
	if (m->access_fd > STDERR_FILENO)
		fd_close(&m->access_fd);
}

static int
init_privs(struct master *m)
{
	int status = privs_init(&m->privs, m->conf);

	if (status == STATUS_OK)
		privs_raise_nofile(m->conf);
	return status;
}

static void
fini_privs(struct master *m)
{
	privs_fini(&m->privs);
}

static int
init_listeners(struct master *m)
{
	return listeners_open(&m->listeners, m->conf) == 0 ? STATUS_OK :
	    STATUS_RUNTIME;
}

static void
fini_listeners(struct master *m)
{
	listeners_close(&m->listeners);
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
	return pidfile_init(&m->pidfile, m->conf->pid_file) == 0 ?
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
	m->spawn = (struct spawn){
		.worker = m->worker, .conf = m->conf, .privs = &m->privs,
		.listeners = &m->listeners, .access_fd = m->access_fd,
	};
	if (fleet_init(&m->fleet, m->loop, &m->spawn, conf_workers(m->conf),
	    &fleet_ops) == 0)
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
 * before workers inherit it, and workers are last.
 */
static const struct step {
	const char	*name;
	int		(*init)(struct master *);	/* exit status */
	void		(*fini)(struct master *);
} steps[] = {
	{ "standard descriptors",	init_stdio,	NULL },
	{ "log",		init_log,	NULL },
	{ "notify",		init_notify,	fini_notify },
	{ "privileges",		init_privs,	fini_privs },
	{ "pid file",		init_pidfile,	fini_pidfile },
	{ "listeners",		init_listeners,	fini_listeners },
	{ "access log",		init_access,	fini_access },
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
master_run(const struct conf *conf, const char *worker)
{
	struct master m = { .conf = conf, .worker = worker };
	size_t done;

	m.status = start(&m, &done);
	if (m.status == STATUS_OK) {
		log_info("Started asgid [%d]", (int)getpid());
		if (loop_run(m.loop) == -1)
			m.status = STATUS_RUNTIME;
	}
	while (done > 0)
		if (steps[--done].fini != NULL)
			steps[done].fini(&m);
	if (m.announced || m.stopping)
		log_info("Finished asgid [%d]", (int)getpid());
	return m.status;
}
