/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the configuration's tests.
 */
#ifndef TEST_CONF_H
#define TEST_CONF_H

#include <check.h>

TCase	*cpus_tests(void);
TCase	*syntax_tests(void);

#endif
