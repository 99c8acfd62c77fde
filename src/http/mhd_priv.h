/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files of the libmicrohttpd adapter share: a connection and its
 * one current request.
 *
 *	front_mhd.c	the daemon in the loop, accepting, draining
 *	conn_mhd.c	a connection's life, hang-ups, deadlines
 *	request_mhd.c	a request as the library delivers it
 *	reply_mhd.c	answers through the library
 *	answer.c	which way an answer takes
 *	direct.c	answers past it, straight to the socket
 *
 * The one rule of this folder: the library may run only from the loop's
 * LOOP_ENGINE phase (front_run), so no up-call into an application can ever
 * re-enter it.
 */
#ifndef HTTP_MHD_PRIV_H
#define HTTP_MHD_PRIV_H

#include <microhttpd.h>

#include "http/accesslog.h"
#include "http/check.h"
#include "http/chunk.h"
#include "http/front.h"
#include "http/linger.h"
#include "http/outq.h"
#include "stats/stats.h"

/* One pool a connection: request line, fields, read buffer, response head.
 * Above 32 KiB the library takes it from mmap. */
#define MHD_POOL_SIZE	(32 * 1024)

/* The 1.0 API came with development numbers after 0.9.77. */
#define MHD_1_0		(MHD_VERSION >= 0x00097701)

/* How far the request has come in. */
enum stage {
	STAGE_HEAD,	/* no request: idle, or its head is arriving */
	STAGE_EXPECT,	/* head here, 100 Continue not sent; suspended */
	STAGE_BODY,	/* body arriving */
	STAGE_FINAL,	/* wholly here */
	STAGE_REFUSED,	/* answered by ourselves in the first call */
};

/* How it is answered. */
enum answer {
	ANSWER_NONE,
	ANSWER_HELD,	/* whole, kept back until the body was read */
	ANSWER_WHOLE,	/* one sized reply of the library */
	ANSWER_STREAM,	/* the library asks our reader */
	ANSWER_DIRECT,	/* written by ourselves */
};

/* What the connection's timer waits for. */
enum deadline {
	DEADLINE_NONE,
	DEADLINE_FIRST,	/* the first head of a new connection */
	DEADLINE_IDLE,	/* the next head */
	DEADLINE_HEAD,	/* the rest of a head that has begun */
	DEADLINE_BODY,
	DEADLINE_WRITE,
	DEADLINE_HOLD,	/* a held answer: the body's end */
	DEADLINE_CUT,	/* at once: see to it that the library closes */
	DEADLINE_LINGER,	/* the client's close after a direct answer */
};

/* A whole answer that waits for the rest of a small request body. */
struct held {
	struct http_head head;
	struct http_data data;
};

/* How long a connection that has just been busy, or made, may have a request
 * under way when its worker drains. */
#define DRAIN_GRACE	(250 * NSEC_PER_MSEC)

struct conn {
	struct http_req	 req;
	struct http_ends ends;
	struct front	*front;
	struct list	 node;		/* front->conns */
	struct MHD_Connection *mhd;
	int		 fd;		/* the library's; it closes it */
	struct loop_io	 io;		/* RDHUP for life; WRITE for direct */
	struct loop_timer timer;
	nsec_t		 until;		/* of the deadline */
	nsec_t		 started;	/* the request's head was complete */
	nsec_t		 rested;	/* the last exchange ended */
	enum deadline	 deadline;
	enum stage	 stage;
	enum answer	 answer;

	bool		 suspended;	/* in the library */
	bool		 looked;	/* before the deadline is over */
	bool		 active;	/* counted as such */
	bool		 dispatched;	/* ops->request() was called */
	bool		 want_body;	/* the application asked for it */
	bool		 half_closed;	/* the client sends no more */
	bool		 dead;		/* reset or wholly closed */
	bool		 closing;	/* we shut it */
	bool		 shut_rd;	/* we shut its receiving side */
	bool		 aborted;	/* never to be completed */
	bool		 close_after;	/* no further request */
	bool		 said_close;	/* the answer ends the connection */
	bool		 head_begun;	/* first bytes of a head are here */
	bool		 strays;	/* reply_is_stray() may occur */
	bool		 lingers;	/* was refused, with bytes unread */
	bool		 counted;	/* among those in flight */
	struct loop_work dispatch;	/* at the end of the turn */

	struct MHD_Response *resp;	/* made, not yet queued */
	struct held	*held;		/* ANSWER_HELD */
	unsigned	 status;	/* of the answer; 0: none */
	uint64_t	 body_bytes;	/* of the answer, for the log */
	uint64_t	 body_in;	/* of the request, so far */

	struct outq	 out;		/* streamed and direct answers */
	bool		 out_end;	/* nothing will be added */
	bool		 out_cut;	/* .. and it is not complete */
	bool		 out_chunked;	/* direct: chunk framing is ours */
	bool		 out_full;	/* above the high-water mark */
	bool		 out_flushed;	/* direct: all went to the kernel */
	uint64_t	 acked;		/* at the last write deadline */

	char		*target;	/* as received, in the library's pool */
	size_t		 target_len;
	char		*cut;		/* where '?' was followed by .. */
	char		 cut_char;	/* .. this */
	struct check_facts facts;

	/* where we are in what the client sent, for the chunk scan */
	uint64_t	 received;	/* octets, by recv() */
	uint64_t	 used;		/* by the requests so far */
	const char	*pool;		/* where the library's pool begins */
	struct chunk_scan chunks;
	bool		 scans;
	bool		 head_open;	/* the request line is here, not all */
	bool		 nul;		/* in a head's lines, as received */
	char		 tail[3];	/* the last octets received of it */
};

struct listener {
	struct front	*front;
	struct loop_io	 io;
	struct sock_addr local;
	bool		 wildcard;	/* bound to no particular address */
};

struct front {
	struct loop	*loop;
	const struct conf *conf;
	const struct http_ops *ops;
	void		*ops_arg;
	const struct front_events *events;
	void		*events_arg;
	struct MHD_Daemon *mhd;
	struct loop_io	 mhd_io;
	struct loop_work run;
	struct listener	*listeners;
	size_t		 nlisteners;
	struct loop_timer retry;	/* accept again after EMFILE */
	nsec_t		 accept_told;	/* of that; or 0 */
	bool		 accepting, paused, draining, told_drained;
	struct list	 conns;
	struct accesslog log;
	struct check_limits limits;
	uint64_t	 max_requests;
	unsigned	 nconns;
	struct conn	*adding;	/* set while MHD_add_connection runs */
	struct conn	**by_fd;	/* connections by descriptor */
	size_t		 nby_fd;
	bool		 running;	/* the library is */
	struct conn	*current;	/* whom the library is busy with */
	struct lingerers lingerers;

	/* the fields of the request looked at last */
	struct http_field *fields;
	size_t		 nfields, fields_cap;
	const struct conn *fields_of;
};

/* front_mhd.c */
void	 front_need_run(struct front *);
void	 front_conn_gone(struct front *);

/* conn_mhd.c */
void	 conn_on_notify(void *, struct MHD_Connection *, void **,
	    enum MHD_ConnectionNotificationCode);
void	 conn_on_completed(void *, struct MHD_Connection *, void **,
	    enum MHD_RequestTerminationCode);
void	 conn_suspend(struct conn *);
void	 conn_resume(struct conn *);
void	 conn_shut(struct conn *);
void	 conn_let_go(struct conn *);
void	 conn_tell_gone(struct conn *);
/* Bytes that the library has not taken from the kernel yet. */
bool	 conn_has_unread(const struct conn *);
void	 conn_deadline(struct conn *, enum deadline, nsec_t timeout);
void	 conn_wake_writer(struct conn *);
/* Is there a request? */
void	 conn_set_active(struct conn *, bool);
bool	 conn_is_head(const struct conn *);

/* request_mhd.c */
void	*request_on_uri(void *, const char *, struct MHD_Connection *);
enum MHD_Result request_on_access(void *, struct MHD_Connection *,
	    const char *, const char *, const char *, const char *, size_t *,
	    void **);
/* recv() has returned n. 0, or the error that the library is to see. */
int	 request_on_recv(struct conn *, const char *buf, ssize_t n);
/* The connection is about to be shut, by the library or by us. */
void	 request_on_shutdown(struct conn *);
/* The library is about to answer by itself, with this status. */
void	 request_on_library_error(struct conn *, unsigned status);
/* The work that starts the application before the body has ended. */
loop_work_f request_dispatch;

/* answer.c */
enum MHD_Result answer_release_held(struct conn *);
void	 answer_held_direct(struct conn *);
void	 answer_forget_held(struct conn *);

/* reply_mhd.c */
struct MHD_Response *reply_whole(struct conn *, const struct http_head *,
	    struct http_data);
struct MHD_Response *reply_stream(struct conn *, const struct http_head *);
/* Queue conn->resp: MHD_YES, or MHD_NO (the library closes). */
enum MHD_Result reply_queue(struct conn *);
enum MHD_Result reply_refusal(struct conn *, enum refusal);
/* Is this what the library wrongly adds to a reply without a body? */
bool	 reply_is_stray(const struct conn *, const char *, size_t);
/* Has the answer no body whatever the application sends? */
bool	 reply_bodyless(const struct conn *, unsigned status);
/* May the head fit into what the request left of the pool? */
bool	 reply_fits(const struct conn *, const struct http_head *);

/* direct.c */
void	 direct_start(struct conn *, const struct http_head *, int64_t length);
void	 direct_put(struct conn *, struct http_data);
void	 direct_end(struct conn *);
void	 direct_flush(struct conn *);
/* A short final answer, written as far as the socket takes it. */
void	 direct_refuse(struct conn *, enum refusal);

#endif
