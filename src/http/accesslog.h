/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The access log: one line a request, collected in a buffer and written at
 * the end of the loop's turn.  No request can forge a line: whatever is not
 * printable ASCII, and the quote and the backslash, are escaped as \xHH.
 */
#ifndef HTTP_ACCESSLOG_H
#define HTTP_ACCESSLOG_H

#include "base/buf.h"
#include "base/outlet.h"
#include "base/str.h"
#include "http/http.h"
#include "loop/loop.h"

struct accesslog_entry {
	const struct http_ends *ends;
	const char	*root_path;	/* uvicorn's format prefixes it */
	struct str	 method, path, query;
	int		 minor;
	unsigned	 status;
	uint64_t	 bytes;		/* of the response's body */
	nsec_t		 duration;
	struct str	 referer, user_agent;	/* n 0: none */
};

typedef void accesslog_format_f(struct buf *, const struct accesslog_entry *);

struct accesslog {
	struct loop	*loop;
	struct loop_work flush;
	struct buf	 lines;
	accesslog_format_f *format;
	struct outlet	 out;		/* fd -1: off */
	bool		 failed;	/* that was told */
};

/* format: "uvicorn", "common" or "combined". fd stays the caller's. */
void	 accesslog_init(struct accesslog *, struct loop *, int fd,
	    const char *format);
/* Writes what is left. */
void	 accesslog_fini(struct accesslog *);
/* Go on with another descriptor (reopened files). */
void	 accesslog_set_fd(struct accesslog *, int fd);
void	 accesslog_add(struct accesslog *, const struct accesslog_entry *);

#endif
