/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What shells need to complete the words of asgictl, from the tables of
 * commands and flags.
 */
#ifndef ASGICTL_COMPLETION_H
#define ASGICTL_COMPLETION_H

#include "base/buf.h"

#define COMPLETION_SHELLS	"bash|zsh|fish"

/* The script for one of the shells: 0, or -1: there is none for it. */
int	 completion_print(const char *shell, struct buf *);

#endif
