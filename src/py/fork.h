/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Processes that the application forks off the worker: os.fork() and what is
 * made of it, multiprocessing above all.  (What execs at once, subprocess,
 * does not come by here.)
 *
 * Such a child is a program like any other: the signals that the server
 * catches do there what they do by default, and nothing of the server's is
 * open.  But the server's code is still below it on the stack.  Wherever the
 * child comes back to it, it ends: it must not serve, answer, count, or run
 * what else is ready in the loop.
 */
#ifndef PY_FORK_H
#define PY_FORK_H

#include "py/py.h"

#include "base/defs.h"

/* In the child, before code of the application runs: close what is the
 * server's. The loop's descriptors are closed by then. */
typedef void fork_f(void *arg);

/* Watch over forks from now on. 0, or -1 with an exception. */
int	 fork_init(fork_f *, void *arg);
/* That is the server's loop. */
void	 fork_serve(PyObject *aloop);

/* Is this process such a child? */
extern bool fork_in_child;
/* Is that the loop which fork_serve() was given? */
bool	 fork_is_servers(PyObject *aloop);

/*
 * End it.  A pending SystemExit names the status, another exception is logged
 * (1); with none, what it `did` is logged (1), or that it came back (NULL: 0).
 */
void	 fork_leave(const char *did) NORETURN;

/* To be asked wherever the application's code returns to ours, or calls what
 * speaks with a client. */
static inline void
fork_check(const char *did)
{
	if (UNLIKELY(fork_in_child))
		fork_leave(did);
}

#endif
