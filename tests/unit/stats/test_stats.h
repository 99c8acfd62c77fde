/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One suite a module of stats/.
 */
#ifndef TEST_STATS_H
#define TEST_STATS_H

#include <check.h>

Suite	*hist_suite(void);
Suite	*segment_suite(void);
Suite	*table_suite(void);

#endif
