/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the files aloop*.c and module.c: the objects of the asyncio
 * loop and what the files owe each other.
 */
#ifndef PY_ALOOP_IMPL_H
#define PY_ALOOP_IMPL_H

#include "py/py.h"

#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"
#include "py/aloop.h"

/* ---- handles -------------------------------------------------------- */

/* Arguments kept in the handle itself; a tuple in argv[0] beyond that. */
#define HANDLE_ARGS	2
#define HANDLE_TUPLE	(-1)

/*
 * asyncio.Handle.  A cancelled one has callback and arguments NULL.  In the
 * free list, callback is the next one.
 */
struct handle {
	PyObject_HEAD
	struct core	*core;		/* owned */
	PyObject	*callback;
	PyObject	*argv[HANDLE_ARGS];
	PyObject	*context;
	PyObject	*source_traceback;	/* debug mode, else NULL */
	PyObject	*repr;		/* if cancelled in debug mode */
	PyObject	*weakrefs;
	int8_t		 nargs;		/* or HANDLE_TUPLE */
	bool		 cancelled;
	bool		 timer;		/* is a struct timer_handle */
};

/* asyncio.TimerHandle.  While armed the loop owns a reference. */
struct timer_handle {
	struct handle		 h;
	double			 when;
	struct loop_timer	 timer;
	struct list		 node;	/* core->timers */
};

/* A callback as call_soon() and its kin are given it; all borrowed. */
struct call {
	PyObject	*callback;
	PyObject *const	*args;
	Py_ssize_t	 nargs;
	PyObject	*context;	/* NULL: a copy of the current one */
};

struct handle	*handle_new(struct core *, const struct call *);
struct timer_handle *timer_handle_new(struct core *, const struct call *,
		    double when);
void		 handle_cancel(struct handle *);
/* Cancel and disarm all timers. */
void		 timers_clear(struct core *);
/* Call it in its context; an exception goes to the loop's handler. -1 with
 * an exception that must leave run_forever(). */
int		 handle_run(struct handle *);

/* ---- the loop ------------------------------------------------------- */

/* Reasons to leave the fast paths, in one word. */
enum {
	CORE_CLOSED	= 1 << 0,
	CORE_DEBUG	= 1 << 1,
	CORE_CAPTURE	= 1 << 2,	/* the next task step is not queued */
};

/* Ring of owned references; cap is 0 or a power of two. */
struct ready {
	PyObject	**at;
	size_t		 head, len, cap;
};

/* Readers and writers of one descriptor; kept until the loop is closed. */
struct watch {
	struct loop_io	 io;
	struct core	*core;
	struct handle	*reader, *writer;	/* owned, or NULL */
};

/* LoopCore: what is C in a Loop. */
struct core {
	PyObject_HEAD
	struct loop		*loop;		/* NULL once closed */
	struct aloop_state	*st;
	unsigned		 flags;
	bool			 stopping;
	bool			 one_turn;	/* stop once callbacks ran */
	bool			 owned;		/* see aloop_own() */
	bool			 contains;	/* owned, now or before */
	struct ready		 ready;
	struct list		 timers;	/* armed timer handles */
	struct watch		**watches;	/* by descriptor */
	int			 nwatches;
	PyThreadState		*tstate;	/* while the GIL is released */
	PyObject		*thread_id;
	PyObject		*task_factory;
	PyObject		*captured;	/* see CORE_CAPTURE */
	PyObject		*captured_context;
	PyObject		*future_kwargs;	/* {"loop": self} */
	PyObject		*spawn_kwargs;	/* those of a request's Task */
	PyObject		*spawn_name;	/* its name in them, or NULL */
	unsigned long long	 nspawned;
};

/* ---- module state --------------------------------------------------- */

struct pool {
	struct handle	*free;
	unsigned	 nfree;
};

#define POOL_MAX	1000

struct aloop_state {
	PyTypeObject	*core_type, *handle_type, *timer_type;
	PyObject	*loop_class;		/* class Loop */
	PyObject	*task_type, *future_type;
	PyTypeObject	*step_type;		/* what a Task queues */
	PyObject	*empty_tuple;
	/* functions of the standard library's class */
	PyObject	*base_close, *base_create_task;
	/* functions of aloop_rest.c */
	PyObject	*callback_error, *slow_callback, *source_traceback;
	PyObject	*check_callback, *handle_repr, *forked;
	PyObject	*usable, *run, *loop_error;
	PyObject	*str_context, *str__run, *str__cancelled;
	PyObject	*str_no_transport, *str_current_handle;
	PyObject	*str_name, *str_create_task;
	struct pool	 handles, timers;
};

/* Filled once the module is imported. */
struct aloop_state *aloop_state(void);

/* Add types and functions to the module being made; 0 or -1. */
int	 aloop_handle_exec(PyObject *module, struct aloop_state *);
int	 aloop_core_exec(PyObject *module, struct aloop_state *);
int	 aloop_rest_exec(PyObject *module, struct aloop_state *);
int	 aloop_registry_exec(void);

/* aloop_ready.c */
extern const struct loop_hooks core_hooks;
int	 core_push(struct core *, PyObject *handle /* borrowed */);
PyObject *core_pop(struct core *);	/* new; not from an empty queue */

/* aloop_call.c */
extern PyMethodDef aloop_call_methods[];
int	 core_check_open(struct core *);
bool	 core_running(const struct core *);

/* aloop_io.c */
int	 watches_traverse(struct core *, visitproc, void *);
void	 watches_clear(struct core *);
extern PyMethodDef aloop_io_methods[];

/* aloop_task.c */
extern PyMethodDef aloop_task_methods[];

#endif
