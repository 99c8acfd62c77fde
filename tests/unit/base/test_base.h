/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One suite a module of base/.
 */
#ifndef TEST_BASE_H
#define TEST_BASE_H

#include <check.h>

Suite	*buf_suite(void);
Suite	*date_suite(void);
Suite	*heap_suite(void);
Suite	*json_suite(void);
Suite	*list_suite(void);
Suite	*outlet_suite(void);
Suite	*sock_suite(void);
Suite	*str_suite(void);

#endif
