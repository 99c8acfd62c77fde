/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What one configuration amounts to: everything that workers are made from.
 * A reload makes a second one beside the first and drops one of the two.
 */
#ifndef MASTER_SETUP_H
#define MASTER_SETUP_H

#include "conf/conf.h"
#include "master/listen.h"
#include "master/privs.h"
#include "master/spawn.h"

struct setup {
	struct conf		*conf;
	struct privs		 privs;
	struct listeners	 listeners;
	int			 access_fd;	/* -1: no access log */
	int			 folder;	/* the working directory */
	struct spawn		 spawn;		/* points to the above */
};

/* Nothing is opened yet but the working directory, which is that of its
 * workers, whatever becomes ours later. Takes over conf, also when it fails
 * (NULL, errno); `worker` must outlive it, and so must the statistics that
 * spawn wants. */
struct setup *setup_new(struct conf *, const char *worker);
/* Closes and frees all; NULLs the pointer. */
void	 setup_free(struct setup **);

/* Of log.access: a file, or one of the words for what needs no opening? */
bool	 setup_is_file(const char *sink);
/* The error log, with its level. 0, or -1 after logging: it is what it was. */
int	 setup_open_error(const struct setup *);
/* The same when `former` has the one that is in use. */
int	 setup_change_error(const struct setup *, const struct setup *former);
/* The access log; the descriptor of `former` (NULL: none) if its name is the
 * same. 0, or -1 after logging. */
int	 setup_open_access(struct setup *, const struct setup *former);
/* Again by their names, under the same numbers: which of them are files and
 * are open again; false after logging: not all that are. */
bool	 setup_reopen(const struct setup *, bool *error, bool *access);

#endif
