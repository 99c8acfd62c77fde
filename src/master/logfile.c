/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/logfile.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/log.h"

#define LINKS_MAX	40
#define FD_PATH_MAX	32
#define NOT_A_FILE	"neither a regular file nor a device"

static const struct {
	const char	*path;
	int		 fd;
} standard[] = {
	{ "/dev/stdout", STDOUT_FILENO }, { "/dev/stderr", STDERR_FILENO },
	{ "/dev/fd/1", STDOUT_FILENO }, { "/dev/fd/2", STDERR_FILENO },
	{ "/proc/self/fd/1", STDOUT_FILENO },
	{ "/proc/self/fd/2", STDERR_FILENO },
};

/* On the way to a file. */
struct way {
	const struct privs *workers;	/* NULL: need not be guarded against */
	int		 dir;		/* where we are */
	struct stat	 st;		/* of it */
	unsigned	 links;
	char		 rest[PATH_MAX];	/* from there */
	struct buf	*why;		/* not; empty: errno tells */
};

/* ---- who can write ------------------------------------------------------ */

static void
fd_path(int fd, char path[FD_PATH_MAX])
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* With an access list, the mode's group bits only tell that somebody may. */
static bool
has_access_list(int fd)
{
	char path[FD_PATH_MAX];

	fd_path(fd, path);
	return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static bool
can_write(const struct privs *workers, int dir, const struct stat *st)
{
	int i;

	if (st->st_uid == workers->uid || (st->st_mode & S_IWOTH) != 0)
		return true;
	if ((st->st_mode & S_IWGRP) == 0)
		return false;
	for (i = 0; i < workers->ngroups; i++)
		if (workers->groups[i] == st->st_gid)
			return true;
	return st->st_gid == workers->gid || has_access_list(dir);
}

/* Can the workers put something else into the place of this entry of the
 * directory? */
static bool
can_replace(const struct way *w, const struct stat *entry)
{
	const struct privs *p = w->workers;

	if (p == NULL || !can_write(p, w->dir, &w->st))
		return false;
	return (w->st.st_mode & S_ISVTX) == 0 || w->st.st_uid == p->uid ||
	    entry->st_uid == p->uid;
}

static int
refuse_directory(struct way *w)
{
	char path[FD_PATH_MAX], name[PATH_MAX];
	ssize_t n;

	fd_path(w->dir, path);
	n = readlink(path, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	buf_printf(w->why, "the user that the workers run as can write to "
	    "the directory %s, and so choose where root writes: let it belong "
	    "to root and be writable by nobody else (chown root, chmod go-w), "
	    "or log to stdout, stderr or another directory", name);
	return -1;
}

/* ---- the way ------------------------------------------------------------ */

static int
enter(struct way *w, int dir)
{
	fd_close(&w->dir);
	w->dir = dir;
	return dir == -1 ? -1 : fstat(dir, &w->st);
}

static int
begin(struct way *w)
{
	return enter(w, open(w->rest[0] == '/' ? "/" : ".",
	    O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* What it says stands before the rest. Takes over fd. */
static int
follow(struct way *w, int fd)
{
	char to[PATH_MAX];
	ssize_t n = readlinkat(fd, "", to, sizeof(to) - 1);
	size_t rest = strlen(w->rest);

	close(fd);
	if (n == -1)
		return -1;
	if (++w->links > LINKS_MAX || (size_t)n + 1 + rest >= PATH_MAX) {
		errno = w->links > LINKS_MAX ? ELOOP : ENAMETOOLONG;
		return -1;
	}
	memmove(w->rest + n + 1, w->rest, rest + 1);
	memcpy(w->rest, to, (size_t)n);
	w->rest[n] = '/';
	return w->rest[0] == '/' ? begin(w) : 0;
}

/* One component further. */
static int
step(struct way *w, const char *name)
{
	int fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		goto fail;
	if (can_replace(w, &st)) {
		close(fd);
		return refuse_directory(w);
	}
	if (S_ISLNK(st.st_mode))
		return follow(w, fd);
	if (S_ISDIR(st.st_mode))
		return enter(w, fd);
	errno = ENOTDIR;
fail:
	close(fd);
	return -1;
}

/* To the directory; what is left of the path is the name in it. */
static int
walk(struct way *w)
{
	char name[NAME_MAX + 1];
	size_t n, skip;

	if (begin(w) == -1)
		return -1;
	for (;;) {
		skip = strspn(w->rest, "/");
		memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
		n = strcspn(w->rest, "/");
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (w->rest[n + strspn(w->rest + n, "/")] == '\0')
			break;
		memcpy(name, w->rest, n);
		name[n] = '\0';
		memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
		if (step(w, name) == -1)
			return -1;
	}
	if (w->rest[n] == '\0')
		return 0;
	errno = EISDIR;
	return -1;
}

/* What has the name now. */
static int
look(struct way *w, const struct stat *st)
{
	if (S_ISLNK(st->st_mode) && w->workers != NULL)
		buf_puts(w->why, "a symbolic link: name the file itself");
	else if (S_ISDIR(st->st_mode))
		errno = EISDIR;
	else if (!S_ISREG(st->st_mode) && !S_ISCHR(st->st_mode) &&
	    !S_ISLNK(st->st_mode))
		buf_puts(w->why, NOT_A_FILE);
	else if (can_replace(w, st))
		return refuse_directory(w);
	else if (w->workers != NULL && S_ISREG(st->st_mode) &&
	    st->st_nlink > 1 && can_write(w->workers, w->dir, &w->st))
		buf_puts(w->why, "the file has a second name");
	else
		return 0;
	return -1;
}

static int
look_at_name(struct way *w)
{
	struct stat st = { .st_uid = 0 };

	/* what is not there will be ours */
	if (fstatat(w->dir, w->rest, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno != ENOENT ? -1 :
		    can_replace(w, &st) ? refuse_directory(w) : 0;
	return look(w, &st);
}

/* ---- opening ------------------------------------------------------------ */

struct opening {
	const struct way *way;
	int		 fd, error;
};

static void
open_it(struct opening *o)
{
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK;

	if (o->way->workers != NULL)
		flags |= O_NOFOLLOW;
	o->fd = openat(o->way->dir, o->way->rest, flags, 0640);
	o->error = errno;
}

/* landlock(7): the rights that a descriptor's opener had stay with it, to
 * whomever it is given. Older kernels know no such right. */
static void
give_up_truncating(void)
{
	static const struct {
		uint64_t	 handled_fs;
	} ruleset = { 1 << 14 };	/* LANDLOCK_ACCESS_FS_TRUNCATE */
	int fd = (int)syscall(444, &ruleset, sizeof(ruleset), 0);

	if (fd == -1)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)syscall(446, fd, 0);	/* landlock_restrict_self */
	close(fd);
}

static void *
open_without_truncating(void *arg)
{
	give_up_truncating();
	open_it(arg);
	return NULL;
}

/* In a thread, for it can never take back what it gives up; signals are for
 * the other. */
static int
open_in_thread(const struct way *w)
{
	struct opening o = { .way = w };
	sigset_t all, former;
	pthread_t thread;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &former);
	error = pthread_create(&thread, NULL, open_without_truncating, &o);
	(void)pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (error != 0 || pthread_join(thread, NULL) != 0)
		open_it(&o);
	errno = o.error;
	return o.fd;
}

static int
open_at(struct way *w)
{
	int fd = open_in_thread(w);
	struct stat st;

	if (fd == -1) {
		if (errno == ENXIO)	/* nobody reads it, or a socket */
			buf_puts(w->why, NOT_A_FILE);
		return -1;
	}
	/* what was looked at may be something else by now */
	if (fstat(fd, &st) == 0 && look(w, &st) == 0)
		return fd;
	close(fd);
	return -1;
}

/* ---- all ---------------------------------------------------------------- */

static int
find_standard(const char *path)
{
	size_t i;

	for (i = 0; i < countof(standard); i++)
		if (strcmp(standard[i].path, path) == 0)
			return standard[i].fd;
	return -1;
}

static int
go(const char *path, const struct privs *workers, bool open_too,
    struct buf *why)
{
	struct way w = { .dir = -1, .why = why };
	size_t n = strlen(path);
	int rv = -1, saved;

	if (geteuid() == 0 && workers->drop && workers->uid != 0)
		w.workers = workers;
	if (n < sizeof(w.rest)) {
		memcpy(w.rest, path, n + 1);
		if (walk(&w) == 0 && look_at_name(&w) == 0)
			rv = open_too ? open_at(&w) : 0;
	} else
		errno = ENAMETOOLONG;
	saved = errno;
	fd_close(&w.dir);
	errno = saved;
	return rv;
}

int
logfile_own(int fd)
{
	char path[FD_PATH_MAX];
	struct stat st;

	if (fstat(fd, &st) == -1 || (!S_ISFIFO(st.st_mode) && !isatty(fd)))
		return -1;
	fd_path(fd, path);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int
open_standard(int fd)
{
	int own = logfile_own(fd);

	return own != -1 ? own :
	    fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

int
logfile_open(const char *option, const char *path,
    const struct privs *workers)
{
	struct buf why = BUF_INIT;
	int fd = find_standard(path);

	fd = fd == -1 ? go(path, workers, true, &why) : open_standard(fd);
	if (fd == -1)
		log_err("%s: %s: %s", option, path, why.len > 0 ?
		    buf_str(&why) : strerror(errno));
	buf_fini(&why);
	return fd;
}

int
logfile_reopen(int fd, const char *option, const char *path,
    const struct privs *workers)
{
	int new = logfile_open(option, path, workers), rv;

	if (new == -1)
		return -1;
	if ((rv = dup3(new, fd, O_CLOEXEC)) == -1)
		log_err("%s: %s: %s", option, path, strerror(errno));
	close(new);
	return rv == -1 ? -1 : 0;
}

int
logfile_check(const char *path, const struct privs *workers, struct buf *why)
{
	if (find_standard(path) == -1)
		(void)go(path, workers, false, why);
	return why->len > 0 ? -1 : 0;
}
