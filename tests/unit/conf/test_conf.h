/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the configuration's tests, and what they have in common.
 */
#ifndef TEST_CONF_H
#define TEST_CONF_H

#include <check.h>

#include "conf/conf.h"

TCase	*cmdline_tests(void);
TCase	*cpus_tests(void);
TCase	*syntax_tests(void);

/* Around each test: a clean environment, and what is filled in by it. */
void	 conf_setup(void);
void	 conf_teardown(void);
extern struct buf errors;
extern enum conf_action action;

/* Put text into a file, which goes with the test; its name. */
char	*write_file(const char *text);
extern char file[];

/* The words of a line as argv; "@" stands for the file. */
struct conf *run_line(const char *);
struct conf *accept_line(const char *);
void	 refuse_line(const char *, bool at_usage, const char *message);

/* The strings with spaces between. */
const char *list_words(const struct conf_list *);

#endif
