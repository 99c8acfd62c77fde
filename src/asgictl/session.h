/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One command, from looking for the daemon to its answer on standard output
 * and its progress on a terminal.
 */
#ifndef ASGICTL_SESSION_H
#define ASGICTL_SESSION_H

#include <stdbool.h>

#include "asgictl/peer.h"
#include "base/mono.h"
#include "ctl/ctl.h"

struct session {
	struct ctl_request request;
	char		*path;		/* of the socket */
	char		 config[CTL_FILE_ID_MAX];	/* "": whoever has it */
	struct peer	 peer;
	nsec_t		 connect_by, answer_by;
	bool		 quiet;
	bool		 rewrites;	/* progress, on a terminal */
	bool		 shown;		/* progress, not wiped yet */
};

#define SESSION_INIT	{ .peer = PEER_INIT }

/* With request, path (to be freed by session_fini), config and quiet filled
 * in. The
 * exit status; everything has been told. */
int	 session_run(struct session *);
void	 session_fini(struct session *);

#endif
