/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Signals as events of the loop.  The handler marks the number and wakes the
 * loop; nothing is blocked, so children inherit no mask.  The marks are the
 * process's: one loop may catch signals.
 */
#include "loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/defs.h"
#include "loop/impl.h"

struct caught {
	loop_signal_f	*cb;
	void		*arg;
	bool		 ignored;
};

static struct {
	struct loop		*loop;
	struct caught		 caught[NSIG];
	volatile sig_atomic_t	 marked[NSIG];
	volatile sig_atomic_t	 any;
	loop_signal_now_f	*at_once;
	pid_t			 left;		/* without a loop; or 0 */
} signals;

static void
on_signal(int signo)
{
	struct loop *l = signals.loop;
	int saved = errno;

	if (signals.left != 0 && signals.left != getpid()) {
		(void)signal(signo, SIG_DFL);
		(void)raise(signo);
		errno = saved;
		return;
	}
	if (signals.at_once != NULL)
		signals.at_once(signo);
	signals.marked[signo] = 1;
	signals.any = 1;
	if (l != NULL)
		loop_wake(l);
	errno = saved;
}

static int
install(int signo, void (*handler)(int))
{
	struct sigaction sa = { .sa_flags = SA_RESTART };

	(void)sigemptyset(&sa.sa_mask);
	sa.sa_handler = handler;
	return sigaction(signo, &sa, NULL);
}

int
loop_signal(struct loop *l, int signo, loop_signal_f *cb, void *arg)
{
	void (*handler)(int) = on_signal;
	struct caught old;

	if (signo <= 0 || signo >= NSIG) {
		errno = EINVAL;
		return -1;
	}
	if (signals.loop != NULL && signals.loop != l) {
		errno = EBUSY;
		return -1;
	}
	signals.loop = l;
	signals.left = 0;
	old = signals.caught[signo];
	if (cb == NULL)
		handler = SIG_DFL;
	else if (cb == LOOP_SIGNAL_IGNORE)
		handler = SIG_IGN;
	signals.caught[signo] = (struct caught){
		.cb = cb != LOOP_SIGNAL_IGNORE ? cb : NULL,
		.arg = arg,
		.ignored = cb == LOOP_SIGNAL_IGNORE,
	};
	if (install(signo, handler) == -1) {
		signals.caught[signo] = old;
		return -1;
	}
	return 0;
}

void
loop_signals_serve(struct loop *l)
{
	signals.loop = l;
}

void
loop_signal_mark(int signo)
{
	if (signals.caught[signo].cb == NULL)
		return;
	signals.marked[signo] = 1;
	signals.any = 1;
	if (signals.loop != NULL)
		loop_wake(signals.loop);
}

void
loop_signal_again(int signo, bool over)
{
	const struct caught *c = &signals.caught[signo];
	struct sigaction now;

	if (c->cb == NULL && !c->ignored)
		return;
	if ((over && c->cb != NULL) || (sigaction(signo, NULL, &now) == 0 &&
	    now.sa_handler == SIG_DFL))
		(void)install(signo, c->ignored ? SIG_IGN : on_signal);
}

void
loop_signal_dispatch(struct loop *l)
{
	struct caught c;
	int i;

	if (LIKELY(!signals.any) || signals.loop != l)
		return;
	signals.any = 0;
	for (i = 1; i < NSIG; i++) {
		if (!signals.marked[i])
			continue;
		signals.marked[i] = 0;
		c = signals.caught[i];
		if (c.cb != NULL)
			c.cb(l, i, c.arg);
	}
}

/* Of the thread that forks, since loop_signals_hold(). */
static _Thread_local sigset_t held;

void
loop_signals_hold(void)
{
	sigset_t set;

	(void)sigfillset(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, &held);
}

void
loop_signals_release(void)
{
	(void)pthread_sigmask(SIG_SETMASK, &held, NULL);
}

/* Where a handler of somebody else stands now, it stays. */
void
loop_signal_reset(struct loop *l, sigset_t *reset)
{
	struct sigaction sa;
	int i;

	(void)sigemptyset(reset);
	if (signals.loop != l)
		return;
	for (i = 1; i < NSIG; i++) {
		signals.caught[i].ignored = false;
		if (signals.caught[i].cb == NULL)
			continue;
		signals.caught[i].cb = NULL;
		signals.marked[i] = 0;
		if (sigaction(i, NULL, &sa) == -1 || sa.sa_handler != on_signal)
			continue;
		(void)signal(i, SIG_DFL);
		(void)sigaddset(reset, i);
	}
	signals.loop = NULL;
}

void
loop_signal_at_once(loop_signal_now_f *f)
{
	signals.at_once = f;
}

void
loop_signals_leave(struct loop *l)
{
	if (signals.loop != l)
		return;
	signals.left = getpid();
	signals.loop = NULL;
}

void
loop_signal_close(struct loop *l)
{
	int i;

	if (signals.loop != l)
		return;
	for (i = 1; i < NSIG; i++)
		if (signals.caught[i].cb != NULL)
			(void)loop_signal(l, i, NULL, NULL);
	signals.loop = NULL;
}
