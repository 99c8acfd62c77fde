/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a configuration names must be there and usable: users, folders, the
 * virtual environment.  Looked at without changing anything, so that asgid -t,
 * the command check and a reload can tell everything at once, with file and
 * line, that a start would refuse step by step.
 */
#ifndef MASTER_PRECHECK_H
#define MASTER_PRECHECK_H

#include <stdbool.h>

#include "base/buf.h"
#include "conf/conf.h"

/*
 * How many lines were added to `errors`.  `now` is what serves (NULL: nothing
 * does): what is as it was there has been used, and is not looked at again.
 * May wait a moment for a child that looks as the workers' user would.
 */
unsigned precheck(const struct conf *, const struct conf *now,
	    struct buf *errors);
/* Users and groups alone. */
unsigned precheck_names(const struct conf *, struct buf *errors);
/* Is this a configuration that only root can use, while we are not root? Then
 * precheck() does not ask what may be read and written. */
bool	 precheck_is_foreign(const struct conf *);

/* Errors of this kind into the log, line by line. */
void	 precheck_log(const struct buf *errors);

#endif
