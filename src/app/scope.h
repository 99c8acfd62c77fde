/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scope of an HTTP request (ASGI HTTP specification, 2.5).
 */
#ifndef APP_SCOPE_H
#define APP_SCOPE_H

#include "py/py.h"

#include "app/load.h"
#include "conf/conf.h"
#include "http/http.h"

/* 0, or -1 with an exception. `state` is borrowed until scope_fini. */
int	 scope_init(const struct conf *, const struct app *, PyObject *state);
void	 scope_fini(void);

/* New reference to a fresh dict, or NULL with an exception. */
PyObject *scope_new(const struct http_req *);
/* A connection has ended: release what scope_new kept for it. */
void	 scope_forget(struct http_ends *);

#endif
