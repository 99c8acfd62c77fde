/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/log.h"
#include "master/watch_priv.h"

#define NAME_EVENTS							\
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

/* For folders that the user named and that are gone: nobody tells when they
 * are there again. */
#define LOOK_EVERY	(1 * NSEC_PER_SEC)

#define DEAF	"Changes are not seen any more, asgid must be restarted"

/* Changed files that are told apart; more are only counted. */
#define CHANGED_MAX	1000

/* ---- changes ------------------------------------------------------------ */

void
watch_add_change(struct watch *w, const char *path)
{
	size_t i, n = w->cwd != NULL ? strlen(w->cwd) : 0;

	loop_timer_set(w->loop, &w->quiet, mono_now() + w->delay);
	if (n > 0 && strncmp(path, w->cwd, n) == 0)
		path += n;
	for (i = 0; i < w->changed.n; i++)
		if (strcmp(w->changed.at[i], path) == 0)
			return;
	if (w->changed.n == CHANGED_MAX ||
	    conf_list_add(&w->changed, path) == -1)
		w->uncounted++;
}

void
watch_look(struct watch *w)
{
	loop_timer_set(w->loop, &w->lost, mono_now() + LOOK_EVERY);
}

/* What is in one that has come back is changed; nothing happens to those that
 * were not gone. */
static void
on_lost(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct watch *w = container_of(t, struct watch, lost);
	size_t i;

	for (i = 0; i < w->roots.n; i++)
		if (access(w->roots.at[i], F_OK) == 0)
			(void)folders_add(w, w->roots.at[i], ROOT);
		else
			watch_look(w);
	folders_look_for_links(w);
	(void)folders_read(w, true);
}

static void
on_quiet(struct loop *loop UNUSED, struct loop_timer *t)
{
	struct watch *w = container_of(t, struct watch, quiet);
	struct conf_list changed;
	unsigned n;

	changed = w->changed;
	n = (unsigned)changed.n + w->uncounted;
	w->changed = (struct conf_list){ 0 };
	w->uncounted = 0;
	w->cb(changed.n > 0 ? changed.at[0] : "files", n - 1, w->arg);
	conf_list_clear(&changed);
}

/* ---- events ------------------------------------------------------------- */

static void on_events(struct loop *, struct loop_io *, unsigned);

/* Folders that the user named must be there at the start. */
static int
begin(struct watch *w, bool again)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	size_t i;

	loop_io_init(&w->io, fd, on_events);
	if (fd == -1) {
		log_err("cannot watch for changes: %s%s", strerror(errno),
		    errno == EMFILE ? ", see fs.inotify.max_user_instances" :
		    "");
		return -1;
	}
	for (i = 0; i < w->roots.n; i++) {
		if (again && access(w->roots.at[i], F_OK) == -1)
			watch_look(w);
		else if (folders_add(w, w->roots.at[i], ROOT) == -1)
			return -1;
	}
	if (w->dangling.n > 0)
		watch_look(w);
	if (folders_read(w, false) == -1)
		return -1;
	if (loop_io_set(w->loop, &w->io, LOOP_READ) == 0)
		return 0;
	log_err("cannot watch for changes: %s", strerror(errno));
	return -1;
}

static void
end(struct watch *w)
{
	loop_io_del(w->loop, &w->io);
	if (w->io.fd != -1)
		close(w->io.fd);
	w->io.fd = -1;
	folders_clear(w);
	loop_timer_del(w->loop, &w->lost);
}

/* Events were lost: whatever is there now is what there is. */
static void
begin_again(struct watch *w)
{
	log_debug("inotify: more changes than it could hold");
	end(w);
	if (begin(w, true) == -1)
		log_err(DEAF);
	watch_add_change(w, w->roots.at[0]);
}

static void
lost_root(struct watch *w, struct folder *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", f->path);
	log_warn("%s is gone: it is looked for once a second", path);
	(void)folders_drop(w, path);
}

/* Links have no writer that would close them. */
static bool
is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) ||
	    (S_ISREG(st.st_mode) && st.st_nlink > 1));
}

static void
on_entry(struct watch *w, struct folder *f, const struct inotify_event *ev)
{
	char path[PATH_MAX];

	if (!folders_join(path, f->path, ev->name))
		return;
	if (ev->mask & IN_ISDIR) {
		if (ev->mask & IN_MOVED_FROM && folders_drop(w, path))
			watch_add_change(w, path);
		if (ev->mask & (IN_CREATE | IN_MOVED_TO)) {
			(void)folders_add(w, path, FOLDER);
			(void)folders_read(w, true);
		}
		return;
	}
	if (ev->mask & NAME_EVENTS && folders_take_name(w, path))
		return;
	/* a virtual environment in the making: its first file is this */
	if (f->kind != ROOT && strcmp(ev->name, "pyvenv.cfg") == 0) {
		*strrchr(path, '/') = '\0';
		(void)folders_drop(w, path);
		return;
	}
	if (!pick_file(&w->pick, path) ||
	    (ev->mask & IN_CREATE && !is_link(path)))
		return;
	f->counts = true;
	watch_add_change(w, path);
}

static void
on_events(struct loop *loop UNUSED, struct loop_io *io, unsigned revents UNUSED)
{
	struct watch *w = container_of(io, struct watch, io);
	char buf[16384]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *ev;
	struct folder *f;
	ssize_t i, n = read(io->fd, buf, sizeof(buf));

	for (i = 0; i < n; i += (ssize_t)(sizeof(*ev) + ev->len)) {
		ev = (const void *)(buf + i);
		if (ev->mask & IN_Q_OVERFLOW) {
			begin_again(w);
			return;
		}
		if ((f = folders_find(w, ev->wd)) == NULL)
			continue;	/* dropped before */
		if (f->kind == ROOT && ev->mask & (IN_IGNORED | IN_MOVE_SELF))
			lost_root(w, f);
		else if (f->kind == LINK &&
		    ev->mask & (IN_IGNORED | IN_MOVE_SELF))
			folders_lose_link(w, f);
		else if (ev->mask & IN_IGNORED)
			folders_forget(w, f);
		else if (ev->len > 0)
			on_entry(w, f, ev);
	}
}

/* ---- life --------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_root(struct watch *w, const char *name)
{
	char *path = pick_absolute(name);
	int result = path != NULL ? conf_list_add(&w->roots, path) : -1;

	free(path);
	return result;
}

/* reload.dirs, and directories among the patterns, as uvicorn has it. */
static int
find_roots(struct watch *w, const struct conf *conf)
{
	const struct conf_list *l = &conf->reload_include;
	struct stat st;
	size_t i;

	for (i = 0; i < conf->reload_dirs.n; i++)
		if (add_root(w, conf->reload_dirs.at[i]) == -1)
			return -1;
	for (i = 0; i < l->n; i++)
		if (stat(l->at[i], &st) == 0 && S_ISDIR(st.st_mode) &&
		    add_root(w, l->at[i]) == -1)
			return -1;
	if (w->roots.n == 0 && add_root(w, *conf->app_dir != '\0' ?
	    conf->app_dir : ".") == -1)
		return -1;
	qsort(w->roots.at, w->roots.n, sizeof(*w->roots.at), compare);
	return 0;
}

/* Sorted: one inside another comes behind it. */
static void
say_roots(const struct watch *w)
{
	struct buf b = BUF_INIT;
	const char *last = NULL;
	size_t i;

	for (i = 0; i < w->roots.n; i++)
		if (last == NULL || !folders_is_below(w->roots.at[i], last)) {
			buf_printf(&b, "%s'%s'", last != NULL ? ", " : "",
			    w->roots.at[i]);
			last = w->roots.at[i];
		}
	log_info("Will watch for changes in these directories: [%s]",
	    buf_str(&b));
	buf_fini(&b);
}

static void
set_cwd(struct watch *w)
{
	char *cwd = getcwd(NULL, 0);

	free(w->cwd);
	if (cwd == NULL || asprintf(&w->cwd, "%s/", cwd) == -1)
		w->cwd = NULL;
	free(cwd);
}

void
watch_follow(struct watch *w, const struct conf *conf)
{
	struct conf_list roots = w->roots;
	struct pick pick = w->pick;

	w->roots = (struct conf_list){ 0 };
	if (pick_init(&w->pick, conf) == -1 || find_roots(w, conf) == -1) {
		log_err("cannot watch for changes: %s", strerror(errno));
		conf_list_clear(&w->roots);
		pick_fini(&w->pick);
		w->roots = roots;
		w->pick = pick;
		return;
	}
	if (!conf_list_same(&roots, &w->roots) ||
	    !conf_list_same(&pick.left_out, &w->pick.left_out)) {
		set_cwd(w);
		say_roots(w);
		end(w);
		folders_keep_lost_links(w);
		if (begin(w, true) == -1)
			log_err(DEAF);
	}
	conf_list_clear(&roots);
	pick_fini(&pick);
}

struct watch *
watch_new(struct loop *loop, const struct conf *conf, watch_f *cb, void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto nomem;
	w->loop = loop;
	w->delay = conf->reload_delay;
	w->cb = cb;
	w->arg = arg;
	list_init(&w->unread);
	loop_io_init(&w->io, -1, on_events);
	loop_timer_init(&w->quiet, on_quiet);
	loop_timer_init(&w->lost, on_lost);
	set_cwd(w);
	if (pick_init(&w->pick, conf) == -1 || find_roots(w, conf) == -1)
		goto nomem;
	say_roots(w);
	if (begin(w, false) == 0)
		return w;
	watch_free(&w);
	return NULL;
nomem:
	log_err("cannot watch for changes: %s", strerror(errno));
	watch_free(&w);
	return NULL;
}

void
watch_free(struct watch **wp)
{
	struct watch *w = *wp;

	if (w == NULL)
		return;
	end(w);
	loop_timer_del(w->loop, &w->quiet);
	pick_fini(&w->pick);
	conf_list_clear(&w->roots);
	conf_list_clear(&w->dangling);
	conf_list_clear(&w->changed);
	free(w->cwd);
	free(w);
	*wp = NULL;
}
