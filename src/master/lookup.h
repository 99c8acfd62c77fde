/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A process of no privilege that looks up the names of a configuration, while
 * the master goes on.  Its answers are in names.h afterwards.
 */
#ifndef MASTER_LOOKUP_H
#define MASTER_LOOKUP_H

#include <stdbool.h>

#include "conf/conf.h"
#include "loop/loop.h"

struct lookup;
/* It is over (and freed): NULL, or why the names are not known. */
typedef void lookup_f(void *arg, const char *why);

/* 1: begun, the callback follows; 0: no name needs it; -1 with errno. */
int	 lookup_begin(struct lookup **, struct loop *, const struct conf *,
	    lookup_f *, void *arg);
/* No callback any more. NULLs the pointer. */
void	 lookup_cancel(struct lookup **);
/*
 * At the start: wait for it, however long.  The signals that end a process
 * (SIGTERM, SIGINT, SIGQUIT) do so at once, others wait.  0, or -1 with errno.
 */
int	 lookup_wait(const struct conf *);

#endif
