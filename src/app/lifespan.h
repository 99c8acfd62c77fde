/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The lifespan protocol: one task that lives as long as the worker serves,
 * told of start-up and shutdown, and the state that requests copy.
 */
#ifndef APP_LIFESPAN_H
#define APP_LIFESPAN_H

#include "py/py.h"

#include <stdbool.h>

#include "app/load.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "loop/loop.h"

/* The outcome, told once: from a phase of the loop, never from within
 * lifespan_start or lifespan_shutdown. What there is to log was logged. */
typedef void lifespan_done_f(bool ok, void *arg);

enum lifespan_phase {
	LIFESPAN_IDLE,		/* start-up not begun */
	LIFESPAN_STARTING,
	LIFESPAN_STARTED,	/* the worker may serve */
	LIFESPAN_STOPPING,
	LIFESPAN_ENDING,	/* the last word is said; the task still runs */
	LIFESPAN_OVER,
};

enum lifespan_outcome {		/* of STARTING or STOPPING */
	LIFESPAN_UNKNOWN,
	LIFESPAN_OK,
	LIFESPAN_UNSUPPORTED,	/* fine too */
	LIFESPAN_FAILED,
};

struct lifespan_owner;

/* Owned and embedded by the worker; all members are lifespan.c's. */
struct lifespan {
	struct loop	*loop;
	PyObject	*aloop, *callable;	/* owned, as all of these */
	PyObject	*state;		/* dict */
	struct lifespan_owner *owner;	/* of receive and send */
	PyObject	*task;		/* NULL: none, or its end was seen */
	const char	*version;
	nsec_t		 startup, shutdown;	/* deadlines, 0: none */
	enum conf_lifespan mode;
	enum lifespan_phase phase;
	enum lifespan_outcome outcome;
	unsigned	 cancels;	/* how often we cancelled the task */
	bool		 received;	/* the application awaited receive() */
	bool		 shutdown_sent;	/* lifespan.shutdown was handed out */
	struct loop_timer timer;
	struct loop_work work;		/* looks at all this in a loop phase */
	struct buf	 why;		/* start-up failed: one line, or "" */
	lifespan_done_f	*cb;
	void		*arg;
};

/*
 * After port_init.  Start the application up.  cb(false) means that the
 * worker must not serve (exit status 3); it comes after the task has ended.
 * Runs nothing of the application yet: that happens in the loop's next turn,
 * so the loop need not run already.  0, or -1 with an exception set;
 * lifespan_fini is due in both cases.  The asyncio loop and the application
 * are referred to until then.
 */
int	 lifespan_start(struct lifespan *, PyObject *aloop,
	    const struct app *, const struct conf *, lifespan_done_f *cb,
	    void *arg);

/*
 * Shut it down, when no request runs any more.  cb(false): the application
 * failed to, which was logged.  Without an application that listens
 * cb(true) comes at once, in the next turn.  Before start-up was complete
 * the task is cancelled instead.
 */
void	 lifespan_shutdown(struct lifespan *, lifespan_done_f *cb, void *arg);

/* After cb(false) of the start: why, in one line. Borrowed. */
const char *lifespan_why(const struct lifespan *);

/* Borrowed dict, never NULL after lifespan_start: what requests get a copy
 * of when it is not empty. */
PyObject *lifespan_state(const struct lifespan *);

/* Before the asyncio loop is closed. A task that still runs is cancelled; the
 * callback is not called any more. May be called twice. */
void	 lifespan_fini(struct lifespan *);

#endif
