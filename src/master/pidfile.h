/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The file with the master's process number; locked as long as the master
 * lives, so that a second one notices.
 */
#ifndef MASTER_PIDFILE_H
#define MASTER_PIDFILE_H

struct pidfile {
	char		*path;
	int		 fd;		/* -1: none */
};

/* An empty path: none. 0, or -1 after logging. */
int	 pidfile_init(struct pidfile *, const char *path);
/* What is there already and would be refused: NULL, or why. That another asgid
 * runs is no reason: it is the one that is to be started anew. */
const char *pidfile_obstacle(const char *path);
/* Removes it if it is still ours. */
void	 pidfile_fini(struct pidfile *);

#endif
