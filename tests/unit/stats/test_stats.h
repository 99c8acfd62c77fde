/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One suite a module of stats/.
 */
#ifndef TEST_STATS_H
#define TEST_STATS_H

#include <check.h>

Suite	*hist_suite(void);
Suite	*render_suite(void);
Suite	*segment_suite(void);
Suite	*table_suite(void);

/* Print the example of test_render.c in that format; an exit status. */
int	 render_print(const char *format);

#endif
