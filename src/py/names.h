/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interned strings for keys, message types and methods, made once while the
 * interpreter starts (names.def is the list).  Readers borrow:
 *
 *	PyDict_SetItem(message, names.type, names.http_request);
 */
#ifndef PY_NAMES_H
#define PY_NAMES_H

#include "py/py.h"

struct names {
#define NAME(member, text)	PyObject *member;
#include "py/names.def"
#undef NAME
};

extern struct names names;

/* 0, or -1 with an exception set. Called by host_start. */
int	 names_init(void);
/* For a start that fails; otherwise they stay until the process ends. */
void	 names_fini(void);

#endif
