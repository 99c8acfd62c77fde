/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fd.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

int
fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		if ((n = write(fd, p, len)) == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

char *
fd_read_all(int fd, size_t *len)
{
	struct buf b = BUF_INIT;
	ssize_t n;
	char *to;

	while ((to = buf_reserve(&b, 4096)) != NULL) {
		if ((n = read(fd, to, 4096)) == -1) {
			if (errno == EINTR)
				continue;
			buf_fini(&b);
			return NULL;
		}
		b.len += (size_t)n;
		b.data[b.len] = '\0';
		if (n == 0) {
			*len = b.len;
			return b.data;
		}
	}
	buf_fini(&b);
	errno = ENOMEM;
	return NULL;
}

static int
change_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags == -1)
		return -1;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag);
}

int
fd_set_cloexec(int fd, bool on)
{
	return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int
fd_set_nonblock(int fd, bool on)
{
	return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int
fd_memfd(const char *name, const void *data, size_t len)
{
	int fd = memfd_create(name, 0), saved;

	if (fd == -1)
		return -1;
	if (fd_write_all(fd, data, len) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
fd_open_folder(const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	char name[PATH_MAX] = ".";

	*base = slash != NULL ? slash + 1 : path;
	if (slash != NULL && slash - path >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (slash != NULL)
		snprintf(name, sizeof(name), "%.*s",
		    (int)(slash - path) + (slash == path), path);
	return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool
fd_is_named(int folder, const char *name, int file)
{
	struct stat here, there;

	return fstat(file, &there) == 0 &&
	    fstatat(folder, name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

void
fd_unlink(const char *path, int file)
{
	const char *base;
	int folder = fd_open_folder(path, &base);

	if (folder != -1 && fd_is_named(folder, base, file))
		(void)unlinkat(folder, base, 0);
	fd_close(&folder);
}

void
fd_close(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}
