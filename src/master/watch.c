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
#include "base/list.h"
#include "base/log.h"
#include "master/pick.h"

/*
 * A file is changed when its writer closes it or another one takes its name;
 * IN_CREATE is for folders and links.  Attributes do not matter, nor what is
 * written to a file that has no name any more.
 */
#define FOLDER_EVENTS							\
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |	\
	    IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

#define NAME_EVENTS							\
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

/* For folders that the user named and that are gone: nobody tells when they
 * are there again. */
#define LOOK_EVERY	(1 * NSEC_PER_SEC)

#define DEAF	"Changes are not seen any more, asgid must be restarted"

/* Changed files that are told apart; more are only counted. */
#define CHANGED_MAX	1000

enum kind {
	NO_FOLDER,
	FOLDER,
	LINK,			/* .. under the name of a link to it */
	ROOT,			/* .. named by the user */
};

struct folder {
	struct list	 unread;	/* its entries are still to be seen */
	int		 wd;
	enum kind	 kind;
	bool		 counts;	/* has, or had, a file that counts */
	char		*path;		/* absolute; with links below a root */
};

struct watch {
	struct loop		*loop;
	struct loop_io		 io;
	struct loop_timer	 quiet;		/* armed while changes wait */
	struct loop_timer	 lost;		/* .. while one is gone */
	nsec_t			 delay;
	watch_f			*cb;
	void			*arg;
	struct pick		 pick;
	struct conf_list	 roots;		/* absolute */
	char			*cwd;		/* "/x/", NULL: unknown */
	struct folder		**folders;	/* by wd */
	size_t			 nfolders;
	struct list		 unread;
	struct conf_list	 links;		/* still to be followed */
	struct conf_list	 dangling;	/* were followed before */
	struct conf_list	 changed;
	unsigned		 uncounted;
	bool			 full;		/* no more watches, was said */
};

/* ---- changes ------------------------------------------------------------ */

static void
add_change(struct watch *w, const char *path)
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

/* ---- folders ------------------------------------------------------------ */

/* Where the folder with this number is, or would be. */
static size_t
place_of(const struct watch *w, int wd)
{
	size_t low = 0, high = w->nfolders, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (w->folders[mid]->wd < wd)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct folder *
folder_by_wd(const struct watch *w, int wd)
{
	size_t i = place_of(w, wd);

	return i < w->nfolders && w->folders[i]->wd == wd ? w->folders[i] :
	    NULL;
}

static void
look_for_root(struct watch *w)
{
	loop_timer_set(w->loop, &w->lost, mono_now() + LOOK_EVERY);
}

static void
folder_free(struct watch *w, struct folder *f)
{
	if (f->kind == ROOT)
		look_for_root(w);
	list_remove(&f->unread);
	free(f->path);
	free(f);
}

/* The kernel has dropped its watch, or is about to. */
static void
folder_forget(struct watch *w, struct folder *f)
{
	size_t i = place_of(w, f->wd);

	w->nfolders--;
	memmove(&w->folders[i], &w->folders[i + 1],
	    (w->nfolders - i) * sizeof(*w->folders));
	folder_free(w, f);
}

static bool
is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 &&
	    (path[n] == '\0' || path[n] == '/' || n == 1);
}

/* A folder with all below it: its path is another's now, or nobody's. Had it
 * a file that counts? The path may not be a folder's own. */
static bool
drop_tree(struct watch *w, const char *path)
{
	bool counts = false;
	struct folder *f;
	size_t i, kept = 0;

	for (i = 0; i < w->nfolders; i++) {
		f = w->folders[i];
		if (!is_below(f->path, path)) {
			w->folders[kept++] = f;
			continue;
		}
		counts = counts || f->counts;
		(void)inotify_rm_watch(w->io.fd, f->wd);
		folder_free(w, f);
	}
	w->nfolders = kept;
	return counts;
}

static int
insert(struct watch *w, int wd, char *path, enum kind kind)
{
	struct folder *f = calloc(1, sizeof(*f)), **at = NULL;
	size_t i = place_of(w, wd);

	if (f != NULL)
		at = reallocarray(w->folders, w->nfolders + 1, sizeof(*at));
	if (at == NULL) {
		free(f);
		return -1;
	}
	w->folders = at;
	memmove(&at[i + 1], &at[i], (w->nfolders - i) * sizeof(*at));
	at[i] = f;
	w->nfolders++;
	f->wd = wd;
	f->path = path;
	f->kind = kind;
	list_init(&f->unread);
	list_append(&w->unread, &f->unread);
	return 0;
}

static void
cannot_watch(struct watch *w, const char *path)
{
	if (errno == ENOSPC && !w->full) {
		w->full = true;
		log_err("cannot watch %s: this user has no more inotify "
		    "watches, raise fs.inotify.max_user_watches", path);
	} else if (errno != ENOSPC)
		log_err("cannot watch %s: %s", path, strerror(errno));
}

/* One folder has two names where it is mounted a second time. */
static bool
is_same(const char *path, const char *other)
{
	struct stat a, b;

	return strcmp(path, other) == 0 || (stat(path, &a) == 0 &&
	    stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino);
}

/* Watch one folder; what is in it comes by read_folders(). Of those that are
 * not the user's own words some may be gone or closed to us. 0, or -1 after
 * logging. */
static int
add_folder(struct watch *w, const char *path, enum kind kind)
{
	bool root = kind == ROOT;
	struct folder *f;
	char *copy;
	int wd;

	if (!root && !pick_folder(&w->pick, path))
		return 0;
	wd = inotify_add_watch(w->io.fd, path, FOLDER_EVENTS |
	    (kind == FOLDER ? IN_DONT_FOLLOW : 0));
	if (wd == -1 && !root && (errno == ENOENT || errno == ENOTDIR ||
	    errno == EACCES || errno == ENAMETOOLONG))
		return 0;
	if (wd == -1)
		goto fail;
	if ((f = folder_by_wd(w, wd)) != NULL && is_same(f->path, path))
		return 0;
	if (f != NULL)		/* moved, and the news of it are to come */
		folder_forget(w, f);
	if ((copy = strdup(path)) == NULL)
		goto fail;
	if (insert(w, wd, copy, kind) == 0)
		return 0;
	free(copy);
fail:
	cannot_watch(w, path);
	return -1;
}

/* What is in there is found by other ways already, or would be without end. */
static bool
is_around(const char *path, const struct stat *folder)
{
	char above[PATH_MAX];
	struct stat st;
	char *slash;

	snprintf(above, sizeof(above), "%s", path);
	while ((slash = strrchr(above, '/')) != NULL) {
		*slash = '\0';
		if (stat(*above != '\0' ? above : "/", &st) == 0 &&
		    st.st_dev == folder->st_dev && st.st_ino == folder->st_ino)
			return true;
	}
	return false;
}

/* Links to folders are followed, those to one that they are in are not. */
static enum kind
kind_of(const char *path)
{
	struct stat st;
	bool link;

	if (lstat(path, &st) == -1)
		return NO_FOLDER;
	link = S_ISLNK(st.st_mode);
	if ((link && stat(path, &st) == -1) || !S_ISDIR(st.st_mode))
		return NO_FOLDER;
	if (!link)
		return FOLDER;
	return is_around(path, &st) ? NO_FOLDER : LINK;
}

/* "folder/name"; false when that is no path. */
static bool
join(char path[PATH_MAX], const char *folder, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", folder[1] != '\0' ?
	    folder : "", name) < PATH_MAX;
}

/* Is this entry a folder, or one that is to come later? */
static bool
take_folder(struct watch *w, const char *path, const struct dirent *d,
    int *result)
{
	enum kind kind = d->d_type == DT_DIR ? FOLDER :
	    d->d_type == DT_LNK || d->d_type == DT_UNKNOWN ? kind_of(path) :
	    NO_FOLDER;

	if (kind == FOLDER && add_folder(w, path, kind) == -1)
		*result = -1;
	if (kind == LINK && conf_list_add(&w->links, path) == -1)
		cannot_watch(w, path);
	return kind != NO_FOLDER;
}

/* The folder may be met below its own path, when another one has taken its
 * place there meanwhile: it is forgotten and added anew then. */
static int
read_folder(struct watch *w, struct folder *f, bool is_change)
{
	DIR *dir = opendir(f->path);
	char path[PATH_MAX], folder[PATH_MAX];
	bool counts = false;
	struct dirent *d;
	int result = 0, wd = f->wd;

	if (dir == NULL)
		return 0;		/* gone, or not ours to read */
	snprintf(folder, sizeof(folder), "%s", f->path);
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 ||
		    !join(path, folder, d->d_name))
			continue;
		if (take_folder(w, path, d, &result))
			continue;
		if (pick_file(&w->pick, path)) {
			counts = true;
			if (is_change)
				add_change(w, path);
		}
	}
	closedir(dir);
	if (counts && (f = folder_by_wd(w, wd)) != NULL)
		f->counts = true;
	return result;
}

static int
follow_link(struct watch *w, const char *path)
{
	char *real = realpath(path, NULL);
	int result = 0;

	if (real != NULL && !pick_is_left_out(&w->pick, real))
		result = add_folder(w, path, LINK);
	free(real);
	return result;
}

/*
 * All that were added, and what they hold.  A folder is watched before it is
 * read, so that nothing can come into it unseen; what is seen twice does no
 * harm.  Links come last: a folder that has a path of its own keeps that, and
 * is watched once by whatever names.
 */
static int
read_folders(struct watch *w, bool is_change)
{
	struct folder *f;
	char *path;
	int result = 0;

	for (;;) {
		if (!list_empty(&w->unread)) {
			f = list_entry(w->unread.next, struct folder, unread);
			list_remove(&f->unread);
			if (read_folder(w, f, is_change) == -1)
				result = -1;
		} else if (w->links.n > 0) {
			path = w->links.at[--w->links.n];
			if (follow_link(w, path) == -1)
				result = -1;
			free(path);
		} else
			return result;
	}
}

/* A name is gone that folders were known by: they may have others. */
static void
read_again(struct watch *w)
{
	size_t i;

	for (i = 0; i < w->nfolders; i++)
		if (list_empty(&w->folders[i]->unread))
			list_append(&w->unread, &w->folders[i]->unread);
	(void)read_folders(w, false);
}

/* Links whose folders were gone: they are there again, or the links are gone
 * too, or it goes on. */
static void
look_for_links(struct watch *w)
{
	struct conf_list were = w->dangling;
	struct stat st;
	size_t i;

	w->dangling = (struct conf_list){ 0 };
	for (i = 0; i < were.n; i++)
		if (kind_of(were.at[i]) == LINK) {
			(void)conf_list_add(&w->links, were.at[i]);
		} else if (lstat(were.at[i], &st) == 0 &&
		    S_ISLNK(st.st_mode)) {
			(void)conf_list_add(&w->dangling, were.at[i]);
			look_for_root(w);
		}
	conf_list_clear(&were);
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
			(void)add_folder(w, w->roots.at[i], ROOT);
		else
			look_for_root(w);
	look_for_links(w);
	(void)read_folders(w, true);
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
			look_for_root(w);
		else if (add_folder(w, w->roots.at[i], ROOT) == -1)
			return -1;
	}
	if (w->dangling.n > 0)
		look_for_root(w);
	if (read_folders(w, false) == -1)
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
	while (w->nfolders > 0)
		folder_free(w, w->folders[--w->nfolders]);
	loop_timer_del(w->loop, &w->lost);
	free(w->folders);
	w->folders = NULL;
	conf_list_clear(&w->links);
}

/* Events were lost: whatever is there now is what there is. */
static void
begin_again(struct watch *w)
{
	log_debug("inotify: more changes than it could hold");
	end(w);
	if (begin(w, true) == -1)
		log_err(DEAF);
	add_change(w, w->roots.at[0]);
}

static void
lost_root(struct watch *w, struct folder *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", f->path);
	log_warn("%s is gone: it is looked for once a second", path);
	(void)drop_tree(w, path);
}

/* What a link led to is gone, or is there no more. */
static void
lost_link(struct watch *w, struct folder *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", f->path);
	if (drop_tree(w, path))
		add_change(w, path);
	if (conf_list_add(&w->dangling, path) == 0)
		look_for_root(w);
	read_again(w);
}

/* The folder that is watched by the name of a link. */
static struct folder *
folder_by_link(const struct watch *w, const char *path)
{
	size_t i;

	for (i = 0; i < w->nfolders; i++)
		if (w->folders[i]->kind == LINK &&
		    strcmp(w->folders[i]->path, path) == 0)
			return w->folders[i];
	return NULL;
}

/* A name of no folder has come, or gone, or both. Is it, or was it, a link to
 * one? */
static bool
on_link(struct watch *w, const char *path)
{
	bool was = folder_by_link(w, path) != NULL;
	bool is = kind_of(path) == LINK;

	if (was && drop_tree(w, path))
		add_change(w, path);
	if (is) {
		(void)conf_list_add(&w->links, path);
		(void)read_folders(w, true);
	}
	if (was)
		read_again(w);
	return was || is;
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

	if (!join(path, f->path, ev->name))
		return;
	if (ev->mask & IN_ISDIR) {
		if (ev->mask & IN_MOVED_FROM && drop_tree(w, path))
			add_change(w, path);
		if (ev->mask & (IN_CREATE | IN_MOVED_TO)) {
			(void)add_folder(w, path, FOLDER);
			(void)read_folders(w, true);
		}
		return;
	}
	if (ev->mask & NAME_EVENTS && on_link(w, path))
		return;
	/* a virtual environment in the making: its first file is this */
	if (f->kind != ROOT && strcmp(ev->name, "pyvenv.cfg") == 0) {
		*strrchr(path, '/') = '\0';
		(void)drop_tree(w, path);
		return;
	}
	if (!pick_file(&w->pick, path) ||
	    (ev->mask & IN_CREATE && !is_link(path)))
		return;
	f->counts = true;
	add_change(w, path);
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
		if ((f = folder_by_wd(w, ev->wd)) == NULL)
			continue;	/* dropped before */
		if (f->kind == ROOT && ev->mask & (IN_IGNORED | IN_MOVE_SELF))
			lost_root(w, f);
		else if (f->kind == LINK &&
		    ev->mask & (IN_IGNORED | IN_MOVE_SELF))
			lost_link(w, f);
		else if (ev->mask & IN_IGNORED)
			folder_forget(w, f);
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
		if (last == NULL || !is_below(w->roots.at[i], last)) {
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
	struct conf_list former = w->roots;
	size_t i = 0;

	w->roots = (struct conf_list){ 0 };
	if (find_roots(w, conf) == -1) {
		log_err("cannot watch for changes: %s", strerror(errno));
		conf_list_clear(&w->roots);
		w->roots = former;
		return;
	}
	if (former.n == w->roots.n)
		while (i < former.n &&
		    strcmp(former.at[i], w->roots.at[i]) == 0)
			i++;
	if (i < w->roots.n || former.n != w->roots.n) {
		set_cwd(w);
		say_roots(w);
		end(w);
		if (begin(w, true) == -1)
			log_err(DEAF);
	}
	conf_list_clear(&former);
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
