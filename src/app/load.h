/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From "module:attribute" to something that can be called as an ASGI 3
 * application.
 */
#ifndef APP_LOAD_H
#define APP_LOAD_H

#include "py/py.h"

#include "base/buf.h"
#include "conf/conf.h"

struct app {
	/*
	 * callable(scope, receive, send) returns a coroutine object, always:
	 * ASGI 2 applications and those that return some other awaitable are
	 * wrapped.  It may raise.  Owned.
	 */
	PyObject	*callable;
	const char	*version;	/* asgi.version of its scopes: static */
};

/*
 * Import and, for factories, make the application that conf names.  0, or -1
 * after logging, with the reason (one line) in *reason; app_free is due only
 * after 0.  The process should end with status 3 then.
 */
int	 app_load(struct app *, const struct conf *, struct buf *reason);
void	 app_free(struct app *);

/* The function `name` that this Python code defines: for the few lines that
 * Python says better than C. New reference, or NULL with an exception. */
PyObject *app_define(const char *code, const char *name);

#endif
