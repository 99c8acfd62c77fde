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

int
loop_signal(struct loop *l, int signo, loop_signal_f *cb, void *arg)
{
	struct sigaction sa = { .sa_flags = SA_RESTART };
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
	(void)sigemptyset(&sa.sa_mask);
	if (cb == NULL)
		sa.sa_handler = SIG_DFL;
	else if (cb == LOOP_SIGNAL_IGNORE)
		sa.sa_handler = SIG_IGN;
	else
		sa.sa_handler = on_signal;
	signals.caught[signo].cb = cb != LOOP_SIGNAL_IGNORE ? cb : NULL;
	signals.caught[signo].arg = arg;
	if (sigaction(signo, &sa, NULL) == -1) {
		signals.caught[signo] = old;
		return -1;
	}
	return 0;
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
