/* SPDX-License-Identifier: BSD-3-Clause */
#include "master/pidfile.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

/* What a killed predecessor left, or a file that was never one of these? */
static bool
holds_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0 || n == sizeof(text) - 1)
		return false;
	text[n] = '\0';
	return strspn(text, "0123456789 \n") == (size_t)n;
}

static bool
still_ours(const struct pidfile *p)
{
	const char *base;
	int folder = fd_open_folder(p->path, &base);
	bool ours = folder != -1 && fd_is_named(folder, base, p->fd);

	fd_close(&folder);
	return ours;
}

/* NULL: a file that a predecessor may have left. */
static const char *
objection(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode) || !holds_pid(fd))
		return "a file with other contents is there";
	if (st.st_uid != geteuid() || st.st_nlink != 1)
		return "a file of another user or another name is there";
	return NULL;
}

/*
 * The one that has the name, locked.  A predecessor removes its file before
 * the lock goes with it: who opened that file before has the lock of one that
 * nobody finds any more.  NULL, or why not.
 */
static const char *
take(struct pidfile *p)
{
	const char *why;

	do {
		fd_close(&p->fd);
		p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC |
		    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
		if (p->fd == -1)
			return strerror(errno);
		if ((why = objection(p->fd)) != NULL)
			return why;
		if (flock(p->fd, LOCK_EX | LOCK_NB) == -1)
			return errno == EWOULDBLOCK ?
			    "another asgid is running" : strerror(errno);
	} while (!still_ours(p));
	return NULL;
}

const char *
pidfile_obstacle(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY);
	const char *why;

	if (fd == -1)
		return errno == ENOENT ? NULL : strerror(errno);
	why = objection(fd);
	close(fd);
	return why;
}

int
pidfile_init(struct pidfile *p, const char *path)
{
	const char *why;

	p->path = NULL;
	p->fd = -1;
	if (*path == '\0')
		return 0;
	if ((p->path = strdup(path)) == NULL)
		why = strerror(errno);
	else if ((why = take(p)) == NULL && (ftruncate(p->fd, 0) == -1 ||
	    dprintf(p->fd, "%d\n", (int)getpid()) < 0))
		why = strerror(errno);
	if (why == NULL)
		return 0;
	log_err("pid_file %s: %s", path, why);
	fd_close(&p->fd);
	free(p->path);
	p->path = NULL;
	return -1;
}

void
pidfile_fini(struct pidfile *p)
{
	if (p->fd == -1)
		return;
	fd_unlink(p->path, p->fd);
	fd_close(&p->fd);
	free(p->path);
	p->path = NULL;
}
