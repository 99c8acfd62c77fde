/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an application's messages do to its response.
 */
#ifndef APP_RESPONSE_H
#define APP_RESPONSE_H

#include "py/py.h"

#include "app/cycle.h"
#include "conf/conf.h"

/* 0, or -1 with an exception. */
int	 response_init(const struct conf *);

/* Take a message. 0, or -1 with an exception. Runs the application's code. */
int	 response_send(struct cycle *, PyObject *message);
/* Answer with a status and a short text, if nothing was sent. */
void	 response_error(struct cycle *, unsigned status, const char *text);

/* asgid.ClientDisconnected, a subclass of OSError; borrowed. */
PyObject *response_disconnected(void);

#endif
