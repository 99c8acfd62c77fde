/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A reload: the configuration is read anew, what it needs is opened beside
 * what is in use, a second generation of workers is started, and only when
 * all of it is ready does it take over.  Until then nothing that serves is
 * touched, so every failure leaves things as they were.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/fleet.h"
#include "master/lookup.h"
#include "master/setup.h"

struct reload;
/* The names are known, or why (not NULL) they are not: go on. */
typedef void reload_f(struct reload *, const char *why);

struct reload {
	int		 argc;		/* the command line of the start */
	char *const	*argv;
	char		*home;		/* $PWD; NULL: not where we are */
	struct setup	*next;		/* NULL: none is under way */
	struct lookup	*lookup;	/* not NULL: of its names */
	reload_f	*on_names;
};

/* Of the command line. */
void	 reload_init(struct reload *, int argc, char *const argv[]);
void	 reload_fini(struct reload *);
/*
 * Into the working directory that a reload would have.  One that was named
 * through a link ("current -> releases/7") is meant by that name: $PWD has it,
 * when it led to where we were started.
 */
void	 reload_enter(const struct reload *);
/* .. and back to that of what serves. */
void	 reload_leave(const struct setup *now);
/* Has a configuration's file this id (see CTL_CONFIG), as it is now, for it may
 * have been replaced since it was read, or where a reload would look for it? */
bool	 reload_is_file(const struct reload *, const char *file,
	    const char *id);
/* The configuration as the file and the command line have it now: the
 * caller's. NULL with all errors, one line each. */
struct conf *reload_parse(const struct reload *, struct buf *errors);

enum reload_outcome { RELOAD_BEGUN, RELOAD_INVALID, RELOAD_FAILED };

/* Start the next generation, or, when names have to be looked up, do so first:
 * then on_names() is called. Or, after logging why not, nothing has changed:
 * the configuration is invalid, or something else is in the way. */
enum reload_outcome reload_begin(struct reload *, const struct setup *now,
	    struct fleet *);
/* What on_names() is to do; with its `why`. */
enum reload_outcome reload_go_on(struct reload *, const struct setup *now,
	    struct fleet *, const char *why);
/* The fleet switches: *now becomes the new setup, the former is
 * dropped. */
void	 reload_commit(struct reload *, struct setup **now);
/* The next generation is gone, or shall not come: drop what was opened. */
void	 reload_abort(struct reload *, const struct setup *now);

#endif
