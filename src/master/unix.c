/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/unix.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sock.h"
#include "master/hint.h"
#include "master/privs.h"

/* <linux/un.h> cannot be included beside <sys/un.h> */
#define SIOCUNIXFILE	(SIOCPROTOPRIVATE + 0)

static int
new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The file has its mode when it appears; nobody can connect between bind
 * and chmod because there is no chmod. */
static int
bind_with_mode(int fd, const struct sockaddr_un *un, mode_t mode)
{
	mode_t former = umask(~mode & 0777);
	int rv = bind(fd, (const struct sockaddr *)un, sizeof(*un));

	(void)umask(former);
	return rv;
}

/*
 * Does the socket at this path belong to anybody, listening or not yet?  It is
 * asked for with the wrong type, so that whoever has it (EPROTOTYPE) gets no
 * connection that nobody wanted.
 */
static bool
in_use(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused;

	if (fd == -1)
		return true;
	refused = connect(fd, (const struct sockaddr *)un,
	    sizeof(*un)) == -1 && (errno == ECONNREFUSED || errno == ENOENT);
	close(fd);
	return !refused;
}

/* ---- files -------------------------------------------------------------- */

/*
 * What bind() has made: the socket tells, if we may ask (CAP_NET_ADMIN).
 * Else it is what has the name now; as root that must not be somebody else's.
 */
static int
open_bound(int fd, const char *path)
{
	int file = ioctl(fd, SIOCUNIXFILE);
	struct stat st;

	if (file != -1)
		return file;
	file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file == -1)
		return -1;
	if (fstat(file, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    (geteuid() != 0 || (st.st_uid == 0 && st.st_nlink == 1)))
		return file;
	close(file);
	errno = EBUSY;
	return -1;
}

/* There is no other way to the mode of a file that cannot be opened. */
static int
set_mode(int file, mode_t mode)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (chmod(path, mode) == -1 || fstat(file, &st) == -1)
		return -1;
	if ((st.st_mode & 07777) == mode)
		return 0;
	errno = EIO;
	return -1;
}

/* ---- stale ones --------------------------------------------------------- */

/*
 * Another start may find the same stale socket, and have put its own into its
 * place since we looked: what was taken away and is not the one that was
 * looked at goes back.  0, or -1 with errno.
 */
static int
take_away(int folder, const char *base, int stale)
{
	char aside[64];

	snprintf(aside, sizeof(aside), ".asgid-stale.%d", (int)getpid());
	if (renameat(folder, base, folder, aside) == -1)
		return errno == ENOENT ? 0 : -1;
	if (fd_is_named(folder, aside, stale))
		return unlinkat(folder, aside, 0);
	if (linkat(folder, aside, folder, base, 0) == 0)
		(void)unlinkat(folder, aside, 0);
	errno = EADDRINUSE;
	return -1;
}

/* NULL: away with it. */
static const char *
why_not_stale(const struct sockaddr_un *un, int file)
{
	struct stat st;

	if (fstat(file, &st) == -1)
		return strerror(errno);
	if (!S_ISSOCK(st.st_mode))
		return "a file that is no socket is there";
	return in_use(un) ? strerror(EADDRINUSE) : NULL;
}

/* bind() found something at the path: make room if it is a socket that
 * nobody has. 0, or -1 after logging. */
static int
remove_stale(const char *what, const struct sockaddr_un *un)
{
	const char *base, *why = NULL;
	struct buf hint = BUF_INIT;
	int folder = fd_open_folder(un->sun_path, &base), stale = -1;

	if (folder == -1 || (stale = openat(folder, base,
	    O_PATH | O_NOFOLLOW | O_CLOEXEC)) == -1)
		why = errno != ENOENT ? strerror(errno) : NULL;
	else if ((why = why_not_stale(un, stale)) == NULL) {
		log_info("%s unix:%s: replacing a stale socket", what,
		    un->sun_path);
		if (take_away(folder, base, stale) == -1)
			why = strerror(errno);
	}
	fd_close(&stale);
	fd_close(&folder);
	if (why == NULL)
		return 0;
	hint_unix(un->sun_path, &hint);
	log_err("%s unix:%s: %s%s", what, un->sun_path, why, buf_str(&hint));
	buf_fini(&hint);
	return -1;
}

const char *
unix_obstacle(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *slash = strrchr(path, '/');
	char folder[sizeof(un.sun_path)] = ".";
	struct stat st;

	if (strlen(path) >= sizeof(un.sun_path))
		return strerror(ENAMETOOLONG);
	memcpy(un.sun_path, path, strlen(path));
	if (slash != NULL)
		snprintf(folder, sizeof(folder), "%.*s",
		    (int)(slash - path) + (slash == path), path);
	if (access(folder, W_OK | X_OK) == -1)
		return strerror(errno);
	if (lstat(path, &st) == -1)
		return NULL;
	if (!S_ISSOCK(st.st_mode))
		return "a file that is no socket is there";
	return in_use(&un) ? UNIX_BUSY : NULL;
}

/* (uid_t)-1 and (gid_t)-1 for what is not set. 0, or -1 after logging. */
static int
find_owner(const char *what, const struct conf_listen *cl, uid_t *uid,
    gid_t *gid)
{
	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (*cl->owner != '\0' &&
	    privs_find_user(cl->owner, uid, NULL) == -1) {
		log_err("%s unix:%s: no such user: %s", what, cl->path,
		    cl->owner);
		return -1;
	}
	if (*cl->group != '\0' && privs_find_group(cl->group, gid) == -1) {
		log_err("%s unix:%s: no such group: %s", what, cl->path,
		    cl->group);
		return -1;
	}
	return 0;
}

/* Before listen(), when connecting is still refused. 0, or -1 after
 * logging. */
static int
set_owner_and_mode(const char *what, const struct conf_listen *cl, int file)
{
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (find_owner(what, cl, &uid, &gid) == -1)
		return -1;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    fchownat(file, "", uid, gid, AT_EMPTY_PATH) == -1) {
		log_err("%s unix:%s: owner %s group %s: %s", what, cl->path,
		    cl->owner, cl->group, strerror(errno));
		return -1;
	}
	/* a default access list of the folder may have taken some of it */
	if (fstat(file, &st) == 0 && ((st.st_mode & 07777) == cl->mode ||
	    set_mode(file, cl->mode) == 0))
		return 0;
	log_err("%s unix:%s: mode: %s", what, cl->path, strerror(errno));
	return -1;
}

int
unix_listen(const struct conf_listen *cl, const char *what, int *file)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	*file = -1;
	if (strlen(cl->path) >= sizeof(un.sun_path)) {
		log_err("%s unix:%s: longer than %zu bytes", what, cl->path,
		    sizeof(un.sun_path) - 1);
		return -1;
	}
	memcpy(un.sun_path, cl->path, strlen(cl->path));
	if ((fd = new_socket()) == -1)
		goto fail;
	if (bind_with_mode(fd, &un, cl->mode) == -1) {
		if (errno != EADDRINUSE)
			goto fail;
		if (remove_stale(what, &un) == -1)
			goto fail_logged;
		if (bind_with_mode(fd, &un, cl->mode) == -1)
			goto fail;
	}
	if ((*file = open_bound(fd, cl->path)) == -1)
		goto fail;
	if (set_owner_and_mode(what, cl, *file) == -1)
		goto fail_logged;
	(void)sock_refuse_rights(fd);
	if (listen(fd, cl->backlog) == 0)
		return fd;
fail:
	log_err("%s unix:%s: %s", what, cl->path, strerror(errno));
fail_logged:
	fd_close(&fd);
	unix_remove(cl->path, file);
	return -1;
}

bool
unix_is_ours(const char *path, int file)
{
	const char *base;
	int folder = fd_open_folder(path, &base);
	bool ours = folder != -1 && fd_is_named(folder, base, file);

	fd_close(&folder);
	return ours;
}

int
unix_check(const struct conf_listen *cl)
{
	uid_t uid;
	gid_t gid;

	return find_owner("listen", cl, &uid, &gid);
}

/* Narrow first, so that nobody passes who is allowed neither before nor
 * after. */
void
unix_adjust(const struct conf_listen *cl, int file)
{
	uid_t uid;
	gid_t gid;

	if (find_owner("listen", cl, &uid, &gid) == -1)
		return;
	if (uid == (uid_t)-1)
		uid = geteuid();
	if (gid == (gid_t)-1)
		gid = getegid();
	if (set_mode(file, 0600 & cl->mode) == -1 ||
	    fchownat(file, "", uid, gid, AT_EMPTY_PATH) == -1 ||
	    set_mode(file, cl->mode) == -1)
		log_err("listen unix:%s: %s", cl->path, strerror(errno));
}

void
unix_remove(const char *path, int *file)
{
	if (*file != -1)
		fd_unlink(path, *file);
	fd_close(file);
}
