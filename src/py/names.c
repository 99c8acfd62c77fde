/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The interned strings of names.def.
 */
#include "py/py.h"
#include "py/names.h"

#include "base/defs.h"

struct names names;

static const struct {
	PyObject	**slot;
	const char	 *text;
} table[] = {
#define NAME(member, text)	{ &names.member, text },
#include "py/names.def"
#undef NAME
};

_Static_assert(countof(table) == sizeof(struct names) / sizeof(PyObject *),
    "a row of names.def is one member of struct names");

int
names_init(void)
{
	for (size_t i = 0; i < countof(table); i++) {
		*table[i].slot = PyUnicode_InternFromString(table[i].text);
		if (*table[i].slot == NULL) {
			names_fini();
			return -1;
		}
	}
	return 0;
}

void
names_fini(void)
{
	for (size_t i = 0; i < countof(table); i++)
		py_drop(table[i].slot);
}
