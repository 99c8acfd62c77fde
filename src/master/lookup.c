/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/lookup.h"

#include <sys/prctl.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/str.h"
#include "master/helper.h"
#include "master/names.h"
#include "master/spawn.h"

/* Or timeouts.startup, if that is less. */
#define PATIENCE	(10 * NSEC_PER_SEC)
/* Far more than any number of names and groups. */
#define ANSWERS_MAX	(4 * 1024 * 1024)
/* "nobody", whom we must not ask for */
#define NOBODY		65534

struct lookup {
	struct loop		*loop;
	struct loop_io		 io;
	struct loop_timer	 deadline;
	pid_t			 pid;
	size_t			 wanted;	/* answers */
	nsec_t			 patience;
	struct buf		 text;
	lookup_f		*cb;
	void			*arg;
};

/* ---- in the child ------------------------------------------------------- */

static int
become_nobody(void)
{
	return geteuid() != 0 ? 0 : setgroups(0, NULL) == -1 ||
	    setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1 ? -1 : 0;
}

static struct {
	int		 fd;		/* to the master */
} child;

/* It is away before the next is asked for: a name server that takes this
 * process over cannot tell who the workers' user is. */
static void
ask(enum names_kind kind, const char *name, struct buf *text)
{
	names_ask(kind, name, text);
	if (text->failed || fd_write_all(child.fd, text->data,
	    text->len) == -1)
		_exit(EXIT_FAILURE);
	buf_reset(text);
}

static NORETURN void
ask_all(const struct conf *conf, int fd, pid_t master)
{
	struct buf text = BUF_INIT;

	if ((child.fd = helper_keep_only(fd)) == -1 || become_nobody() == -1)
		_exit(EXIT_FAILURE);
	spawn_reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != master)
		_exit(EXIT_FAILURE);
	(void)names_each(conf, ask, &text);
	_exit(EXIT_SUCCESS);
}

/* ---- in the master ------------------------------------------------------ */

static struct lookup *
start(const struct conf *conf, size_t wanted)
{
	struct lookup *l = calloc(1, sizeof(*l));
	pid_t master = getpid();
	int fds[2] = { -1, -1 }, saved;

	if (l == NULL || pipe2(fds, O_CLOEXEC) == -1 ||
	    (l->pid = helper_fork()) == -1) {
		saved = errno;
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		free(l);
		errno = saved;
		return NULL;
	}
	if (l->pid == 0)
		ask_all(conf, fds[1], master);
	fd_close(&fds[1]);
	(void)fd_set_nonblock(fds[0], true);
	l->io.fd = fds[0];
	l->wanted = wanted;
	return l;
}

/* 1: all is here, 0: more will come, -1 with errno. */
static int
hear(struct lookup *l)
{
	char *at;
	ssize_t n;

	do {
		if (l->text.len > ANSWERS_MAX) {
			errno = EMSGSIZE;
			return -1;
		}
		if ((at = buf_reserve(&l->text, 16384)) == NULL)
			return -1;
		if ((n = read(l->io.fd, at, 16384)) > 0)
			l->text.len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	if (names_learn(&l->text) == (int)l->wanted)
		return 1;
	errno = ECHILD;
	return -1;
}

static void
end(struct lookup *l)
{
	loop_timer_del(l->loop, &l->deadline);
	loop_io_del(l->loop, &l->io);
	fd_close(&l->io.fd);
	buf_fini(&l->text);
	helper_end(l->pid);
	free(l);
}

static void
finish(struct lookup *l, const char *why)
{
	lookup_f *cb = l->cb;
	void *arg = l->arg;

	end(l);
	cb(arg, why);
}

static void
on_answers(struct loop *loop UNUSED, struct loop_io *io,
    unsigned revents UNUSED)
{
	struct lookup *l = container_of(io, struct lookup, io);
	int rv = hear(l);

	if (rv != 0)
		finish(l, rv == 1 ? NULL :
		    "the process that looks up names has failed");
}

static void
on_deadline(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct lookup *l = container_of(t, struct lookup, deadline);
	char limit[32], text[96];

	str_from_duration(l->patience, limit);
	snprintf(text, sizeof(text), "names of users, groups or hosts are not "
	    "known after %s", limit);
	finish(l, text);
}

int
lookup_begin(struct lookup **lp, struct loop *loop, const struct conf *conf,
    lookup_f *cb, void *arg)
{
	size_t wanted = names_each(conf, NULL, NULL);
	struct lookup *l;

	*lp = NULL;
	if (wanted == 0)
		return 0;
	if ((l = start(conf, wanted)) == NULL)
		return -1;
	l->loop = loop;
	l->cb = cb;
	l->arg = arg;
	l->patience = conf->timeouts_startup > 0 &&
	    conf->timeouts_startup < PATIENCE ? conf->timeouts_startup :
	    PATIENCE;
	loop_io_init(&l->io, l->io.fd, on_answers);
	loop_timer_init(&l->deadline, on_deadline);
	if (loop_io_set(loop, &l->io, LOOP_READ) == -1) {
		end(l);
		return -1;
	}
	loop_timer_set(loop, &l->deadline, mono_now() + l->patience);
	*lp = l;
	return 1;
}

void
lookup_cancel(struct lookup **lp)
{
	if (*lp != NULL)
		end(*lp);
	*lp = NULL;
}

/* ---- at the start ------------------------------------------------------- */

static const int fatal_signals[] = { SIGTERM, SIGINT, SIGQUIT };

/* Of process 1, which is spared what it does not catch. */
static void
on_fatal(int signo)
{
	_exit(128 + signo);
}

int
lookup_wait(const struct conf *conf)
{
	size_t wanted = names_each(conf, NULL, NULL), i;
	struct sigaction end = { .sa_handler = getpid() == 1 ? on_fatal :
	    SIG_DFL };
	struct pollfd p = { .events = POLLIN };
	struct lookup *l;
	sigset_t mask;
	int rv, saved;

	if (wanted == 0)
		return 0;
	if ((l = start(conf, wanted)) == NULL)
		return -1;
	(void)sigfillset(&mask);
	for (i = 0; i < countof(fatal_signals); i++) {
		(void)sigaction(fatal_signals[i], &end, NULL);
		(void)sigdelset(&mask, fatal_signals[i]);
	}
	p.fd = l->io.fd;
	while ((rv = hear(l)) == 0)
		(void)ppoll(&p, 1, NULL, &mask);
	saved = errno;
	fd_close(&l->io.fd);
	buf_fini(&l->text);
	helper_end(l->pid);
	free(l);
	errno = saved;
	return rv == 1 ? 0 : -1;
}
