/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One exchange of request and response as the application sees it.
 *
 * A cycle is the coroutine that the request's Task drives: it passes every
 * step on to the application's own coroutine and sees how that ends, so that
 * no exception, SystemExit included, gets further.  The application is handed
 * two ports, receive and send, which refer to the cycle.
 *
 *	cycle.c		the coroutine, its end, its failures
 *	port.c		receive, send, and what they return to be awaited
 *	message.c	the messages themselves
 *
 * References: the set of running cycles holds one until the application's
 * coroutine has ended; http_req.user one until done(); each port one; the
 * Task one.  None of the types here needs cyclic GC: a cycle refers to Python
 * objects (coroutine, Task, futures) only while it is in the set of running
 * ones, which keeps them all alive anyhow, and lets go of them at its end.
 */
#ifndef APP_CYCLE_H
#define APP_CYCLE_H

#include "py/py.h"

#include "base/list.h"
#include "http/http.h"

/* How far the response has come, by what the application sent. */
enum cycle_state {
	CYCLE_EMPTY,		/* nothing */
	CYCLE_STARTED,		/* http.response.start: not yet on the wire */
	CYCLE_STREAMING,
	CYCLE_COMPLETE,
};

struct cycle {
	PyObject_HEAD
	struct http_req	*req;		/* NULL: done() was called */
	PyObject	*coro;		/* application's; NULL: it has ended */
	PyObject	*task;
	nsec_t		 began;		/* when it was called */
	struct list	 node;		/* running cycles */
	struct list	 waiters;	/* struct wait */
	enum cycle_state state;
	struct http_head head;
	int64_t		 left;		/* promised by Content-Length; -1 */
	bool		 body_ended;	/* more_body False was handed out */
	bool		 gone;		/* the client left early */
	bool		 told_gone;	/* and the application knows */
	bool		 ending;	/* told so to end its event stream */
	bool		 cancelled;	/* by us */
	bool		 head_only;	/* the response has no body */
};

/* What receive() and send() return when they have to wait, and receive()
 * always: a small coroutine around one future. */
struct wait {
	PyObject_HEAD
	struct cycle	*cycle;
	bool		 receives;	/* else: waits for the writer */
	bool		 over;		/* was awaited */
	struct list	 node;		/* cycle->waiters, while waiting */
	PyObject	*future;
	PyObject	*steps;		/* the future's iterator */
};

/*
 * Types and free lists: 0, or -1 with an exception.  They stay until the
 * process ends, as names and the module _asgid do: the last code of the
 * application (atexit functions, threads that Python joins, destructors) runs
 * inside the interpreter's end and may still call receive and send.
 */
int	 cycle_init(PyObject *aloop);

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
/* Its response has begun to stream. */
void	 cycle_on_stream(struct cycle *);

/* port.c */
int	 port_init(PyObject *aloop);
/* New reference to the receive or send callable. */
PyObject *port_new(struct cycle *, bool receives);
/* Let receive() (or those who wait for the writer) look again. */
void	 port_wake(struct cycle *, bool receives);

/* message.c */
int	 message_init(void);
/* The next message for the application, new reference; NULL without an
 * exception when there is none yet. */
PyObject *message_receive(struct cycle *);
/* Take one from it: 0; 1: taken, but the writer is full; -1, exception. */
int	 message_send(struct cycle *, PyObject *message);
/* asgid.ClientDisconnected, a subclass of OSError; borrowed. */
PyObject *message_disconnected(void);
/* Answer with a status and a short text, if nothing was sent. */
void	 message_error(struct cycle *, unsigned status, const char *text);

#endif
