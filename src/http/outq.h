/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The unsent part of a response: pieces in order, each kept alive by its
 * owner until the last byte was taken.
 */
#ifndef HTTP_OUTQ_H
#define HTTP_OUTQ_H

#include "http/http.h"

struct outq {
	struct http_data *at;
	size_t		 first, end, cap;	/* at[first..end) */
	size_t		 taken;			/* of at[first] */
	size_t		 bytes;			/* in all, not taken */
};

void	 http_data_release(struct http_data *);

void	 outq_fini(struct outq *);
/* Takes over the data; 0, or -1 when out of memory (released). */
int	 outq_put(struct outq *, struct http_data);
/* Copy up to n bytes out and drop them. */
size_t	 outq_copy(struct outq *, char *to, size_t n);
/* Send what the socket takes in one call: bytes, or -1 with errno. */
ssize_t	 outq_send(struct outq *, int fd);
/* Drop everything. */
void	 outq_clear(struct outq *);

#endif
