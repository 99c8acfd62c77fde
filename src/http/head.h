/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The head of a response: status and header fields, checked while they are
 * put in, kept as NUL-terminated texts in one buffer that is used again for
 * the next response.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_LENGTH_NONE	(-1)

struct http_head {
	unsigned	 status;
	struct buf	 text;		/* name NUL value NUL ... */
	size_t		 nfields;
	int64_t		 length;	/* or HTTP_LENGTH_NONE */
	bool		 close;		/* Connection holds "close" */
	bool		 has_date, has_server;
};

enum http_head_error {
	HTTP_HEAD_OK,
	HTTP_HEAD_NAME,		/* no token (RFC 9110 5.6.2) */
	HTTP_HEAD_VALUE,	/* control characters (RFC 9110 5.5) */
	HTTP_HEAD_LENGTH,	/* bad or contradicting Content-Length */
};

void	 http_head_init(struct http_head *);
void	 http_head_fini(struct http_head *);
void	 http_head_reset(struct http_head *, unsigned status);
/* A copy of its own; check text.failed. */
void	 http_head_copy(struct http_head *to, const struct http_head *);
/*
 * Add a field. Content-Length is taken out into head->length, Connection is
 * reduced to head->close, Transfer-Encoding is dropped: framing is the
 * server's.
 */
enum http_head_error http_head_add(struct http_head *, const char *name,
	    size_t nlen, const char *value, size_t vlen);

/* Walk the fields: start with *pos = 0; false at the end. */
bool	 http_head_next(const struct http_head *, size_t *pos,
	    const char **name, const char **value);

/* Character classes of RFC 9110 5.6.2 and 5.5. */
bool	 http_is_token(const char *, size_t);
bool	 http_is_field_value(const char *, size_t);

/* "OK", "Not Found", ... or "" */
const char *http_reason(unsigned status);

#endif
