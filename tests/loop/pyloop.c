/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A python with the built-in module _asgid: it takes python's own command
 * line (a script, -m module, -c text).  $PYLOOP_PYTHON names the interpreter
 * to stand in for, of a virtual environment say, whose packages are used.
 */
#include "py/py.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	const char *python = getenv("PYLOOP_PYTHON");
	PyConfig config;
	PyStatus st;

	if (PyImport_AppendInittab("_asgid", PyInit__asgid) == -1)
		return 1;
	PyConfig_InitPythonConfig(&config);
	st = PyConfig_SetBytesArgv(&config, argc, argv);
	if (!PyStatus_Exception(st) && python != NULL)
		st = PyConfig_SetBytesString(&config, &config.program_name,
		    python);
	if (!PyStatus_Exception(st))
		st = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_Exception(st))
		Py_ExitStatusException(st);
	return Py_RunMain();
}
