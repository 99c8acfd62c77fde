/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What becomes of a Python exception that reaches C: the place that decides
 * about it ends it with one of these calls, everybody in between returns -1
 * or NULL and leaves it pending.  SystemExit, KeyboardInterrupt and
 * GeneratorExit are exceptions like any other here: they end no process.
 *
 * All functions need the GIL.
 */
#ifndef PY_ERROR_H
#define PY_ERROR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/log.h"
#include "py/py.h"

/*
 * Log the pending exception whole: the given line, then the traceback with
 * causes, contexts, notes and the members of groups, in one piece.  The
 * exception is gone afterwards.  Without a pending exception only the line
 * is written.
 */
void	 error_log(enum log_level, const char *fmt, ...) PRINTF(2, 3);

/* The same for an exception at hand (borrowed), NULL for none; what is
 * pending stays as it is. */
void	 error_log_exc(enum log_level, PyObject *exc, const char *fmt, ...)
	    PRINTF(3, 4);

/* Append "ValueError: what it says" for the pending exception, on one line,
 * and leave it pending. Nothing pending: nothing is appended. */
void	 error_last_line(struct buf *);
/* The same for an exception at hand (borrowed). */
void	 error_line_of(PyObject *exc, struct buf *);

/* Take the pending exception, normalised and with its traceback attached;
 * NULL when there is none. New reference. */
PyObject *error_take(void);
/* Make it pending again; steals. NULL: nothing happens. */
void	 error_restore(PyObject *exc);

/* Forget the pending exception, with one line of debug log saying where. */
void	 error_swallow(const char *where);
/* Forget it if it is an instance of this type: true if it was. */
bool	 error_swallow_type(PyObject *type);

#endif
