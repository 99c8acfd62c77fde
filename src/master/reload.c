/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/reload.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "ctl/ctl.h"
#include "master/precheck.h"

/* ---- configuration ------------------------------------------------------ */

void
reload_init(struct reload *r, int argc, char *const argv[])
{
	const char *pwd = getenv("PWD");
	struct stat named, here;

	*r = (struct reload){ .argc = argc, .argv = argv };
	if (pwd != NULL && *pwd == '/' && stat(pwd, &named) == 0 &&
	    stat(".", &here) == 0 && named.st_dev == here.st_dev &&
	    named.st_ino == here.st_ino)
		r->home = strdup(pwd);
}

void
reload_fini(struct reload *r)
{
	free(r->home);
	r->home = NULL;
}

/* When the name is gone the directory has to do. */
void
reload_enter(const struct reload *r)
{
	if (r->home != NULL && chdir(r->home) == -1)
		log_warn("%s: %s: the working directory stays what it was",
		    r->home, strerror(errno));
}

void
reload_leave(const struct setup *now)
{
	if (now->folder != -1 && fchdir(now->folder) == -1)
		log_warn("working directory: %s", strerror(errno));
}

static bool
has_id(const char *path, const char *id)
{
	char is[CTL_FILE_ID_MAX];

	return ctl_file_id(path, is) == 0 && strcmp(is, id) == 0;
}

bool
reload_is_file(const struct reload *r, const char *file, const char *id)
{
	char path[PATH_MAX];

	if (*file == '\0')
		return false;
	if (has_id(file, id))
		return true;
	return *file != '/' && r->home != NULL && snprintf(path, sizeof(path),
	    "%s/%s", r->home, file) < (int)sizeof(path) && has_id(path, id);
}

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
fail(struct reload *r, const struct setup *now, enum reload_outcome outcome)
{
	reload_leave(now);
	setup_free(&r->next);
	log_err("Reload failed, nothing was changed");
	return outcome;
}

enum reload_outcome
reload_go_on(struct reload *r, const struct setup *now, struct fleet *fleet,
    const char *why)
{
	const struct conf *conf = r->next->conf;

	if (why != NULL) {
		log_err("reload: %s", why);
		return fail(r, now, RELOAD_FAILED);
	}
	reload_enter(r);
	if (!is_sound(conf, now->conf))
		return fail(r, now, RELOAD_INVALID);
	if (prepare(r->next, now) == -1)
		return fail(r, now, RELOAD_FAILED);
	if (fleet_renew(fleet, &r->next->spawn, conf_workers(conf)) == 0)
		return RELOAD_BEGUN;
	log_err("workers: %s", strerror(errno));
	(void)setup_change_error(now, r->next);
	return fail(r, now, RELOAD_FAILED);
}

static void
on_names(void *arg, const char *why)
{
	struct reload *r = arg;

	r->lookup = NULL;
	r->on_names(r, why);
}

enum reload_outcome
reload_begin(struct reload *r, const struct setup *now, struct fleet *fleet)
{
	struct buf errors = BUF_INIT;
	struct conf *conf;

	reload_enter(r);
	if ((conf = reload_parse(r, &errors)) == NULL)
		precheck_log(&errors);
	buf_fini(&errors);
	if (conf == NULL)
		return fail(r, now, RELOAD_INVALID);
	r->next = setup_new(conf, now->spawn.worker);
	if (r->next == NULL || compare(now->conf, conf) == -1) {
		log_err("reload: %s", strerror(errno));
		return fail(r, now, RELOAD_FAILED);
	}
	r->next->spawn.stats = now->spawn.stats;
	switch (lookup_begin(&r->lookup, fleet->loop, conf, on_names, r)) {
	case 0:
		return reload_go_on(r, now, fleet, NULL);
	case 1:
		return RELOAD_BEGUN;
	default:
		return reload_go_on(r, now, fleet, strerror(errno));
	}
}

void
reload_commit(struct reload *r, struct setup **now)
{
	struct setup *former = *now;

	*now = r->next;
	r->next = NULL;
	/* a check may have led elsewhere meanwhile */
	reload_leave(*now);
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
	reload_leave(now);
	if (r->lookup == NULL)
		(void)setup_change_error(now, r->next);
	lookup_cancel(&r->lookup);
	setup_free(&r->next);
}
