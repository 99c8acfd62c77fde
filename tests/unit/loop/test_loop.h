/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One suite a topic of loop/, and what several of them need.  Each test has a
 * loop of its own.
 */
#ifndef TEST_LOOP_H
#define TEST_LOOP_H

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "loop/loop.h"

Suite	*timer_suite(void);
Suite	*work_suite(void);
Suite	*io_suite(void);
Suite	*signal_suite(void);

extern struct loop *loop;
extern char trace[256];		/* what happened, by note() */

/* A suite of these tests, with the fixture. */
Suite	*loop_suite(const char *name, const TTest *const *tests, size_t n);

void	 note(char c);
/* One turn of the loop. */
void	 turn(void);

/* ---- descriptors */

void	 pair(int sv[2]);
void	 poke(int fd);

extern int bell;	/* what ends a wait that may block */

/* ---- timers: each notes its tag */

struct tagged {
	struct loop_timer	 t;
	char			 tag;
	struct tagged		*other;
};

void	 tagged_init(struct tagged *, char tag, loop_timer_f *);
void	 on_note(struct loop *, struct loop_timer *);

/* ---- hooks */

int	 ready_note(void *tag);
bool	 never_pending(void *);
void	 enter_nothing(void *, bool may_block);
int	 leave_nothing(void *);

/* Of a loop (the argument) that another thread wakes while it sleeps. */
struct sleeper {
	atomic_int	entered;
	bool		done;
};
extern struct sleeper sleeper;
extern const struct loop_hooks sleeper_hooks;

#endif
