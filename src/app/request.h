/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The events of an HTTP request.
 */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include "py/py.h"

#include "app/cycle.h"

/* 0, or -1 with an exception. */
int	 request_init(void);

/* The next event for the application, new reference; NULL without an
 * exception when there is none yet. */
PyObject *request_receive(struct cycle *);

#endif
