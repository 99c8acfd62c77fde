/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What receive() and send() return: coroutines to all who ask (create_task(),
 * gather(), anyio, inspect), around at most one asyncio.Future.
 *
 *	Receive		takes the next event when it is awaited
 *	Send		ends when its message was taken and the writer is not
 *			full, or raises what is wrong with the message
 *	Sent		was taken and need not wait: one constant object
 *
 * A wait has no memory of its own: whoever is woken looks at the owner again,
 * and waits again if what it waits for is not there.  So it does not matter
 * when it is awaited, by whom, or how many wait at once.
 */
#ifndef APP_AWAIT_H
#define APP_AWAIT_H

#include "py/py.h"

#include <stdbool.h>

#include "base/list.h"

struct port_owner;

/* What the owner of a pair of ports does for them. On the loop's thread. */
struct port_ops {
	/* The next event, a new reference; NULL without an exception: none
	 * yet, and port_wake(&owner->receivers) will follow. */
	PyObject *(*receive)(struct port_owner *);
	/* Take a message. 0, or -1 with an exception. */
	int	 (*send)(struct port_owner *, PyObject *message);
	/* Must who sends wait? port_wake(&owner->senders) will follow. */
	bool	 (*is_full)(struct port_owner *);
};

/* The first member of what two ports, receive and send, refer to. */
struct port_owner {
	PyObject_HEAD
	const struct port_ops *ops;
	struct list	 receivers;	/* those who wait in receive() */
	struct list	 senders;	/* and in send() */
};

static inline void
port_owner_init(struct port_owner *o, const struct port_ops *ops)
{
	o->ops = ops;
	list_init(&o->receivers);
	list_init(&o->senders);
}

/* Let those who wait look again. Runs Python code: the owner must be held. */
void	 port_wake(struct list *waiters);

/* The calling thread is the loop's. 0, or -1 with an exception. */
int	 await_init(PyObject *aloop);

/* Is the running thread the one that called await_init()? */
extern _Thread_local bool await_on_loop_thread;

/* What receive() returns. All of these: a new reference, or NULL. */
PyObject *await_receive(struct port_owner *);
/* What send(message) returns: takes the message now; called on another
 * thread, when it is awaited on the loop's. */
PyObject *await_send(struct port_owner *, PyObject *message);

/* throw(type[, value[, traceback]]): make it pending. */
void	 await_raise(PyObject *args);

#endif
