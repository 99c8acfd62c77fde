/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Writes JSON into a buffer: commas, escapes and nesting.  Whatever a text
 * holds, the outcome is one valid document in UTF-8.  Running out of memory is
 * remembered by the buffer.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json {
	struct buf	*to;
	bool		 comma;		/* before the next value */
};

#define JSON_INIT(buf)	{ (buf), false }

/* `key` is NULL for an array's elements and for the outermost value. */

/* '{' or '[' .. */
void	 json_open(struct json *, const char *key, char bracket);
/* .. and the '}' or ']' that goes with it. */
void	 json_close(struct json *, char bracket);
/* Bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
void	 json_str(struct json *, const char *key, const char *);
void	 json_uint(struct json *, const char *key, uint64_t);
void	 json_int(struct json *, const char *key, int64_t);
/* As short as it reads back to the same; NaN and infinity become null. */
void	 json_num(struct json *, const char *key, double);
void	 json_null(struct json *, const char *key);

#endif
