/* SPDX-License-Identifier: BSD-3-Clause
 *
 * receive and send, as they are handed to an application: two callables that
 * refer to their owner.  To whoever inspects them they are coroutine
 * functions.
 */
#ifndef APP_PORT_H
#define APP_PORT_H

#include "app/await.h"

/* What all ports need. The calling thread is the loop's. 0, or -1 with an
 * exception. */
int	 port_init(PyObject *aloop);

/* New reference, or NULL with an exception. */
PyObject *port_receive(struct port_owner *);
PyObject *port_send(struct port_owner *);

#endif
