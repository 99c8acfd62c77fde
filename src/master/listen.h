/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The listening sockets: opened once by the master, inherited by every
 * worker, so that no queued connection is lost when workers come and go.
 *
 * Sockets that the service manager hands over (LISTEN_FDS, sd_listen_fds(3))
 * are used instead of the configured TCP and UNIX ones, which are then not
 * opened at all; configured descriptors (fd) are always used.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <sys/stat.h>

#include <stddef.h>

#include "base/sock.h"
#include "conf/conf.h"

struct listener {
	int		 fd;
	struct sock_addr addr;		/* with the port the kernel chose */
	char		*path;		/* a file to remove at the end */
	struct stat	 made;		/* that file */
};

/* Several sets may be open side by side. */
struct listeners {
	struct listener	*at;
	size_t		 len;
};

/* All of them or none. 0, or -1 after logging. */
int	 listeners_open(struct listeners *, const struct conf *);
/* Close them and remove the files that were made. */
void	 listeners_close(struct listeners *);
/* "http://127.0.0.1:8000" or "unix socket /run/asgid/app.sock" */
#define LISTENER_TEXT_MAX	(SOCK_TEXT_MAX + 16)
void	 listener_text(const struct listener *, char text[LISTENER_TEXT_MAX]);

#endif
