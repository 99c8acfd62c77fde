/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For those who want to print the version without seeing Python.
 */
#ifndef PY_VERSION_H_
#define PY_VERSION_H_

/* "3.11.2", of the library that is linked at run time. Static. */
const char *py_version(void);

#endif
