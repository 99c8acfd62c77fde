/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared by watch.c, which hears of changes, and folders.c, which knows the
 * folders that they happen in.
 */
#ifndef MASTER_WATCH_PRIV_H
#define MASTER_WATCH_PRIV_H

#include <limits.h>

#include "base/list.h"
#include "loop/loop.h"
#include "master/pick.h"
#include "master/watch.h"

enum kind {
	NO_FOLDER,
	FOLDER,
	LINK,			/* .. under the name of a link to it */
	ROOT,			/* .. named by the user */
};

struct folder {
	struct list	 unread;	/* its entries are still to be seen */
	int		 wd;
	enum kind	 kind;
	bool		 counts;	/* has, or had, a file that counts */
	char		*path;		/* absolute; with links below a root */
};

struct watch {
	struct loop		*loop;
	struct loop_io		 io;
	struct loop_timer	 quiet;		/* armed while changes wait */
	struct loop_timer	 lost;		/* .. while one is gone */
	nsec_t			 delay;
	watch_f			*cb;
	void			*arg;
	struct pick		 pick;
	struct conf_list	 roots;		/* absolute */
	char			*cwd;		/* "/x/", NULL: unknown */
	struct folder		**folders;	/* by wd */
	size_t			 nfolders;
	struct list		 unread;
	struct conf_list	 links;		/* still to be followed */
	struct conf_list	 dangling;	/* were followed before */
	struct conf_list	 changed;
	unsigned		 uncounted;
	bool			 full;		/* no more watches, was said */
};

/* ---- watch.c ------------------------------------------------------------- */

/* This has changed; an absolute path. */
void	 watch_add_change(struct watch *, const char *path);
/* A root or a linked folder is gone: look for it from time to time. */
void	 watch_look(struct watch *);

/* ---- folders.c ----------------------------------------------------------- */

/* By the number of its watch, or NULL. */
struct folder *folders_find(const struct watch *, int wd);
/* Watch one folder; what is in it comes by folders_read(). 0, or -1 after
 * logging. */
int	 folders_add(struct watch *, const char *path, enum kind);
/* Read all that were added, and add what they hold; `is_change`: the files
 * in them are changes. 0, or -1 after logging. */
int	 folders_read(struct watch *, bool is_change);
/* The kernel watches it no more, or will not soon. */
void	 folders_forget(struct watch *, struct folder *);
/* One with all below it. Had it a file that counts? The path may not be a
 * folder's own. */
bool	 folders_drop(struct watch *, const char *path);
/* All of them, without a word to the kernel. */
void	 folders_clear(struct watch *);
/* What this one's link led to is gone. */
void	 folders_lose_link(struct watch *, struct folder *);
/* .. and may be there again. */
void	 folders_look_for_links(struct watch *);
/* Of those that are gone, keep the ones below a root: these may be others. */
void	 folders_keep_lost_links(struct watch *);
/* A name that is no folder's own has come or gone. Was it, or is it now, a
 * link to a folder? Then all that follows from it is done. */
bool	 folders_take_name(struct watch *, const char *path);
/* "folder/name"; false when that is no path. */
bool	 folders_join(char path[PATH_MAX], const char *folder,
	    const char *name);
/* Is this path the folder's, or below it? */
bool	 folders_is_below(const char *path, const char *folder);

#endif
