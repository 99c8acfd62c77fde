/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Small things done to descriptors.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Write all, retrying EINTR and short writes. 0, or -1 with errno. */
int	 fd_write_all(int fd, const void *, size_t);
/* Everything up to end of file, NUL-terminated, malloc'ed: the caller's.
 * NULL with errno. */
char	*fd_read_all(int fd, size_t *len);
int	 fd_set_cloexec(int fd, bool);
int	 fd_set_nonblock(int fd, bool);
/* A sealed-by-convention memfd holding these bytes, offset at 0, not
 * close-on-exec. -1 with errno. */
int	 fd_memfd(const char *name, const void *, size_t);
/* A log file: made with mode 0640 if need be, appended to, close-on-exec. -1
 * with errno. */
int	 fd_open_append(const char *path);
/* The file that has that name now, under the number that others hold. 0, or
 * -1 with errno: fd is what it was. */
int	 fd_reopen_append(int fd, const char *path);
/* Close and set to -1; nothing when it is -1 already. */
void	 fd_close(int *fd);

#endif
