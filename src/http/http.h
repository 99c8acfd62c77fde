/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HTTP as the rest of asgid sees it: a request, the ways to answer it, and
 * the up-calls the application layer implements.  No protocol version and no
 * library shows through.
 *
 * Everything here runs on the loop's thread.  A struct http_req belongs to
 * the front; it is valid from ops->request() until ops->done() returns.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mono.h"
#include "base/sock.h"
#include "base/str.h"
#include "http/head.h"

/* What the two ends of a connection are called. */
struct http_ends {
	struct sock_addr	 peer;
	const struct sock_addr	*local;	/* as accepted */
	void			*user;	/* application's: closed() */
};

struct http_field {
	struct str	name;		/* as received, a token */
	struct str	value;		/* without surrounding whitespace */
};

struct http_req {
	struct http_ends *ends;
	struct str	 method;
	struct str	 path;		/* undecoded, without authority */
	struct str	 query;		/* without '?' */
	int		 minor;		/* HTTP/1.minor */
	nsec_t		 began;		/* when it was handed over */

	/* Only while ops->request() runs. */
	const struct http_field *fields;
	size_t		 nfields;

	/* The request body as far as it is here and was not taken. */
	struct buf	 body;
	bool		 body_done;	/* nothing will follow */
	bool		 gone;		/* the client went away */

	void		*user;		/* the application layer's */
};

/* Up-calls. None of them may be missing. */
struct http_ops {
	/*
	 * A request is to be served. It may be answered before this returns
	 * (the fast path). `arg` is what http_front_new was given.
	 */
	void	(*request)(struct http_req *, void *arg);
	/* More of the body is here, or its end. */
	void	(*body)(struct http_req *);
	/* req->gone has become true. */
	void	(*gone)(struct http_req *);
	/* The unsent part of the response fell below the low-water mark. */
	void	(*drained)(struct http_req *);
	/*
	 * The exchange is over and req invalid when this returns. ok: the
	 * whole response was handed to the kernel.
	 */
	void	(*done)(struct http_req *, bool ok);
	/* A connection has ended; release ends->user. */
	void	(*closed)(struct http_ends *);
};

/* Bytes on their way out, kept alive by their owner. */
struct http_data {
	const void	*p;
	size_t		 n;
	void		*owner;
	void		(*release)(void *owner);	/* called once */
};

#define HTTP_HIGH_WATER	(64 * 1024)
#define HTTP_LOW_WATER	(16 * 1024)

/*
 * Answer wholly. Content-Length is data.n unless head->length says otherwise
 * (HEAD: the length a GET would have had). The head is copied, the data are
 * taken over in any case. 0, or -1 when the client is gone.
 */
int	 http_reply(struct http_req *, const struct http_head *,
	    struct http_data);
/*
 * Begin a streamed answer: head->length bytes, or chunked (close-delimited
 * for HTTP/1.0) when that is HTTP_LENGTH_NONE. 0, or -1: gone.
 */
int	 http_start(struct http_req *, const struct http_head *);
/* Add to it. 0, or -1: gone. The data are taken over in any case. */
int	 http_send(struct http_req *, struct http_data);
/* Is too much of it unsent? From above the high-water mark until below the
 * low one, when drained() is called. */
bool	 http_is_full(struct http_req *);
/* It is complete. */
void	 http_end(struct http_req *);
/* It will never be: what was sent so far goes out, then the connection is
 * closed so that the client can tell. Nothing sent: no answer at all. */
void	 http_abort(struct http_req *);

/* No further request on this connection, once the answer is out. */
void	 http_close_after(struct http_req *);

/* The application waits for body bytes: sends 100 Continue if that is due,
 * reads on if the buffer had been full. */
void	 http_want_body(struct http_req *);

/* "GET /path from 1.2.3.4:5" for log lines. */
#define HTTP_DESCRIBE_MAX	256
void	 http_describe(const struct http_req *, char text[HTTP_DESCRIBE_MAX]);

#endif
