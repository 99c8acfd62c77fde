/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an administrator needs to know when a module is not found: which
 * Python has looked, where, and what was probably meant.
 */
#ifndef APP_HINT_H
#define APP_HINT_H

#include "base/buf.h"
#include "conf/conf.h"

/* One line; `itself`: it is the application's module that is missing, not one
 * that its code imports. With the GIL; no exception may be pending. */
void	 hint_import(const struct conf *, bool itself, struct buf *);

#endif
