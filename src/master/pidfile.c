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
	struct stat here, there;

	return fstat(p->fd, &here) == 0 && lstat(p->path, &there) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int
pidfile_init(struct pidfile *p, const char *path)
{
	p->path = NULL;
	p->fd = -1;
	if (*path == '\0')
		return 0;
	if ((p->path = strdup(path)) == NULL)
		goto fail;
	p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK, 0644);
	if (p->fd == -1)
		goto fail;
	if (flock(p->fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK)
			goto fail;
		log_err("pid_file %s: another asgid is running", path);
		goto fail_logged;
	}
	if (!holds_pid(p->fd)) {
		log_err("pid_file %s: a file with other contents is there",
		    path);
		goto fail_logged;
	}
	if (ftruncate(p->fd, 0) == -1 ||
	    dprintf(p->fd, "%d\n", (int)getpid()) < 0)
		goto fail;
	return 0;
fail:
	log_err("pid_file %s: %s", path, strerror(errno));
fail_logged:
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
	if (still_ours(p))
		(void)unlink(p->path);
	fd_close(&p->fd);
	free(p->path);
	p->path = NULL;
}
