/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/spawn.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/logfile.h"
#include "proc/birth.h"
#include "proc/chan.h"

/* ---- in the child ------------------------------------------------------- */

/*
 * Every disposition is the default's, except those of the keyboard's signals:
 * a terminal sends them to the whole group, but only the master acts on them.
 * Ignored before the mask is lifted, so that there is no moment in which they
 * would kill.
 */
void
spawn_reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct sigaction ign = { .sa_handler = SIG_IGN };
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		(void)sigaction(i, i == SIGINT || i == SIGQUIT ? &ign : &dfl,
		    NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Before Linux 5.11 */
static int
close_on_exec_each(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int fd;

	if (dir == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL)
		if ((fd = atoi(e->d_name)) > STDERR_FILENO)
			(void)fd_set_cloexec(fd, true);
	closedir(dir);
	return 0;
}

/* Also those that somebody else opened and left to us. */
static int
close_others_on_exec(void)
{
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U,
	    CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	return close_on_exec_each();
}

/* Whoever shares a descriptor can have the others wait: without O_NONBLOCK for
 * who reads the pipe or the terminal. Before the change of user. */
static void
part_logs(const struct birth *b)
{
	const int fds[] = { b->error_fd, b->access_fd };
	size_t i;
	int own;

	for (i = 0; i < countof(fds); i++) {
		if (fds[i] <= STDERR_FILENO ||
		    (own = logfile_own(fds[i])) == -1)
			continue;
		(void)dup3(own, fds[i], O_CLOEXEC);
		close(own);
	}
}

static NORETURN void
become_worker(const struct spawn *s, const struct birth *b, pid_t master)
{
	char number[16];		/* for who looks at processes */
	char *const argv[] = { (char *)(uintptr_t)s->worker, number, NULL };
	const char *what = s->worker;

	snprintf(number, sizeof(number), "%u", b->id);
	/* before the change of user: it may be closed to that one */
	if (s->folder != -1 && fchdir(s->folder) == -1) {
		what = "working directory";
		goto fail;
	}
	part_logs(b);
	if (privs_apply(s->privs) == -1) {
		what = "user and groups";
		goto fail;
	}
	spawn_reset_signals();
	/* after the change of user, which would clear it; the master may
	 * have died before */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1)
		goto fail;
	if (getppid() != master)
		_exit(EXIT_FAILURE);
	if (close_others_on_exec() == 0 && birth_export(b) == 0)
		execv(s->worker, argv);
fail:
	log_crit("cannot start a worker: %s: %s", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

#define NO_ENDS	{ -1, -1, false }

/* ---- in the master ------------------------------------------------------ */

static int
conf_memfd(const struct conf *conf)
{
	struct buf text = BUF_INIT;
	int fd = -1;

	conf_print(conf, &text);
	if (text.failed)
		errno = ENOMEM;
	else if ((fd = fd_memfd("asgid.conf", text.data, text.len)) != -1 &&
	    fd_set_cloexec(fd, true) == -1)
		fd_close(&fd);
	buf_fini(&text);
	return fd;
}

static void
fill(struct birth *b, const struct spawn *s)
{
	size_t i;

	b->error_fd = log_fd();
	b->access_fd = s->access_fd;
	b->nlisteners = s->listeners->len;
	for (i = 0; i < b->nlisteners; i++)
		b->listeners[i] = s->listeners->at[i].fd;
}

/* Handlers of the master must not run in the child: it is born with every
 * signal blocked. */
pid_t
spawn_fork(void)
{
	sigset_t all, former;
	pid_t pid;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &former);
	if ((pid = fork()) != 0)
		(void)sigprocmask(SIG_SETMASK, &former, NULL);
	return pid;
}

/* No race: the number is not free again before we reap it. Before Linux 5.3,
 * and where a container's filter is older than that, there are none. */
static int
open_pidfd(pid_t pid)
{
	static bool told;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd == -1 && !told) {
		told = true;
		log_info("pidfd_open: %s: asgid hears of the ends of workers "
		    "by SIGCHLD", strerror(errno));
	}
	return fd;
}

int
spawn_worker(const struct spawn *s, unsigned id, unsigned generation,
    int stats_fd, struct spawned *to)
{
	struct birth b = { .id = id, .generation = generation,
	    .channel = NO_ENDS, .conf_fd = -1, .stats_fd = stats_fd };
	const char *what = "memfd_create";
	pid_t master = getpid();
	int saved;

	*to = (struct spawned){ -1, -1, NO_ENDS };
	fill(&b, s);
	if ((b.conf_fd = conf_memfd(s->conf)) == -1)
		goto fail;
	what = "channel";
	if (chan_pair(&to->channel, &b.channel) == -1)
		goto fail;
	what = "fork";
	if ((to->pid = spawn_fork()) == 0)
		become_worker(s, &b, master);
	if (to->pid == -1)
		goto fail;
	to->pidfd = open_pidfd(to->pid);
	chan_close(&b.channel);
	fd_close(&b.conf_fd);
	return 0;
fail:
	saved = errno;
	log_err("cannot start a worker: %s: %s", what, strerror(errno));
	chan_close(&to->channel);
	chan_close(&b.channel);
	fd_close(&b.conf_fd);
	errno = saved;
	return -1;
}
