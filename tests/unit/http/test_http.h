/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One suite a module of http/ that needs no library, and what they share.
 */
#ifndef TEST_HTTP_H
#define TEST_HTTP_H

#include <check.h>
#include <stdbool.h>

#include "loop/loop.h"

Suite	*accesslog_suite(void);
Suite	*check_suite(void);
Suite	*chunk_suite(void);
Suite	*contiguous_suite(void);
Suite	*head_suite(void);
Suite	*linger_suite(void);
Suite	*outq_suite(void);
Suite	*tap_suite(void);

/* A connected pair, both ends non-blocking. */
void	 test_pair(int fds[2]);
/* Turns until cond(arg); fails when that takes more than ten seconds. */
void	 test_run_until(struct loop *, bool (*cond)(void *), void *arg);
unsigned test_count_fds(void);

#endif
