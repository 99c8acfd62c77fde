/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which files and folders below the watched directories count for a
 * developer's reload.  The patterns are matched as uvicorn does: against the
 * last parts of a path, as many as the pattern has.
 */
#ifndef MASTER_PICK_H
#define MASTER_PICK_H

#include <stdbool.h>

#include "conf/conf.h"

struct pick {
	struct conf_list include, exclude;
	struct conf_list left_out;	/* folders, absolute */
};

/* Keeps nothing of the configuration. 0, or -1 with errno. */
int	 pick_init(struct pick *, const struct conf *);
void	 pick_fini(struct pick *);
/* Does a change of this file count? An absolute path. */
bool	 pick_file(const struct pick *, const char *path);
/* Is what is below this folder of interest? An absolute path; it is looked
 * whether it is a virtual environment. */
bool	 pick_folder(const struct pick *, const char *path);

/* Was this folder named as one to be left out? An absolute path. */
bool	 pick_is_left_out(const struct pick *, const char *path);

/* The absolute path of what the user named, without symbolic links as long
 * as it exists; to be freed. NULL with errno. */
char	*pick_absolute(const char *path);

#endif
