/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared by the files that make up the master itself: its one struct, and
 * what signals, the control socket and watched files make it do.
 */
#ifndef MASTER_MASTER_PRIV_H
#define MASTER_MASTER_PRIV_H

#include <time.h>

#include "base/buf.h"
#include "ctl/ctl.h"
#include "loop/loop.h"
#include "master/control.h"
#include "master/fleet.h"
#include "master/metrics.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/setup.h"
#include "master/watch.h"
#include "stats/render.h"
#include "stats/stats.h"

struct master {
	struct setup		*setup;		/* what serves is made of */
	struct stats_segment	*stats;
	struct loop		*loop;
	struct loop_io		 signals;	/* signals.c */
	bool			 nohup;		/* SIGHUP was ignored */
	struct notify		 notify;
	struct pidfile		 pidfile;
	struct fleet		 fleet;
	struct reload		 reload;
	struct control		 control;
	struct list		 waiters;	/* wait.c */
	struct list		 checks;	/* check.c */
	struct metrics		*metrics;	/* NULL: no listener */
	struct watch		*watch;		/* NULL: not asked for */
	struct loop_work	 catch_up;	/* reloads put off */
	bool			 changed;	/* since the reload began */
	bool			 alone;		/* .. is to be tried again, when
						 * no other process is left */
	nsec_t			 started;
	time_t			 started_at;
	unsigned		 told_serving;	/* the service manager */
	bool			 reopen_again;	/* when the reload is over */
	bool			 announced;	/* "running on" was logged */
	bool			 ready;		/* READY=1 was sent */
	bool			 stopping;
	int			 status;	/* to exit with */

	/* the last reload, for `status` and for who asks for another */
	char			 reload_by[CONTROL_WHO_MAX];
	time_t			 reload_at;	/* 0: none yet */
	enum ctl_result_id	 reload_result;	/* CTL_R_WAITING: runs */
	struct buf		 reload_text;	/* warnings, errors */
};

/* To who asks for what asgid will not do any more. */
#define STOPPING_TEXT	"asgid is stopping"

/* ---- actions.c: what is done when asked ---------------------------------- */

/* Each says why not in `why` (lines; NULL: nobody is to be told beyond the
 * log) and returns what the asker is to be told. */

/* Drain, or at once; the second may follow the first. */
void	 master_stop(struct master *, bool now);
enum ctl_result_id master_reopen(struct master *, struct buf *why);
/* `by` is who asks. CTL_R_WAITING: begun, on_reload follows. */
enum ctl_result_id master_reload(struct master *, const char *by,
	    struct buf *why);
enum ctl_result_id master_scale(struct master *, unsigned count,
	    struct buf *why);
/* That goes on: m->alone, and no worker is left. */
void	 master_reload_alone(struct master *);
/* Is a reload under way? */
bool	 master_is_reloading(const struct master *);
/* The fleet has switched (why NULL), or has not. */
void	 master_reloaded(struct master *, const char *why);
/* The names of a reload's configuration. */
void	 master_on_names(struct reload *, const char *why);
/* With what had to wait for the end of a reload (master.c). */
void	 master_catch_up(struct master *);
/* Tell the service manager how many serve, after `first` ("READY=1\n"). */
void	 master_tell(struct master *, const char *first);

/* ---- command.c: the control socket's commands ---------------------------- */

extern const struct control_ops command_ops;

/* ---- wait.c: commands whose outcome is not known yet --------------------- */

enum wait_kind {
	WAIT_READY, WAIT_DRAINED,
	WAIT_SCALE, WAIT_RESTART,	/* seen by looking */
	WAIT_RELOAD, WAIT_STOP,		/* told below */
	WAIT_TAKEOVER,			/* wait.c's: reloaded */
};

/* Answer this client when that is so, at once if it is. `what`: the process
 * that a RESTART replaces, the number of workers that a SCALE wants, else 0;
 * limit 0: for ever. */
void	 wait_for(struct master *, struct control_client *,
	    const struct ctl_request *, enum wait_kind, int what,
	    nsec_t limit);
/* The client is gone. */
void	 wait_forget(struct master *, const struct control_client *);
/* Something has changed. */
void	 wait_check(struct master *);
/* That worker has ended; who waits for one in its seat to serve waits in
 * vain. */
void	 wait_on_exit(struct master *, const struct child *);
/* Not even a process could be made for a seat. */
void	 wait_on_unborn(struct master *, const char *why);
/* The reload is over; see reload_result and reload_text. */
void	 wait_on_reload(struct master *);
/* asgid stops: nothing but its end can be waited for any more. */
void	 wait_on_stop(struct master *);
/* The last worker is gone. */
void	 wait_on_end(struct master *);

/* ---- signals.c: those of which it matters who sent them ------------------ */

/* All that were blocked until now come. 0, or -1 with errno. */
int	 signals_init(struct master *);
void	 signals_fini(struct master *);

/* ---- check.c: the command check ------------------------------------------ */

void	 check_begin(struct master *, struct control_client *, bool diff);
/* The client is gone. */
void	 check_forget(struct master *, const struct control_client *);

/* ---- view.c: what can be seen -------------------------------------------- */

void	 view_status(struct master *, bool json, struct buf *);
void	 view_workers(struct master *, unsigned flags, struct buf *);
typedef void stats_render_f(const struct stats_view *, struct buf *);
void	 view_stats(struct master *, stats_render_f *, struct buf *);

#endif
