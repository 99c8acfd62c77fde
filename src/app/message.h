/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The messages of send(), taken apart.
 */
#ifndef APP_MESSAGE_H
#define APP_MESSAGE_H

#include "py/py.h"

#include <stdbool.h>

#include "http/http.h"

/* New reference to message[key]; NULL without an exception if it is missing,
 * with one if the message cannot be asked. Any Mapping is a message. */
PyObject *message_get(PyObject *message, PyObject *key);
/* Its type: new reference to a str, or NULL with an exception. */
PyObject *message_type(PyObject *message);

/*
 * A message of an HTTP response in plain terms.  Taking it apart may run code
 * of the application's: that of a Mapping, of an iterator of headers, of a
 * __bool__.  That code may end the exchange, or send as well.  So nothing is
 * decided before it is over, and nothing of the application's runs after it.
 */
enum message_kind { MESSAGE_START, MESSAGE_BODY, MESSAGE_UNKNOWN };

struct message {
	PyObject	*type;		/* str */
	enum message_kind kind;
	unsigned	 status;
	PyObject	*headers;	/* list or tuple of pairs of bytes */
	struct http_data body;
	bool		 more;
};

/* Its type and kind, then the rest. 0, or -1 with an exception; message_end is
 * due in all cases. */
int	 message_begin(struct message *, PyObject *message);
int	 message_read(struct message *, PyObject *message);
void	 message_end(struct message *);

#endif
