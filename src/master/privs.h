/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who the workers are: user, groups, umask, and what they can never become;
 * and how many files they may open.  Resolved once by the master, applied in
 * each child before exec.
 */
#ifndef MASTER_PRIVS_H
#define MASTER_PRIVS_H

#include <sys/types.h>

#include <stdbool.h>

#include "conf/conf.h"

struct privs {
	bool		 confined;	/* no privileges by exec */
	bool		 drop;		/* change to what follows */
	uid_t		 uid;
	gid_t		 gid;
	gid_t		*groups;	/* all of them, gid included */
	int		 ngroups;
	char		*user, *home;	/* NULL: environment is left alone */
	mode_t		 umask;
};

/* From user, group and umask of the configuration. 0, or the exit status
 * after logging. */
int	 privs_init(struct privs *, const struct conf *);
void	 privs_fini(struct privs *);
/* In the child: become that user, in a session of its own when that is a
 * change. 0, or -1 with errno. */
int	 privs_apply(const struct privs *);

/* Raise RLIMIT_NOFILE to what limits.connections needs, or warn. */
void	 privs_raise_nofile(const struct conf *);

/* A name, or a number that needs no entry. 0, or -1: there is none. *gid is
 * the user's own group, or (gid_t)-1 if only the number is known; NULL: not
 * wanted. */
int	 privs_find_user(const char *, uid_t *, gid_t *);
int	 privs_find_group(const char *, gid_t *);

#endif
