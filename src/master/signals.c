/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Signals of which it matters who sent them, and those that mean something to
 * other servers.  They stay blocked and are read: a terminal to which we write
 * from the background with "stty tostop" stops nobody who has SIGTTOU blocked,
 * while one who catches it would write again and again.
 */
#include "master/master_priv.h"

#include <sys/signalfd.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

/* A closed terminal is the end of who was started for the time at it. */
static void
hang_up(struct master *m)
{
	if (m->nohup || *m->setup->conf->file != '\0') {
		log_info("The terminal was closed");
		return;
	}
	log_info("The terminal was closed, shutting down");
	master_stop(m, m->stopping);
}

static void
on_hup(struct master *m, int signo UNUSED, bool terminal)
{
	if (terminal) {
		hang_up(m);
		return;
	}
	log_info("Received SIGHUP");
	(void)master_reload(m, "SIGHUP", NULL);
}

/* SIGTTIN: one worker more; SIGTTOU: one less. */
static void
on_scale(struct master *m, int signo, bool terminal)
{
	unsigned count = m->fleet.now.nseats;

	/* somebody of our group reads from or writes to it */
	if (terminal)
		return;
	log_info("Received %s", signo == SIGTTIN ? "SIGTTIN" : "SIGTTOU");
	(void)master_scale(m, signo == SIGTTIN ? count + 1 : count - 1, NULL);
}

static void
on_foreign(struct master *m UNUSED, int signo, bool terminal)
{
	const char *name = sigabbrev_np(signo);
	char number[16];

	if (terminal)		/* has another size */
		return;
	snprintf(number, sizeof(number), "%d", signo);
	log_warn("Received signal %s%s, which means nothing to asgid: see "
	    "asgid(8)", name != NULL ? "SIG" : "", name != NULL ? name :
	    number);
}

static const struct {
	int	 signo;
	void	(*act)(struct master *, int signo, bool terminal);
} heard[] = {
	{ SIGHUP,	on_hup },
	{ SIGTTIN,	on_scale },
	{ SIGTTOU,	on_scale },
	{ SIGUSR2,	on_foreign },
	{ SIGWINCH,	on_foreign },
	{ SIGALRM,	on_foreign },
	{ SIGVTALRM,	on_foreign },
	{ SIGPROF,	on_foreign },
	{ SIGIO,	on_foreign },
	{ SIGPWR,	on_foreign },
};

static void
hear(struct master *m, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	bool kernel = info->ssi_code == SI_KERNEL;
	size_t i;

	for (i = 0; i < countof(heard); i++)
		if (heard[i].signo == signo) {
			heard[i].act(m, signo, kernel);
			return;
		}
	on_foreign(m, signo, kernel);
}

static void
on_signals(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	struct master *m = container_of(io, struct master, signals);
	struct signalfd_siginfo info;

	while (read(io->fd, &info, sizeof(info)) == sizeof(info))
		hear(m, &info);
}

int
signals_init(struct master *m)
{
	sigset_t set;
	size_t i;
	int fd, signo;

	(void)sigemptyset(&set);
	for (i = 0; i < countof(heard); i++)
		(void)sigaddset(&set, heard[i].signo);
	for (signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		(void)sigaddset(&set, signo);
	if ((fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) == -1)
		return -1;
	loop_io_init(&m->signals, fd, on_signals);
	if (loop_io_set(m->loop, &m->signals, LOOP_READ) == -1) {
		fd_close(&m->signals.fd);
		return -1;
	}
	return sigprocmask(SIG_SETMASK, &set, NULL);
}

void
signals_fini(struct master *m)
{
	loop_io_del(m->loop, &m->signals);
	fd_close(&m->signals.fd);
}
