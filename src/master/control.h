/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The control socket: connections, lines, answers, and who may say what.
 * What the commands do is the owner's.  Nothing here waits for a client: one
 * that is slow, silent or rude loses its connection, and nothing else.
 *
 * root and the user that the master runs as may give every command, members
 * of control.group those in control.grant, nobody else any.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <sys/types.h>

#include <stdbool.h>

#include "base/list.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "loop/loop.h"
#include "master/accept.h"

struct control;
struct control_client;

struct control_ops {
	/* Is this the id (CTL_CONFIG) of the file that asgid reads? */
	bool	(*is_file)(const char *id, void *arg);
	/* A command that its giver may give. It is answered now or later, in
	 * any case once; the request is valid until this returns. */
	void	(*on_request)(struct control_client *,
		    const struct ctl_request *, void *arg);
	/* Before the answer: the client is gone, or its connection broke. Not
	 * to be used any more. */
	void	(*on_gone)(struct control_client *, void *arg);
};

struct control {
	struct loop		*loop;
	const struct conf	*conf;
	const struct control_ops *ops;
	void			*arg;
	char			*path;		/* NULL: no socket */
	gid_t			 group;		/* the socket's, or (gid_t)-1 */
	int			 file;		/* of it, or -1 */
	char			*made_folder;	/* NULL: it was there */
	struct acceptor		 acceptor;
	struct list		 clients;	/* the oldest first */
	unsigned		 nclients;
	bool			 rights;	/* can be passed to us */
};

/* Open it as the configuration says. With "auto" a place that cannot be had
 * is no error: there is no control socket then. 0, or -1 after logging. */
int	 control_init(struct control *, struct loop *, const struct conf *,
	    const struct control_ops *, void *arg);
/* Closes all connections (on_gone for those without an answer) and removes
 * the socket. */
void	 control_fini(struct control *);
/* control.grant of this configuration holds from now on. */
void	 control_set_conf(struct control *, const struct conf *);

/* The answer to the request: text, which gets its line end if it lacks one,
 * or what was put into a buffer. */
void	 control_answer(struct control_client *, enum ctl_result_id,
	    const char *fmt, ...) PRINTF(3, 4);
void	 control_answer_buf(struct control_client *, enum ctl_result_id,
	    const struct buf *);
/* What is being waited for, if the client wants to know. */
void	 control_progress(struct control_client *, const char *text);
/* "uid 0, pid 123" */
#define CONTROL_WHO_MAX	48
void	 control_who(const struct control_client *,
	    char text[CONTROL_WHO_MAX]);

#endif
