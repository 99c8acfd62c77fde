/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening log files, the one place where that is done: at the start, by a
 * reload, and again after they were moved away.
 *
 * When the workers run as another user than root, who opens the files, that
 * user must not choose where a log goes: the directories on the way must not
 * be writable for him.  A link is followed if it stands where only others can
 * put one ("/var/run"); the file itself is never a link.  A sticky directory
 * (/tmp) is passed through if what comes next is not his.  Otherwise, for an
 * ordinary user and for workers that are root, paths mean what they always
 * mean.
 *
 * Never waited for: a FIFO, like everything but a regular file or a character
 * device, is refused.  "/dev/stdout" and "/dev/stderr" are these descriptors
 * themselves, of whatever kind.
 *
 * What workers inherit is for appending only: O_APPEND, so that the lines of
 * several do not overwrite one another, and, where the kernel has Landlock
 * (Linux 6.2), without the right to truncate.  Nothing in Linux keeps one who
 * may append from overwriting, except an attribute of the file with which it
 * could not be rotated; and if the master appended for its workers, its speed
 * would bound theirs, or lines would be lost.
 */
#ifndef MASTER_LOGFILE_H
#define MASTER_LOGFILE_H

#include "base/buf.h"
#include "master/privs.h"

/* A descriptor, close-on-exec and above the standard ones; made with mode 0640
 * if need be. `option` names it in the log. -1 after logging. */
int	 logfile_open(const char *option, const char *path,
	    const struct privs *workers);
/* The file that has that name now, under the number that others hold. 0, or
 * -1 after logging: fd is what it was. */
int	 logfile_reopen(int fd, const char *option, const char *path,
	    const struct privs *workers);
/* A pipe or terminal that we were started with, opened anew so that O_NONBLOCK
 * is asgid's alone; others have the same descriptor. -1: it is something else,
 * or may not be opened. */
int	 logfile_own(int fd);
/* Is it refused for what it is or where it is? 0, or -1 and a sentence in
 * `why`. Other failures are not looked for. */
int	 logfile_check(const char *path, const struct privs *workers,
	    struct buf *why);

#endif
