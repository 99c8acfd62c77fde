/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/reload.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "master/precheck.h"

/* ---- configuration ------------------------------------------------------ */

struct conf *
reload_parse(const struct reload *r, struct buf *errors)
{
	enum conf_action action = CONF_RUN;
	bool usage = false;

	return conf_from_argv(r->argc, r->argv, &action, errors, &usage);
}

static void
on_difference(const char *key, enum conf_class class, void *arg)
{
	struct buf *changed = arg;

	if (class == CONF_RESTART)
		log_warn("%s: the change needs a restart; the old value "
		    "stays", key);
	else
		buf_printf(changed, "%s%s", changed->len > 0 ? ", " : "",
		    key);
}

/* Say what differs, and keep what must not. */
static int
compare(const struct conf *old, struct conf *new)
{
	struct buf changed = BUF_INIT;
	enum conf_class class = conf_diff(old, new, on_difference, &changed);

	if (changed.len > 0 && !changed.failed)
		log_info("Changed: %s", buf_str(&changed));
	buf_fini(&changed);
	return class == CONF_RESTART ? conf_keep_fixed(new, old) : 0;
}

/* ---- steps -------------------------------------------------------------- */

static bool
is_sound(const struct conf *conf, const struct conf *now)
{
	struct buf errors = BUF_INIT;
	unsigned n = precheck(conf, now, &errors);

	precheck_log(&errors);
	buf_fini(&errors);
	return n == 0;
}

/* Everything that may fail for reasons of this machine; the log last, for
 * it is the one thing that is not beside the old one. */
static int
prepare(struct setup *next, const struct setup *now)
{
	if (privs_init(&next->privs, next->conf) != 0 ||
	    listeners_open(&next->listeners, next->conf,
	    &now->listeners) == -1 ||
	    setup_open_access(next, now) == -1)
		return -1;
	privs_raise_nofile(next->conf);
	return setup_change_error(next, now);
}

static enum reload_outcome
fail(struct reload *r, enum reload_outcome outcome)
{
	setup_free(&r->next);
	log_err("Reload failed, nothing was changed");
	return outcome;
}

enum reload_outcome
reload_begin(struct reload *r, const struct setup *now, struct fleet *fleet)
{
	struct buf errors = BUF_INIT;
	struct conf *conf = reload_parse(r, &errors);

	if (conf == NULL)
		precheck_log(&errors);
	buf_fini(&errors);
	if (conf == NULL)
		return fail(r, RELOAD_INVALID);
	r->next = setup_new(conf, now->spawn.worker);
	if (r->next == NULL || compare(now->conf, conf) == -1) {
		log_err("reload: %s", strerror(errno));
		return fail(r, RELOAD_FAILED);
	}
	r->next->spawn.stats = now->spawn.stats;
	if (!is_sound(conf, now->conf))
		return fail(r, RELOAD_INVALID);
	if (prepare(r->next, now) == -1)
		return fail(r, RELOAD_FAILED);
	if (fleet_renew(fleet, &r->next->spawn, conf_workers(conf)) == 0)
		return RELOAD_BEGUN;
	log_err("workers: %s", strerror(errno));
	(void)setup_change_error(now, r->next);
	return fail(r, RELOAD_FAILED);
}

void
reload_commit(struct reload *r, struct setup **now)
{
	struct setup *former = *now;

	*now = r->next;
	r->next = NULL;
	listeners_set_last(&former->listeners, &(*now)->listeners);
	listeners_replace(&(*now)->listeners, &former->listeners,
	    (*now)->conf);
	setup_free(&former);
}

void
reload_abort(struct reload *r, const struct setup *now)
{
	if (r->next == NULL)
		return;
	(void)setup_change_error(now, r->next);
	setup_free(&r->next);
}
