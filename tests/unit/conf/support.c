/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the tests of configurations have in common.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "test_conf.h"

#define MAX_ARGS 32

struct buf errors;
enum conf_action action;
static bool usage;
char file[] = "/tmp/test_conf.XXXXXX";

void
conf_setup(void)
{
	unsetenv("WEB_CONCURRENCY");
	errors = (struct buf)BUF_INIT;
	strcpy(file + sizeof(file) - 7, "XXXXXX");
	file[0] = '\0';
}

void
conf_teardown(void)
{
	buf_fini(&errors);
	if (file[0] != '\0')
		unlink(file);
}

char *
write_file(const char *text)
{
	int fd;

	file[0] = '/';
	fd = mkstemp(file);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return file;
}

struct conf *
run_line(const char *line)
{
	char *copy = strdup(line), *argv[MAX_ARGS], *rest = copy, *word;
	struct conf *c;
	int argc = 0;

	argv[argc++] = strdup("asgid");
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			argv[argc++] = strcmp(word, "@") == 0 ? file : word;
	argv[argc] = NULL;
	buf_reset(&errors);
	usage = !usage;		/* is to be set in any case */
	c = conf_from_argv(argc, argv, &action, &errors, &usage);
	free(argv[0]);
	free(copy);
	return c;
}

struct conf *
accept_line(const char *line)
{
	struct conf *c = run_line(line);

	ck_assert_msg(c != NULL, "%s: %s", line, buf_str(&errors));
	ck_assert_str_eq(buf_str(&errors), "");
	ck_assert(!usage);
	return c;
}

void
refuse_line(const char *line, bool at_usage, const char *message)
{
	const char *hint = at_usage ? "Try 'asgid --help' for help.\n" : "";
	size_t n = strlen(message);
	struct conf *c = run_line(line);

	ck_assert_msg(c == NULL, "%s: accepted", line);
	ck_assert_msg(strncmp(buf_str(&errors), message, n) == 0 &&
	    strcmp(buf_str(&errors) + n, hint) == 0, "%s: %s", line,
	    buf_str(&errors));
	ck_assert_msg(usage == at_usage, "%s: usage %d", line, usage);
}

const char *
list_words(const struct conf_list *l)
{
	static char text[256];
	size_t i;

	text[0] = '\0';
	for (i = 0; i < l->n; i++) {
		strcat(text, i > 0 ? " " : "");
		strcat(text, l->at[i]);
	}
	return text;
}
