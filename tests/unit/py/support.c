/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For Check programs with an interpreter inside.
 */
#include "py/py.h"

#include "support.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

/* CPython keeps much of what it allocates until the process ends: what
 * leaks here is found by counting references. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static char dir[] = "/tmp/asgid-unit-XXXXXX";
static char base[sizeof(dir)];
static pid_t maker;
static int log_file = -1;
static struct buf text = BUF_INIT;

static void
remove_dir(void)
{
	char command[64];

	if (getpid() != maker)
		return;
	snprintf(command, sizeof(command), "rm -rf %s", base);
	if (system(command) != 0)
		perror(base);
}

void
support_setup(void)
{
	static const char *const unset[] = {
		"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "JOURNAL_STREAM",
		"PYTHONSTARTUP", "PYTHONUNBUFFERED", "PYTHONOPTIMIZE",
	};

	for (size_t i = 0; i < countof(unset); i++)
		unsetenv(unset[i]);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	memcpy(base, dir, sizeof(base));
	maker = getpid();
	atexit(remove_dir);
	ck_assert_int_eq(chdir(dir), 0);
	log_file = open(".log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	ck_assert_int_ne(log_file, -1);
	ck_assert_int_eq(dup2(log_file, STDERR_FILENO), STDERR_FILENO);
	log_adopt(STDERR_FILENO, "stderr", LOG_L_INFO, "unit");
}

const char *
support_log(void)
{
	struct stat st;
	ssize_t n;

	ck_assert_int_eq(fstat(log_file, &st), 0);
	buf_reset(&text);
	n = pread(log_file, buf_reserve(&text, (size_t)st.st_size + 1),
	    (size_t)st.st_size, 0);
	ck_assert_int_eq(n, st.st_size);
	text.len += (size_t)n;
	text.data[text.len] = '\0';
	return text.data;
}

const char *
support_log_entries(void)
{
	static struct buf entries = BUF_INIT;
	const char *line = support_log(), *end;

	buf_reset(&entries);
	for (; *line != '\0'; line = end) {
		end = strchrnul(line, '\n');
		end += *end == '\n';
		if (strncmp(line, "INFO: ", 6) == 0 ||
		    strncmp(line, "ERROR: ", 7) == 0 ||
		    strncmp(line, "WARNING: ", 9) == 0)
			buf_put(&entries, line, (size_t)(end - line));
	}
	return buf_str(&entries);
}

void
support_log_reset(void)
{
	ck_assert_int_eq(ftruncate(log_file, 0), 0);
}

void
support_write(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	ck_assert_int_eq(fclose(f), 0);
}

struct conf *
support_conf(const char *fmt, ...)
{
	struct buf errors = BUF_INIT;
	struct conf *conf;
	va_list ap;
	char *t;

	va_start(ap, fmt);
	ck_assert_int_ne(vasprintf(&t, fmt, ap), -1);
	va_end(ap);
	conf = conf_from_text(t, "unit", &errors);
	ck_assert_msg(conf != NULL, "%s: %s", t, buf_str(&errors));
	free(t);
	return conf;
}

void
support_run(const char *fmt, ...)
{
	va_list ap;
	char *command;
	int status;

	va_start(ap, fmt);
	ck_assert_int_ne(vasprintf(&command, fmt, ap), -1);
	va_end(ap);
	status = system(command);
	ck_assert_msg(status == 0, "%s: %d\n%s", command, status,
	    support_log());
	free(command);
}

static PyObject *
run(const char *code, int start)
{
	PyObject *main = PyImport_AddModule("__main__"), *result;

	ck_assert_ptr_nonnull(main);
	result = PyRun_String(code, start, PyModule_GetDict(main),
	    PyModule_GetDict(main));
	if (result == NULL)
		PyErr_Print();
	ck_assert_msg(result != NULL, "%s:\n%s", code, support_log());
	return result;
}

void
support_exec(const char *statements)
{
	Py_DECREF(run(statements, Py_file_input));
}

const char *
support_eval(const char *expression)
{
	static char *last;
	PyObject *value, *str;

	support_exec("import os, sys, signal, sysconfig, logging, asyncio, "
	    "site, gc");
	value = run(expression, Py_eval_input);
	str = PyObject_Str(value);
	ck_assert_ptr_nonnull(str);
	free(last);
	last = strdup(PyUnicode_AsUTF8(str));
	Py_DECREF(str);
	Py_DECREF(value);
	return last;
}

void
support_find(const char *haystack, const char *needle)
{
	ck_assert_msg(strstr(haystack, needle) != NULL,
	    "no \"%s\" in:\n%s", needle, haystack);
}
