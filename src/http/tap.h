/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What libmicrohttpd does not tell: whose request it is busy with when it
 * refuses one by itself, and that a head has begun to arrive.  Both show in
 * its calls of recv().  So the worker puts its own recv() before the C
 * library's, and reports what passes while the library runs.
 */
#ifndef HTTP_TAP_H
#define HTTP_TAP_H

#include <sys/types.h>

/* `n` is what recv() returned. */
typedef void tap_f(void *arg, int fd, ssize_t n);

/* From now on in this thread; NULL ends it. */
void	 tap_open(tap_f *, void *arg);

#endif
