/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The listening sockets: opened once by the master, inherited by every
 * worker, so that no queued connection is lost when workers come and go.
 *
 * Sockets that the service manager hands over (LISTEN_FDS, sd_listen_fds(3))
 * are used instead of the configured TCP and UNIX ones, which are then not
 * opened at all; configured descriptors (fd) are always used.
 *
 * A reload opens a second set.  What both have is one socket under two
 * numbers: nothing that is queued there is lost, whichever set goes.  An
 * address that overlaps a former one is bound beside it, for that moment.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sock.h"
#include "conf/conf.h"

struct listener {
	int		 fd;
	struct sock_addr addr;		/* with the port the kernel chose */
	char		*path;		/* a file to remove at the end */
	int		 file;		/* that file, or -1 */
	char		*asked;		/* as conf_listen_text() names it */
	size_t		 entry;		/* of conf->listen; or GIVEN */
	int		 inherited;	/* the number it came under, or -1 */
	bool		 kept;		/* a copy of a former set's, which
					 * still owns the file */
	bool		 silent;	/* is to listen when the former set
					 * goes, whose address it overlaps */
};

#define LISTENER_GIVEN	SIZE_MAX	/* entry: the service manager's */

/* Two sets may be open side by side. */
struct listeners {
	struct listener	*at;
	size_t		 len;
	const struct listeners *former;	/* while it is being opened */
};

/* All of them or none. Those that `former` (NULL at the start) has already are
 * copied, with their queues; it stays usable. 0, or -1 after logging. */
int	 listeners_open(struct listeners *, const struct conf *,
	    const struct listeners *former);
/* The set that was opened beside `former` takes its place: what differs is
 * logged, `former` is closed. */
void	 listeners_replace(struct listeners *, struct listeners *former,
	    const struct conf *);
/* These are about to close for good: all but what `next` (NULL: nobody) has
 * too and what came from outside. To be called before workers drain, so that
 * they take what is queued. */
void	 listeners_set_last(const struct listeners *,
	    const struct listeners *next);
/* Close them and remove the files that were made. */
void	 listeners_close(struct listeners *);
/* "http://127.0.0.1:8000" or "unix socket /run/asgid/app.sock" */
#define LISTENER_TEXT_MAX	(SOCK_TEXT_MAX + 16)
void	 listener_text(const struct listener *, char text[LISTENER_TEXT_MAX]);

#endif
