/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One exchange of request and response as the application sees it.
 *
 * A cycle is the coroutine that the request's Task drives: it passes every
 * step on to the application's own coroutine and sees how that ends, so that
 * no exception, SystemExit included, gets further.  The application is handed
 * two ports, receive and send, which refer to the cycle.
 *
 *	cycle.c		the coroutine; all cycles
 *	outcome.c	how the application ends, and who is told
 *	request.c	the events that receive() gives
 *	message.c	the messages that send() takes
 *	response.c	what they do to the response
 *
 * References: the set of running cycles holds one until the application's
 * coroutine has ended; http_req.user one until done(); each port one; the Task
 * one.  A cycle needs no cyclic GC: it refers to Python objects (coroutine,
 * Task, futures) only while it is in the set of running ones, which keeps them
 * all alive anyhow, and lets go of them at its end.
 */
#ifndef APP_CYCLE_H
#define APP_CYCLE_H

#include "py/py.h"

#include "app/port.h"
#include "base/list.h"
#include "conf/conf.h"
#include "http/http.h"

/* How far the response has come, by what the application sent. */
enum cycle_state {
	CYCLE_EMPTY,		/* nothing */
	CYCLE_STARTED,		/* http.response.start: not yet on the wire */
	CYCLE_STREAMING,
	CYCLE_COMPLETE,
};

struct cycle {
	struct port_owner port;
	struct http_req	*req;		/* NULL: done() was called */
	PyObject	*application;	/* borrowed; NULL: was called */
	PyObject	*scope;		/* for that call */
	PyObject	*coro;		/* what it returned; NULL: has ended */
	PyObject	*task;
	nsec_t		 began;		/* when the request was handed over */
	struct list	 node;		/* running cycles */
	enum cycle_state state;
	struct http_head head;
	int64_t		 left;		/* promised by Content-Length; -1 */
	char		*who;		/* the request, after done() */
	unsigned	 refused_status; /* first refused send()'s; 0: none */
	bool		 running;	/* a step of the application is */
	bool		 body_ended;	/* more_body False was handed out */
	bool		 gone;		/* the client left early */
	bool		 told_gone;	/* and the application knows */
	bool		 ending;	/* told so to end its event stream */
	bool		 cancelled;	/* by us */
	bool		 head_only;	/* the response has no body */
};

/*
 * After port_init.  Types and free lists: 0, or -1 with an exception.  They
 * stay until the process ends, as names and the module _asgid do: the last
 * code of the application (atexit functions, threads that Python joins,
 * destructors) runs inside the interpreter's end and may still call receive
 * and send.
 */
int	 cycle_init(PyObject *aloop, const struct conf *);

/*
 * The up-calls of the HTTP front; its argument is the application's callable.
 * A request's first step is made before request() returns; failures are
 * answered (500) and logged.
 */
extern const struct http_ops cycle_ops;

/* Applications whose coroutine has not ended. */
unsigned cycle_running(void);
/* Called whenever cycle_running() falls to zero. */
void	 cycle_on_idle(void (*cb)(void *), void *arg);
/*
 * The worker drains.  An event stream (text/event-stream) has no end of its
 * own, and its client comes back by itself: from now on the application is
 * told http.disconnect, and send() raises OSError, as if the client had left;
 * what was sent is ended in order.  Other responses are let finish.
 */
void	 cycle_end_streams(void);
/* Cancel them all. */
void	 cycle_cancel_all(void);

/* ---- between the files of the cycle ------------------------------------- */

/* cycle.c */
/* Is the response an event stream, by its Content-Type? */
bool	 cycle_is_event_stream(const struct cycle *);
/* Its response has begun to stream. */
void	 cycle_on_stream(struct cycle *);

/* outcome.c */
/* Its request is about to be over: keep what it was called. */
void	 outcome_remember(struct cycle *);
/* The application has returned `value` (stolen). */
void	 outcome_returned(struct cycle *, PyObject *value);
/* It has raised what is pending.  Consumes it, but for CancelledError: 0, or
 * -1 with that one pending, for the Task to see. */
int	 outcome_failed(struct cycle *);
/* Nothing more will come from it: what can the client still be told? */
void	 outcome_settle(struct cycle *, unsigned status, const char *text);
/* 0, or -1 with an exception. */
int	 outcome_init(void);

#endif
