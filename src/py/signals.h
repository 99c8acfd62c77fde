/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Signals that both the server and the application want.  The server catches
 * by loop_signal(); Python knows a callable of ours for each of them, which
 * code of the application may call or set again, as it does with the handlers
 * of any server.  Whatever handler it sets, and whenever, the server's own
 * action stays.
 */
#ifndef PY_SIGNALS_H
#define PY_SIGNALS_H

#include "py/py.h"

/* signal.signal() obeys the above from now on. 0, or -1 with an exception. */
int	 signals_init(void);

/*
 * Tell Python of a signal that loop_signal() catches or ignores.  With `over`,
 * the server's handler stands over those of the application, and signals_pass()
 * calls theirs; without, theirs stands, and ours in the place of the default
 * action only.  0, or -1 with an exception.
 */
int	 signals_share(int signo, bool over);

/*
 * The signal has come: call the handler of the application, if there is one.
 * The process ends by it anyway if `ends` is true: that the handler asks for
 * this too is no error.  Errors go to aloop_failed().
 */
void	 signals_pass(PyObject *aloop, int signo, bool ends);

/* Borrowed: what Python knows where no handler of the application is set. */
PyObject *signals_ours(void);

#endif
