/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For Check programs with an interpreter inside.  Each test is a process of
 * its own (Check forks), so each may start Python in its own way.
 */
#ifndef TESTS_UNIT_PY_SUPPORT_H
#define TESTS_UNIT_PY_SUPPORT_H

#include "py/py.h"

#include "conf/conf.h"

/* Checked fixture: an empty folder of the test's own as the current one, the
 * log captured, Python's environment variables gone. */
void	 support_setup(void);
/* What was logged and written to standard error so far; later calls give the
 * whole again. */
const char *support_log(void);
/* Only the lines that begin an entry, without the traceback below them. */
const char *support_log_entries(void);
/* Forget what was logged. */
void	 support_log_reset(void);

void	 support_write(const char *path, const char *text);
/* A configuration from its text, which must be good. */
struct conf *support_conf(const char *fmt, ...) PRINTF(1, 2);
/* Run a program; its exit status must be 0. */
void	 support_run(const char *fmt, ...) PRINTF(1, 2);
/* str() of a Python expression; modules of the standard library that it
 * names are imported. The test fails when it raises. */
const char *support_eval(const char *expression);
/* Run statements. */
void	 support_exec(const char *statements);

/* Fails the test, showing the whole, unless the text holds the needle. */
void	 support_find(const char *text, const char *needle);

#endif
