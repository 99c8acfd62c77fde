/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Users, groups and hosts by their names.  Whom that asks (DNS, LDAP) may not
 * answer for long, so the master lets another process ask (lookup.h) and looks
 * at the answers here.  What was not asked for before is asked at once.
 */
#ifndef MASTER_NAMES_H
#define MASTER_NAMES_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sock.h"
#include "conf/conf.h"

enum names_kind { NAMES_USER, NAMES_GROUP, NAMES_HOST };

/* Valid until the same name is learnt again. */
struct names_user {
	uid_t		 uid;
	gid_t		 gid;		/* (gid_t)-1: in no database */
	const char	*name, *home;	/* its number and "/" then */
	const gid_t	*groups;	/* others that have it as a member */
	size_t		 ngroups;
};

/* A name, or a number that needs no entry. 0, or -1: there is none. */
int	 names_user(const char *, struct names_user *);
int	 names_group(const char *, gid_t *);
/* The addresses, without a port; "" is all. 0, or what getaddrinfo(3) says,
 * with errno. */
int	 names_host(const char *, const struct sock_addr **, size_t *n);

/* The words for it. */
const char *names_host_error(int status);

/* Each name of the configuration that somebody may have to be asked for, those
 * of hosts, which strangers answer for, last. How many there are; NULL: only
 * count. */
typedef void names_f(enum names_kind, const char *, struct buf *);
size_t	 names_each(const struct conf *, names_f *, struct buf *);
/* Ask, however long it takes: the answer is added in the form that
 * names_learn() takes. */
void	 names_ask(enum names_kind, const char *, struct buf *);
/* How many answers there were, of which the first to a question counts; -1 with
 * errno: that is no such text. */
int	 names_learn(const struct buf *);
void	 names_forget(void);

#endif
