/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Text for a terminal.  What asgid answers holds words of applications and of
 * clients (an exception's text, a path): they must not command the terminal,
 * nor look like something else.
 */
#ifndef ASGICTL_PLAIN_H
#define ASGICTL_PLAIN_H

#include "base/buf.h"

enum plain_form {
	PLAIN_TEXT,
	PLAIN_COLOURED,		/* with the colours that asgid uses */
	PLAIN_JSON,		/* stays what it is for who parses it */
};

/* Append the text; what is not to be printed is shown as \x1b or \u202e.  Lines
 * and tabs stay. */
void	 plain_put(struct buf *to, const char *text, size_t len,
	    enum plain_form);

#endif
