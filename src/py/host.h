/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The embedded interpreter: one a process, started and stopped by the
 * worker's main thread, which holds the GIL in between (the loop's wait
 * releases it).
 */
#ifndef PY_HOST_H
#define PY_HOST_H

#include "base/buf.h"
#include "conf/conf.h"

/*
 * Start Python as `python3` would have started: environment variables count,
 * packages come from python.venv (or $VIRTUAL_ENV when that is empty),
 * sys.path begins with app_dir, sys.argv is ["asgid"].  The standard library
 * is always the one of the Python we are linked to; what of it the server needs
 * is imported before app_dir can hide it.  0, or -1 after logging, with the
 * reason (one line) in *reason.
 *
 * Signals: Python's own handlers are installed as in any program (SIGPIPE is
 * ignored), but SIGINT is ignored instead of raising KeyboardInterrupt: it is
 * the master's business.  A handler that is already installed stays.
 */
int	 host_start(const struct conf *, struct buf *reason);

/*
 * End it: atexit functions run, non-daemon threads are waited for, standard
 * output is flushed.  May take as long as those threads do.  Nothing of
 * Python may be used afterwards; there is no second host_start.
 */
void	 host_stop(void);

#endif
