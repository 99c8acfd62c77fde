/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The files of the application, watched for a developer: inotify on each
 * folder below reload.dirs, in the loop.  Idle it makes no system call; one of
 * reload.dirs that is gone is looked for once a second.
 */
#ifndef MASTER_WATCH_H
#define MASTER_WATCH_H

#include "conf/conf.h"
#include "loop/loop.h"

struct watch;

/* Something has changed, and nothing more for reload.delay: the first file
 * (relative to the current directory if it is below), and how many others. */
typedef void watch_f(const char *path, unsigned more, void *arg);

/* Watches from now on; keeps nothing of the configuration. NULL after
 * logging. */
struct watch *watch_new(struct loop *, const struct conf *, watch_f *,
	    void *arg);
/* From now on the folders that this configuration names, where its names lead
 * now; also in the callback. */
void	 watch_follow(struct watch *, const struct conf *);
/* Not in its callback. NULLs the pointer. */
void	 watch_free(struct watch **);

#endif
