/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/unix.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "master/privs.h"

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

/* Does anybody answer? A full backlog (EAGAIN) or a socket of another kind
 * (EPROTOTYPE) is somebody. */
static bool
in_use(const struct sockaddr_un *un)
{
	int fd = new_socket();
	bool refused;

	if (fd == -1)
		return true;
	refused = connect(fd, (const struct sockaddr *)un,
	    sizeof(*un)) == -1 && (errno == ECONNREFUSED || errno == ENOENT);
	close(fd);
	return !refused;
}

/* bind() found something at the path: make room if it is a socket that
 * nobody listens on. 0, or -1 after logging. */
static int
remove_stale(const char *what, const struct sockaddr_un *un)
{
	struct stat st;

	if (lstat(un->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		log_err("%s unix:%s: a file that is no socket is there",
		    what, un->sun_path);
		return -1;
	}
	if (in_use(un)) {
		log_err("%s unix:%s: %s", what, un->sun_path,
		    strerror(EADDRINUSE));
		return -1;
	}
	log_info("%s unix:%s: replacing a stale socket", what,
	    un->sun_path);
	if (unlink(un->sun_path) == -1 && errno != ENOENT) {
		log_err("%s unix:%s: %s", what, un->sun_path,
		    strerror(errno));
		return -1;
	}
	return 0;
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
	return in_use(&un) ? "another process listens there" : NULL;
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

static int
set_owner(const char *what, const struct conf_listen *cl)
{
	uid_t uid;
	gid_t gid;

	if (find_owner(what, cl, &uid, &gid) == -1)
		return -1;
	if ((uid == (uid_t)-1 && gid == (gid_t)-1) ||
	    lchown(cl->path, uid, gid) == 0)
		return 0;
	log_err("%s unix:%s: owner %s group %s: %s", what, cl->path,
	    cl->owner, cl->group, strerror(errno));
	return -1;
}

int
unix_listen(const struct conf_listen *cl, const char *what, struct stat *made)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool bound = false;
	int fd;

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
	bound = true;
	/* connecting is refused until listen(): the owner is right by then */
	if (lstat(cl->path, made) == -1)
		goto fail;
	if (set_owner(what, cl) == -1)
		goto fail_logged;
	if (listen(fd, cl->backlog) == 0)
		return fd;
fail:
	log_err("%s unix:%s: %s", what, cl->path, strerror(errno));
fail_logged:
	fd_close(&fd);
	if (bound)
		(void)unlink(cl->path);
	return -1;
}

bool
unix_is_ours(const char *path, const struct stat *made)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == made->st_dev && st.st_ino == made->st_ino;
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
unix_adjust(const struct conf_listen *cl)
{
	uid_t uid;
	gid_t gid;

	if (find_owner("listen", cl, &uid, &gid) == -1)
		return;
	if (uid == (uid_t)-1)
		uid = geteuid();
	if (gid == (gid_t)-1)
		gid = getegid();
	if (chmod(cl->path, 0600 & cl->mode) == -1 ||
	    lchown(cl->path, uid, gid) == -1 ||
	    chmod(cl->path, cl->mode) == -1)
		log_err("listen unix:%s: %s", cl->path, strerror(errno));
}

void
unix_remove(const char *path, const struct stat *made)
{
	if (unix_is_ours(path, made))
		(void)unlink(path);
}
