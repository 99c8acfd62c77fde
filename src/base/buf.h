/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Growable byte buffer.  Running out of memory is remembered in `failed`
 * instead of being returned by each call: append freely, check once.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"

struct buf {
	char	*data;		/* NUL-terminated once something was put in */
	size_t	 len, cap;
	bool	 failed;
};

#define BUF_INIT	{ NULL, 0, 0, false }

void	 buf_fini(struct buf *);
/* Room for n more bytes and a NUL; returns where they go, or NULL. */
char	*buf_reserve(struct buf *, size_t n);
void	 buf_put(struct buf *, const void *, size_t);
void	 buf_puts(struct buf *, const char *);
void	 buf_putc(struct buf *, char);
void	 buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
void	 buf_vprintf(struct buf *, const char *fmt, va_list) PRINTF(2, 0);
/* Forget the contents, keep the memory. */
void	 buf_reset(struct buf *);
/* Keep the first n bytes, of more. */
void	 buf_cut(struct buf *, size_t n);
/* Drop the first n bytes. */
void	 buf_drop(struct buf *, size_t n);
/* Never NULL. */
const char *buf_str(const struct buf *);

#endif
