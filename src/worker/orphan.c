/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker/orphan.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/log.h"
#include "proc/deadline.h"

/* Without a limit one that takes part may take for ever; but who is to find
 * out that it does not? */
#define STUCK_ANYHOW	(30 * NSEC_PER_SEC)

static struct {
	timer_t		 timer;
	bool		 made;
	pid_t		 own, master;
	nsec_t		 stuck, draining;	/* draining 0: no limit */
	volatile sig_atomic_t set, prolonged;
} self;

static void
set_timer(nsec_t in)
{
	const struct itimerspec spec = { .it_value = {
	    .tv_sec = (time_t)(in / NSEC_PER_SEC),
	    .tv_nsec = (long)(in % NSEC_PER_SEC) } };

	(void)timer_settime(self.timer, 0, &spec, NULL);
}

/* Timers are not inherited: in a child of the worker this one's number may
 * be another's. */
static bool
is_orphan(void)
{
	return self.made && getppid() != self.master && getpid() == self.own;
}

void
orphan_init(nsec_t graceful, nsec_t shutdown)
{
	/* to this process as a whole, and not to be caught or blocked */
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
	    .sigev_signo = SIGKILL };

	self.own = getpid();
	self.master = getppid();
	self.stuck = deadline_to_end(graceful, shutdown, false);
	if (self.stuck == 0)
		self.stuck = STUCK_ANYHOW;
	self.draining = deadline_to_end(graceful, shutdown, true);
	self.made = timer_create(CLOCK_MONOTONIC, &event, &self.timer) == 0;
	if (!self.made)
		log_warn("timer_create: %s", strerror(errno));
}

void
orphan_on_signal(int signo UNUSED)
{
	if (self.set || !is_orphan())
		return;
	self.set = 1;
	set_timer(self.stuck);
}

void
orphan_takes_part(void)
{
	if (self.prolonged || !is_orphan())
		return;
	self.set = self.prolonged = 1;
	set_timer(self.draining);
}
