/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Virtual environments, as far as they can be known without Python: what
 * asgid -t looks at, and the worker before it starts the interpreter.
 */
#ifndef CONF_VENV_H
#define CONF_VENV_H

#include "base/buf.h"
#include "conf/conf.h"

struct venv {
	char	*dir;		/* absolute; NULL: none is asked for */
	char	*python;	/* its interpreter: dir/bin/python */
	char	*home;		/* folder of the interpreter it was made with */
	int	 major, minor;	/* of Python; 0.0 if pyvenv.cfg is silent */
};

/* The one that python.venv names, or $VIRTUAL_ENV when that is empty.  A
 * $VIRTUAL_ENV that is no environment any more is refused too: its user
 * believes to be in it.  0, or -1 with a message in *why, which begins with
 * the name of what asked for it.  Both ways venv_fini is due. */
int	 venv_choose(struct venv *, const struct conf *, struct buf *why);
void	 venv_fini(struct venv *);

/* Its parts, for tests. The folder `dir`: 0, or -1 with a message in *why when
 * it is no virtual environment. */
int	 venv_read(struct venv *, const char *dir, struct buf *why);
/* Was it made for the Python we embed? 0, or -1 with a message in *why. */
int	 venv_check(const struct venv *, struct buf *why);

#endif
