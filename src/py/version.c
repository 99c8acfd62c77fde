/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "py/version.h"

#include <stdio.h>
#include <string.h>

const char *
py_version(void)
{
	static char text[32];
	const char *v = Py_GetVersion();

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(v, " "), v);
	return text;
}
