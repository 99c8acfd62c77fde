/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The folders that are watched: found, added, followed through links, and
 * forgotten.
 */
#include "master/watch_priv.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/*
 * A file is changed when its writer closes it or another one takes its name;
 * IN_CREATE is for folders and links.  Attributes do not matter, nor what is
 * written to a file that has no name any more.
 */
#define FOLDER_EVENTS							\
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |	\
	    IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* ---- the set ------------------------------------------------------------ */

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

struct folder *
folders_find(const struct watch *w, int wd)
{
	size_t i = place_of(w, wd);

	return i < w->nfolders && w->folders[i]->wd == wd ? w->folders[i] :
	    NULL;
}

static void
folder_free(struct watch *w, struct folder *f)
{
	if (f->kind == ROOT)
		watch_look(w);
	list_remove(&f->unread);
	free(f->path);
	free(f);
}

void
folders_clear(struct watch *w)
{
	while (w->nfolders > 0)
		folder_free(w, w->folders[--w->nfolders]);
	free(w->folders);
	w->folders = NULL;
	conf_list_clear(&w->links);
}

/* The kernel has dropped its watch, or is about to. */
void
folders_forget(struct watch *w, struct folder *f)
{
	size_t i = place_of(w, f->wd);

	w->nfolders--;
	memmove(&w->folders[i], &w->folders[i + 1],
	    (w->nfolders - i) * sizeof(*w->folders));
	folder_free(w, f);
}

bool
folders_is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 &&
	    (path[n] == '\0' || path[n] == '/' || n == 1);
}

/* A folder with all below it: its path is another's now, or nobody's. Had it
 * a file that counts? The path may not be a folder's own. */
bool
folders_drop(struct watch *w, const char *path)
{
	bool counts = false;
	struct folder *f;
	size_t i, kept = 0;

	for (i = 0; i < w->nfolders; i++) {
		f = w->folders[i];
		if (!folders_is_below(f->path, path)) {
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

/* Watch one folder; what is in it comes by folders_read(). Of those that are
 * not the user's own words some may be gone or closed to us. 0, or -1 after
 * logging. */
int
folders_add(struct watch *w, const char *path, enum kind kind)
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
	if ((f = folders_find(w, wd)) != NULL && is_same(f->path, path))
		return 0;
	if (f != NULL)		/* moved, and the news of it are to come */
		folders_forget(w, f);
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

bool
folders_join(char path[PATH_MAX], const char *folder, const char *name)
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

	if (kind == FOLDER && folders_add(w, path, kind) == -1)
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
		    !folders_join(path, folder, d->d_name))
			continue;
		if (take_folder(w, path, d, &result))
			continue;
		if (pick_file(&w->pick, path)) {
			counts = true;
			if (is_change)
				watch_add_change(w, path);
		}
	}
	closedir(dir);
	if (counts && (f = folders_find(w, wd)) != NULL)
		f->counts = true;
	return result;
}

static int
follow_link(struct watch *w, const char *path)
{
	char *real = realpath(path, NULL);
	int result = 0;

	if (real != NULL && !pick_is_left_out(&w->pick, real))
		result = folders_add(w, path, LINK);
	free(real);
	return result;
}

/*
 * All that were added, and what they hold.  A folder is watched before it is
 * read, so that nothing can come into it unseen; what is seen twice does no
 * harm.  Links come last: a folder that has a path of its own keeps that, and
 * is watched once by whatever names.
 */
int
folders_read(struct watch *w, bool is_change)
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
	(void)folders_read(w, false);
}

/* Links whose folders were gone: they are there again, or the links are gone
 * too, or it goes on. */
void
folders_look_for_links(struct watch *w)
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
			watch_look(w);
		}
	conf_list_clear(&were);
}

void
folders_keep_lost_links(struct watch *w)
{
	struct conf_list were = w->dangling;
	size_t i, k;

	w->dangling = (struct conf_list){ 0 };
	for (i = 0; i < were.n; i++)
		for (k = 0; k < w->roots.n; k++)
			if (folders_is_below(were.at[i], w->roots.at[k])) {
				(void)conf_list_add(&w->dangling, were.at[i]);
				break;
			}
	conf_list_clear(&were);
}

/* ---- links that come and go ---------------------------------------------- */

/* What a link led to is gone, or is there no more. */
void
folders_lose_link(struct watch *w, struct folder *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", f->path);
	if (folders_drop(w, path))
		watch_add_change(w, path);
	if (conf_list_add(&w->dangling, path) == 0)
		watch_look(w);
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
bool
folders_take_name(struct watch *w, const char *path)
{
	bool was = folder_by_link(w, path) != NULL;
	bool is = kind_of(path) == LINK;

	if (was && folders_drop(w, path))
		watch_add_change(w, path);
	if (is) {
		(void)conf_list_add(&w->links, path);
		(void)folders_read(w, true);
	}
	if (was)
		read_again(w);
	return was || is;
}
