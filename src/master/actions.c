/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the master does when it is asked to, whoever asks.
 */
#include "master/master_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "base/log.h"

/* The service manager's view. */
void
master_tell(struct master *m, const char *first)
{
	m->told_serving = m->fleet.serving;
	notify_send(&m->notify, "%sSTATUS=%u of %u workers serve", first,
	    m->fleet.serving, m->fleet.now.nseats);
}

/* ---- stopping ----------------------------------------------------------- */

/* The workers take what is queued and close their copies; ours go at once, so
 * that the last of theirs closes the port. */
void
master_stop(struct master *m, bool now)
{
	if (!m->stopping) {
		m->stopping = true;
		notify_send(&m->notify, "STOPPING=1\nSTATUS=Shutting down");
		wait_on_stop(m);
	}
	if (master_is_reloading(m)) {
		m->reload_result = CTL_R_BUSY;
		buf_puts(&m->reload_text, STOPPING_TEXT "\n");
		m->alone = false;
	}
	listeners_set_last(&m->setup->listeners, NULL);
	fleet_stop(&m->fleet, now);
	reload_abort(&m->reload, m->setup);
	listeners_close(&m->setup->listeners);
}

/* ---- logs --------------------------------------------------------------- */

/* The workers may not be allowed to open them: they get the descriptors. A
 * generation that is starting has logs of its own, perhaps others: its turn
 * comes when it is known whether it stays. */
enum ctl_result_id
master_reopen(struct master *m, struct buf *why)
{
	bool error, access, all;
	int fds[2];
	size_t n = 0;

	m->reopen_again = fleet_is_renewing(&m->fleet);
	log_tee(why);
	all = setup_reopen(m->setup, &error, &access);
	log_tee(NULL);
	if (error)
		fds[n++] = log_fd();
	if (access)
		fds[n++] = m->setup->access_fd;
	if (n > 0)
		fleet_reopen(&m->fleet, n == 2 ? "error access" :
		    error ? "error" : "access", fds, n);
	if (!all)
		return CTL_R_FAILED;
	log_info("Log files reopened");
	return CTL_R_DONE;
}

/* ---- reload ------------------------------------------------------------- */

bool
master_is_reloading(const struct master *m)
{
	return fleet_is_renewing(&m->fleet) || m->alone ||
	    m->reload.lookup != NULL;
}

/* Why nothing can be begun now, or NULL. */
static const char *
obstacle(const struct master *m, char text[128])
{
	if (m->stopping)
		return STOPPING_TEXT;
	if (m->fleet.unborn > 0)
		return "asgid is starting";
	if (!master_is_reloading(m))
		return NULL;
	snprintf(text, 128, "a reload is running (%s)", m->reload_by);
	return text;
}

/* To who asked, or else to the log. */
static void
explain(struct buf *why, const char *what, const char *reason)
{
	if (why != NULL)
		buf_printf(why, "%s\n", reason);
	else
		log_warn("%s: %s", what, reason);
}

static void
take_outcome(struct master *m, enum reload_outcome outcome)
{
	static const enum ctl_result_id results[] = {
		[RELOAD_BEGUN]		= CTL_R_WAITING,
		[RELOAD_INVALID]	= CTL_R_INVALID,
		[RELOAD_FAILED]		= CTL_R_FAILED,
	};

	m->reload_result = results[outcome];
	if (m->reload_result != CTL_R_WAITING)
		STAT_ADD(reloads_failed, 1);
	else if (m->watch != NULL)
		watch_follow(m->watch, m->reload.next->conf);
}

static void
begin(struct master *m)
{
	log_tee(&m->reload_text);
	take_outcome(m, reload_begin(&m->reload, m->setup, &m->fleet));
	log_tee(NULL);
}

enum ctl_result_id
master_reload(struct master *m, const char *by, struct buf *why)
{
	const char *reason;
	char text[128];

	if ((reason = obstacle(m, text)) != NULL) {
		log_warn("Reload by %s refused: %s", by, reason);
		if (why != NULL)
			buf_printf(why, "%s\n", reason);
		return CTL_R_CONFLICT;
	}
	snprintf(m->reload_by, sizeof(m->reload_by), "%s", by);
	m->reload_at = time(NULL);
	buf_reset(&m->reload_text);
	notify_send(&m->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64
	    "\nSTATUS=Reloading", mono_now() / 1000);
	begin(m);
	if (m->reload_result == CTL_R_WAITING)
		return CTL_R_WAITING;
	if (why != NULL)
		buf_puts(why, buf_str(&m->reload_text));
	master_tell(m, "READY=1\n");
	return m->reload_result;
}

/* Of the code itself, or of this machine: who is alone meets them too. */
static const char *const mistakes[] = {
	"SyntaxError", "IndentationError", "TabError", "ImportError",
	"ModuleNotFoundError", "NameError", "UnboundLocalError",
	"AttributeError", "TypeError", "KeyError", "IndexError", "ValueError",
	"AssertionError", "NotImplementedError", "RecursionError",
	"ZeroDivisionError", "Error loading ASGI app",
	"killed by SIGSEGV", "killed by SIGABRT", "killed by SIGBUS",
	"killed by SIGILL", "killed by SIGFPE", "cannot start a worker",
};

/* Does that text tell of one? "..: NameError: name 'x' is not defined" */
static bool
is_mistake(const char *why)
{
	const char *at;
	size_t i, n;

	for (i = 0; i < countof(mistakes); i++) {
		n = strlen(mistakes[i]);
		for (at = why; (at = strstr(at, mistakes[i])) != NULL; at += n)
			if ((at == why || (at - why >= 2 &&
			    strncmp(at - 2, ": ", 2) == 0)) &&
			    strchr(":. ", at[n]) != NULL)
				return true;
	}
	return false;
}

/*
 * While a developer works, what a new worker needs may be held by an old one:
 * a port or a lock that the application takes when it is imported or started.
 * Two generations of it can never live side by side, so the old one is let
 * go, and the new one tried again when nobody is left.  The listeners stay
 * open meanwhile.  For mistakes of the code the answers of the old one are
 * worth more.
 */
static bool
try_alone(struct master *m, const char *why)
{
	if (m->watch == NULL || m->fleet.serving == 0 || is_mistake(why))
		return false;
	log_warn("The new workers failed while the old ones run: these end "
	    "first now, and the new ones are tried once more alone: %s", why);
	reload_abort(&m->reload, m->setup);
	m->alone = true;
	fleet_let_go(&m->fleet);
	return true;
}

/* Who waits for it is told, who could not be served meanwhile is served. */
static void
end(struct master *m)
{
	master_tell(m, "READY=1\n");
	wait_on_reload(m);
	if (m->reopen_again)
		(void)master_reopen(m, NULL);
}

/* It has begun, or was in vain. */
static void
begun(struct master *m)
{
	if (m->reload_result == CTL_R_WAITING)
		return;
	if (m->fleet.now.nseats == 0)
		log_info("Waiting for changes");
	end(m);
}

void
master_reload_alone(struct master *m)
{
	m->alone = false;
	begin(m);
	begun(m);
}

void
master_on_names(struct reload *r, const char *why)
{
	struct master *m = container_of(r, struct master, reload);

	log_tee(&m->reload_text);
	take_outcome(m, reload_go_on(&m->reload, m->setup, &m->fleet, why));
	log_tee(NULL);
	begun(m);
	master_catch_up(m);
}

void
master_reloaded(struct master *m, const char *why)
{
	const struct fleet *f = &m->fleet;
	const char *then = f->now.nseats > 0 ? "the old workers serve on" :
	    "waiting for changes";

	if (why != NULL && try_alone(m, why))
		return;
	if (why == NULL) {
		control_set_conf(&m->control, m->setup->conf);
		m->reload_result = CTL_R_DONE;
		STAT_ADD(reloads_ok, 1);
		log_info("Reloaded: %u worker(s) of generation %u serve",
		    f->now.nseats, f->now.generation);
		buf_printf(&m->reload_text, "%u worker(s) of generation %u "
		    "serve\n", f->now.nseats, f->now.generation);
	} else {
		reload_abort(&m->reload, m->setup);
		m->reload_result = CTL_R_FAILED;
		STAT_ADD(reloads_failed, 1);
		log_err("Reload failed, %s: %s", then, why);
		buf_printf(&m->reload_text, "%s\n%s\n", why, then);
	}
	end(m);
}

/* ---- number of workers -------------------------------------------------- */

enum ctl_result_id
master_scale(struct master *m, unsigned count, struct buf *why)
{
	const char *reason;
	char text[128], what[48];

	snprintf(what, sizeof(what), "%u worker(s)", count);
	if ((reason = obstacle(m, text)) != NULL) {
		explain(why, what, reason);
		return CTL_R_CONFLICT;
	}
	if (count < 1 || count > FLEET_MAX) {
		snprintf(text, sizeof(text), "expected 1 to %d workers",
		    FLEET_MAX);
		explain(why, what, text);
		return CTL_R_USAGE;
	}
	if (fleet_scale(&m->fleet, count) == -1) {
		explain(why, what, strerror(errno));
		return CTL_R_FAILED;
	}
	log_info("Now %s", what);
	master_tell(m, "");
	return CTL_R_DONE;
}
