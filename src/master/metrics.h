/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The metrics listener: a few pages, over HTTP, from the master's loop.  It
 * keeps few and short-lived connections and never waits for one of them.
 *
 *	/metrics	for Prometheus and its like, in the dialect they ask for
 *	/		for people
 */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

#include "base/buf.h"
#include "base/sock.h"
#include "loop/loop.h"

struct metrics;

enum metrics_format { METRICS_OPENMETRICS, METRICS_PROMETHEUS, METRICS_TEXT };
/* Appends the statistics of this moment. */
typedef void metrics_render_f(enum metrics_format, struct buf *to, void *arg);

/* Listens on "host:port", as checked by the configuration. NULL after
 * logging. */
struct metrics *metrics_new(struct loop *, const char *address,
	    metrics_render_f *, void *arg);
/* Closes everything. NULLs the pointer. */
void	 metrics_free(struct metrics **);
/* The first address, with the port that the kernel chose. */
void	 metrics_text(const struct metrics *, char text[SOCK_TEXT_MAX]);

#define METRICS_HEAD_MAX	8192	/* of a request's head */

/* The answer to a request, by its head (up to the empty line, or what there
 * is of one that is too long). */
void	 metrics_answer(const char *head, size_t len, metrics_render_f *,
	    void *arg, struct buf *to);

#endif
