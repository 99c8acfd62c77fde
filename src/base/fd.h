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
/* The folder of a file (O_PATH), whose name in it is *base: what is looked at
 * and then changed there is in one folder, wherever the path leads by then.
 * -1 with errno. */
int	 fd_open_folder(const char *path, const char **base);
/* Is that the name of this open file, whose inode number is nobody else's as
 * long as it is open? */
bool	 fd_is_named(int folder, const char *name, int file);
/* Remove the path's name if it is this file's. */
void	 fd_unlink(const char *path, int file);
/* Close and set to -1; nothing when it is -1 already. */
void	 fd_close(int *fd);

#endif
