/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The event loop: one thread, one epoll instance.  It knows neither Python
 * nor HTTP; both hang off it by watchers, timers, works and hooks.
 *
 * One turn, in this order:
 *
 *  1. timers that are due (heap; ties in start order; the expired ones are
 *     moved aside first, so that a timer set for now runs in the next turn)
 *  2. hooks->ready: the asyncio ready queue as it stood
 *  3. works of phase LOOP_ENGINE (libmicrohttpd's run)
 *  4. works of phase LOOP_DEFERRED (requests whose dispatch was put off),
 *     then of phase LOOP_FLUSH (buffered log lines)
 *  5. wait: 0 when a work is pending or hooks->pending says so, else until
 *     the next timer, else for ever; hooks->wait_enter and wait_leave stand
 *     around exactly this wait (the GIL is released there)
 *  6. dispatch of events: descriptors, wake-up, signals
 *
 * loop_run() enters that ring at step 5 with a wait of 0, so that even a loop
 * which is stopped at once has looked at its descriptors, as asyncio's has.
 *
 * All functions belong to the loop's thread, loop_wake() excepted.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"

struct loop;

/* ---- life ---------------------------------------------------------- */

/* NULL with errno on failure. */
struct loop *loop_new(void);
/* Watchers, timers and works still there are dropped untouched (they may be
 * gone already); their owners must not hand them to any loop again. NULLs
 * the pointer. */
void	 loop_free(struct loop **);

/* Turns until loop_stop(). 0, or -1 when a hook asked to leave (see hooks). */
int	 loop_run(struct loop *);
/* Is it inside loop_run()? */
bool	 loop_running(const struct loop *);
/* Leave loop_run() at the end of the running turn's step 4, as asyncio's
 * stop() does: the ready queue of this turn is still run. */
void	 loop_stop(struct loop *);
/* From any thread or signal handler: the next wait returns at once. */
void	 loop_wake(struct loop *);
/* Time taken once a turn, after the wait. */
nsec_t	 loop_now(const struct loop *);
/* Its turns are what the process' statistics tell of; one loop a process. */
void	 loop_count(struct loop *);

/* ---- descriptors ---------------------------------------------------- */

enum {
	LOOP_READ	= 1 << 0,
	LOOP_WRITE	= 1 << 1,
	LOOP_RDHUP	= 1 << 2,	/* peer shut its sending side */
	LOOP_HUP	= 1 << 3,	/* reported only: error or hang-up */
	LOOP_EDGE	= 1 << 4,	/* requested only: edge-triggered */
	LOOP_EXCLUSIVE	= 1 << 5,	/* requested only: EPOLLEXCLUSIVE */
};

struct loop_io;
typedef void loop_io_f(struct loop *, struct loop_io *, unsigned revents);

/* Embedded by its owner, who keeps it until loop_io_del/forget. */
struct loop_io {
	int		 fd;
	unsigned	 events;
	loop_io_f	*cb;
	bool		 active;	/* loop's */
};

void	 loop_io_init(struct loop_io *, int fd, loop_io_f *);
/* Start, change or (events 0) stop watching; no system call when the events
 * are what they were. One watcher a descriptor. 0, or -1 with errno (EPERM: a
 * descriptor that epoll does not take, a regular file; EEXIST: watched by
 * another loop_io). */
int	 loop_io_set(struct loop *, struct loop_io *, unsigned events);
/* Stop watching. Legal in any callback; a pending event is dropped. */
void	 loop_io_del(struct loop *, struct loop_io *);
/* The same for a descriptor that is already closed or about to be closed
 * by its only holder: no system call. */
void	 loop_io_forget(struct loop *, struct loop_io *);

/* ---- timers --------------------------------------------------------- */

struct loop_timer;
typedef void loop_timer_f(struct loop *, struct loop_timer *);

struct loop_timer {
	nsec_t		 when;
	uint64_t	 seq;		/* ties run in start order */
	size_t		 index;		/* place in the heap, or none */
	loop_timer_f	*cb;
};

void	 loop_timer_init(struct loop_timer *, loop_timer_f *);
/* Arm or re-arm, absolute CLOCK_MONOTONIC. Aborts only when out of memory. */
void	 loop_timer_set(struct loop *, struct loop_timer *, nsec_t when);
void	 loop_timer_del(struct loop *, struct loop_timer *);
bool	 loop_timer_armed(const struct loop_timer *);

/* ---- works ---------------------------------------------------------- */

enum loop_phase { LOOP_ENGINE, LOOP_DEFERRED, LOOP_FLUSH, LOOP_NPHASE };

struct loop_work;
typedef void loop_work_f(struct loop *, struct loop_work *);

struct loop_work {
	struct list	 node;
	enum loop_phase	 phase;
	loop_work_f	*cb;
};

void	 loop_work_init(struct loop_work *, enum loop_phase, loop_work_f *);
/* Run cb once, at the work's phase: in this turn if that phase is still to
 * come, else in the next. Already scheduled: nothing happens. A work of
 * LOOP_FLUSH alone does not keep the turn's wait from being prolonged: it
 * always runs before the wait of the turn it was scheduled in. */
void	 loop_work_add(struct loop *, struct loop_work *);
void	 loop_work_del(struct loop *, struct loop_work *);

/* ---- signals -------------------------------------------------------- */

typedef void loop_signal_f(struct loop *, int signo, void *arg);

/* Catch a signal by sigaction (no mask that a child would inherit); the
 * callback runs in step 6. One loop a process may do this; before there is
 * one (NULL), what comes is kept: see loop_signals_serve().
 * NULL cb gives the default action back, LOOP_SIGNAL_IGNORE ignores. 0, or -1,
 * errno. */
#define LOOP_SIGNAL_IGNORE ((loop_signal_f *)1)
int	 loop_signal(struct loop *, int signo, loop_signal_f *, void *arg);
/* What is caught so far is this loop's, and what was kept. */
void	 loop_signals_serve(struct loop *);
/* As if the signal had come; nothing, if it is not caught. */
void	 loop_signal_mark(int signo);
/* Somebody has set another handler for a signal that is caught: ours again. One
 * that is not `over` others, or a signal that we ignore: if the default action
 * was set, only. */
void	 loop_signal_again(int signo, bool over);
/* Called by the handler itself with each signal that is caught, also when the
 * loop does not turn: see signal-safety(7). One a process; NULL: none. */
typedef void loop_signal_now_f(int signo);
void	 loop_signal_at_once(loop_signal_now_f *);
/* The loop ends before the process does: what is caught does nothing from now
 * on, where loop_free() would give it its default action back. Children by
 * fork and by exec have the default action. */
void	 loop_signals_leave(struct loop *);

/* ---- fork ----------------------------------------------------------- */

/* Around a fork() whose child goes on, in the thread that does it: signals
 * wait, so that one for the child finds it ready. */
void	 loop_signals_hold(void);
void	 loop_signals_release(void);
/*
 * In the child: the loop is the parent's.  Its own descriptors are closed,
 * without a change to what the parent watches, and the loop is deaf for ever:
 * watching fails, waking does nothing, a turn ends the process.  Signals that
 * are caught by loop_signal() have their default action again; *reset says
 * which.
 */
void	 loop_forked(struct loop *, sigset_t *reset);
/* The part about signals: all there is to do while there is no loop (NULL). */
void	 loop_signal_reset(struct loop *, sigset_t *reset);

/* ---- hooks ---------------------------------------------------------- */

struct loop_hooks {
	/* Step 2. -1: leave loop_run() with -1 at once (a Python exception
	 * such as KeyboardInterrupt that must propagate is set). */
	int	(*ready)(void *);
	/* Is something in the ready queue? */
	bool	(*pending)(void *);
	/* Around the wait; may_block is false for a wait of 0. */
	void	(*wait_enter)(void *, bool may_block);
	/* -1 as for ready. */
	int	(*wait_leave)(void *);
};

void	 loop_set_hooks(struct loop *, const struct loop_hooks *, void *);

#endif
