/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The interpreter's side of the worker: start, virtual environments, errors.
 */
#include "py/py.h"

#include "support.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "py/error.h"
#include "py/host.h"
#include "py/names.h"

#define PYTHON_X_Y \
	Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION)

static struct buf why = BUF_INIT;

static void
start(const char *text)
{
	struct conf *conf = support_conf("app = \"m:app\"; %s", text);
	int rv = host_start(conf, &why);

	ck_assert_msg(rv == 0, "%s\n%s", buf_str(&why), support_log());
	ck_assert_uint_eq(why.len, 0);
	conf_free(&conf);
}

static void
start_refused(const char *text)
{
	struct conf *conf = support_conf("app = \"m:app\"; %s", text);

	ck_assert_int_eq(host_start(conf, &why), -1);
	ck_assert_int_eq(Py_IsInitialized(), 0);
	conf_free(&conf);
	/* the log has it too */
	support_find(support_log(), buf_str(&why));
}

/* The paths to expect, with links resolved: what sys.* says is compared
 * as files. */
static void
assert_same_file(const char *expression, const char *path)
{
	char *is, *want = realpath(path, NULL);

	is = realpath(support_eval(expression), NULL);
	ck_assert_msg(is != NULL && want != NULL && strcmp(is, want) == 0,
	    "%s is %s, not %s", expression, support_eval(expression), path);
	free(is);
	free(want);
}

/* ---- start ------------------------------------------------------------- */

START_TEST(starts_like_python)
{
	char cwd[4096];

	start("");
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	ck_assert_str_eq(support_eval("sys.argv"), "['asgid']");
	ck_assert_str_eq(support_eval("sys.path[0]"), cwd);
	ck_assert_str_eq(support_eval("sys.executable"), PYTHON_EXECUTABLE);
	ck_assert_str_eq(support_eval("sys.prefix == sys.base_prefix"),
	    "True");
	ck_assert_str_eq(support_eval("'%d.%d' % sys.version_info[:2]"),
	    PYTHON_X_Y);
	ck_assert_str_eq(support_eval("sys.flags.utf8_mode == 1 or "
	    "sys.getfilesystemencoding() == 'utf-8'"), "True");
	ck_assert_str_eq(support_eval("__import__('_asgid').__name__"),
	    "_asgid");
	ck_assert_str_eq(PyUnicode_AsUTF8(names.http_response_start),
	    "http.response.start");
	ck_assert_str_eq(support_log(), "");
	host_stop();
}
END_TEST

/* The very paths that the interpreter itself finds. */
START_TEST(standard_library_is_ours)
{
	static const char code[] = "import sys, os; print(sys.prefix, "
	    "sys.exec_prefix, os.__file__, [p for p in sys.path if p and "
	    "p != os.getcwd()], sep=chr(10), file=open('want', 'w'))";

	/* whatever python3 is first on PATH */
	support_run("mkdir bin && printf '#!/bin/sh\\nexit 1\\n' >bin/python3 "
	    "&& chmod +x bin/python3");
	setenv("PATH", "bin:/usr/bin:/bin", 1);
	support_run("%s -c \"%s\"", PYTHON_EXECUTABLE, code);
	start("");
	support_exec("import sys, os\n"
	    "with open('want') as f: want = f.read()\n"
	    "got = '\\n'.join([sys.prefix, sys.exec_prefix, os.__file__, "
	    "str([p for p in sys.path if p and p != os.getcwd()])]) + '\\n'\n"
	    "assert got == want, (got, want)");
	host_stop();
}
END_TEST

START_TEST(app_dir_comes_first)
{
	support_run("mkdir -p a/b");
	support_write("a/b/m.py", "");
	start("app_dir = \"a/b/\";");
	ck_assert_str_eq(support_eval("sys.path[0] == os.getcwd() + '/a/b'"),
	    "True");
	support_exec("import os; os.chdir('/'); import m");
	host_stop();
}
END_TEST

START_TEST(app_dir_must_be_there)
{
	start_refused("app_dir = \"/nowhere/at/all\";");
	ck_assert_str_eq(buf_str(&why),
	    "app_dir: /nowhere/at/all: No such file or directory");
}
END_TEST

START_TEST(environment_counts)
{
	setenv("PYTHONPATH", "/tmp/of-the-user", 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	setenv("PYTHONFAULTHANDLER", "1", 1);
	start("");
	ck_assert_str_eq(support_eval("sys.path[1]"), "/tmp/of-the-user");
	ck_assert_str_eq(support_eval("sys.dont_write_bytecode"), "True");
	ck_assert_str_eq(
	    support_eval("__import__('faulthandler').is_enabled()"), "True");
	host_stop();
}
END_TEST

/* As under systemd: no locale at all. */
START_TEST(text_is_utf8_without_locale)
{
	static const char *const locale[] = { "LANG", "LC_ALL", "LC_CTYPE" };

	for (size_t i = 0; i < countof(locale); i++)
		unsetenv(locale[i]);
	start("");
	ck_assert_str_eq(support_eval("sys.getfilesystemencoding()"),
	    "utf-8");
	ck_assert_str_eq(support_eval("sys.stdout.encoding.lower()"),
	    "utf-8");
	ck_assert_str_eq(support_eval(
	    "__import__('locale').getpreferredencoding().lower()"), "utf-8");
	host_stop();
}
END_TEST

START_TEST(signals_are_the_applications)
{
	signal(SIGINT, SIG_DFL);	/* Check has a handler */
	start("");
	/* an interrupt is the master's business; a broken pipe an error */
	ck_assert_str_eq(support_eval(
	    "signal.getsignal(signal.SIGINT) is signal.SIG_IGN"), "True");
	ck_assert_str_eq(support_eval(
	    "signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN"), "True");
	raise(SIGINT);
	support_exec("import os, signal\n"
	    "seen = []\n"
	    "signal.signal(signal.SIGUSR2, lambda *a: seen.append(a[0]))\n"
	    "os.kill(os.getpid(), signal.SIGUSR2)\n"
	    "assert seen == [signal.SIGUSR2], seen\n");
	host_stop();
}
END_TEST

static void
on_signal(int signo UNUSED)
{
}

START_TEST(installed_handler_stays)
{
	struct sigaction sa;

	signal(SIGINT, on_signal);
	start("");
	ck_assert_int_eq(sigaction(SIGINT, NULL, &sa), 0);
	ck_assert(sa.sa_handler == on_signal);
	host_stop();
}
END_TEST

START_TEST(print_appears_at_once)
{
	char got[64];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
	start("");
	support_exec("print('hello')");
	ck_assert_int_eq(read(fds[0], got, sizeof(got)), 6);
	ck_assert_mem_eq(got, "hello\n", 6);
	host_stop();
}
END_TEST

START_TEST(closed_stdout_is_no_error)
{
	close(STDOUT_FILENO);
	start("");
	support_exec("print('into the void')");
	host_stop();
}
END_TEST

START_TEST(subprocesses_work)
{
	start("");
	support_write("work.py", "def double(x): return 2 * x\n");
	support_exec("import multiprocessing as mp, subprocess, sys, work\n"
	    "out = subprocess.check_output([sys.executable, '-c', "
	    "'print(6 * 7)'])\n"
	    "assert out == b'42\\n', out\n"
	    "with mp.get_context('spawn').Pool(1) as p:\n"
	    "    assert p.map(work.double, [21]) == [42]\n");
	host_stop();
}
END_TEST

/* uvloop.install() in an application: its policy is for loops of its own. */
START_TEST(foreign_policy_breaks_nothing)
{
	start("");
	support_exec("import asyncio, warnings\n"
	    "warnings.simplefilter('ignore')\n"
	    "import _asgid\n"
	    "class Policy(asyncio.DefaultEventLoopPolicy):\n"
	    "    def get_child_watcher(self): raise NotImplementedError\n"
	    "    def new_event_loop(self): raise NotImplementedError\n"
	    "asyncio.set_event_loop_policy(Policy())\n"
	    "async def run():\n"
	    "    p = await asyncio.create_subprocess_exec('sh', '-c', "
	    "'echo out; exit 3', stdout=-1)\n"
	    "    return await p.communicate(), p.returncode\n"
	    "async def fail():\n"
	    "    try: await asyncio.create_subprocess_exec('/nowhere')\n"
	    "    except FileNotFoundError: return 'refused'\n"
	    "loop = _asgid.Loop()\n"
	    "got = loop.run_until_complete(run())\n"
	    "assert got == ((b'out\\n', None), 3), got\n"
	    "assert loop.run_until_complete(fail()) == 'refused'\n"
	    "assert loop.run_until_complete(asyncio.wait_for(asyncio.to_thread("
	    "int, 5), 5)) == 5\n"
	    "async def close(): await loop.shutdown_default_executor()\n"
	    "loop.run_until_complete(close())\n"
	    "loop.close()\n");
	ck_assert_str_eq(support_log(), "");
	host_stop();
}
END_TEST

START_TEST(logging_is_left_alone)
{
	start("");
	ck_assert_str_eq(support_eval("logging.getLogger().handlers"), "[]");
	support_exec("import logging\n"
	    "logging.basicConfig(level=logging.INFO, format='MINE %(message)s')"
	    "\nlogging.info('configured')\n");
	ck_assert_str_eq(support_log(), "MINE configured\n");
	host_stop();
}
END_TEST

START_TEST(stop_runs_atexit)
{
	start("");
	support_exec("import atexit, sys\n"
	    "atexit.register(lambda: sys.stderr.write('bye\\n'))");
	host_stop();
	ck_assert_str_eq(support_log(), "bye\n");
}
END_TEST

START_TEST(bad_home_is_refused)
{
	setenv("PYTHONHOME", "/nowhere", 1);
	start_refused("");
	support_find(buf_str(&why), "Python does not start: ");
}
END_TEST

/* ---- virtual environments ------------------------------------------------ */

static void
make_venv(const char *options)
{
	support_run("%s -m venv --without-pip %s v", PYTHON_EXECUTABLE,
	    options);
	support_write("v/lib/python" PYTHON_X_Y "/site-packages/packed.py",
	    "where = 'venv'\n");
}

static void
assert_in_venv(void)
{
	char cwd[4096], path[8192];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(path, sizeof(path), "%s/v", cwd);
	ck_assert_str_eq(support_eval("sys.prefix"), path);
	ck_assert_str_eq(support_eval("sys.exec_prefix"), path);
	snprintf(path, sizeof(path), "%s/v/bin/python", cwd);
	ck_assert_str_eq(support_eval("sys.executable"), path);
	ck_assert_str_eq(support_eval("__import__('packed').where"), "venv");
	/* the standard library is that of the library we are linked to */
	assert_same_file("sys.base_prefix", PYTHON_HOME);
	assert_same_file("os.path.dirname(os.path.dirname(os.path.dirname("
	    "os.__file__)))", PYTHON_HOME);
	support_exec("import ssl, sqlite3, ctypes, decimal");
}

START_TEST(venv_of_the_configuration)
{
	make_venv("");
	start("python = { venv = \"v\"; };");
	assert_in_venv();
	/* as its python would have it: nothing of the system's packages */
	ck_assert_str_eq(support_eval("site.ENABLE_USER_SITE"), "False");
	ck_assert_str_eq(support_eval("[p for p in sys.path if "
	    "p.endswith('-packages') and not p.startswith(sys.prefix)]"),
	    "[]");
	support_find(support_log(), "Using the virtual environment ");
	host_stop();
}
END_TEST

START_TEST(venv_with_system_packages)
{
	char has[16];

	make_venv("--system-site-packages");
	start("python = { venv = \"v/\"; };");
	assert_in_venv();
	strcpy(has, support_eval("any(p.endswith('-packages') and "
	    "p.startswith(sys.base_prefix + '/') and "
	    "not p.startswith(sys.prefix + '/') for p in sys.path)"));
	ck_assert_str_eq(has, "True");
	host_stop();
}
END_TEST

START_TEST(venv_of_the_environment)
{
	make_venv("");
	setenv("VIRTUAL_ENV", "v", 1);
	start("");
	assert_in_venv();
	host_stop();
}
END_TEST

START_TEST(configuration_beats_environment)
{
	make_venv("");
	setenv("VIRTUAL_ENV", "/nowhere", 1);
	start("python = { venv = \"v\"; };");
	assert_in_venv();
	host_stop();
}
END_TEST

/* uv and pyenv bring a Python of their own: the packages are good, but the
 * standard library must be ours. */
START_TEST(venv_of_another_installation)
{
	make_venv("");
	support_run("mkdir -p other/bin && ln -s %s other/bin/python3",
	    PYTHON_EXECUTABLE);
	support_run("sed -i \"s|^home = .*|home = $PWD/other/bin|\" "
	    "v/pyvenv.cfg");
	start("python = { venv = \"v\"; };");
	assert_in_venv();
	host_stop();
}
END_TEST

static const struct refused {
	const char	*cfg;		/* NULL: none */
	const char	*want;
} refused[] = {
	{ NULL, "/v is no virtual environment: it has no pyvenv.cfg" },
	{ "home = /usr/bin\nversion = 3.4.1\n",
	    "/v is a virtual environment of Python 3.4, but this asgid "
	    "embeds Python " PYTHON_X_Y "; make it again with: "
	    PYTHON_EXECUTABLE " -m venv --clear /" },
	{ "home = /usr/bin\nversion_info = 2.7.18.final.0\n",
	    "/v is a virtual environment of Python 2.7, but this asgid "
	    "embeds Python " PYTHON_X_Y },
	{ "VERSION=3.99\r\nhome=/usr/bin\r\n",
	    "/v is a virtual environment of Python 3.99, but" },
	/* silent: lib/python3.5, made below, tells */
	{ "home = /usr/bin\n",
	    "/v is a virtual environment of Python 3.5, but" },
};

START_TEST(venv_refused)
{
	const struct refused *r = &refused[_i];

	support_run("mkdir -p v/bin v/lib/python3.5");
	if (r->cfg != NULL)
		support_write("v/pyvenv.cfg", r->cfg);
	start_refused("python = { venv = \"v\"; };");
	ck_assert_msg(strncmp(buf_str(&why), "python.venv: /", 14) == 0,
	    "%s", buf_str(&why));
	/* the folder's name in the middle is the test's own */
	if (strstr(r->want, "--clear /") != NULL)
		support_find(buf_str(&why), " -m venv --clear /");
	else
		support_find(buf_str(&why), r->want);
}
END_TEST

START_TEST(venv_nowhere)
{
	setenv("VIRTUAL_ENV", "/nowhere/v", 1);
	start_refused("");
	ck_assert_str_eq(buf_str(&why), "VIRTUAL_ENV: /nowhere/v is no "
	    "virtual environment: No such file or directory");
}
END_TEST

/* A real one of another version, where the machine has one. */
START_TEST(venv_of_another_version)
{
	static const char *const pythons[] = {
		"/usr/bin/python3.11", "/usr/bin/python3.12",
		"/usr/bin/python3.13",
		"$HOME/.pyenv/versions/3.12.1/bin/python3.12",
		"$HOME/.pyenv/versions/3.13.0/bin/python3.13",
	};
	char command[256], want[128] = "";

	for (size_t i = 0; i < countof(pythons) && *want == '\0'; i++) {
		const char *version = strrchr(pythons[i], 'n') + 1;

		if (strcmp(version, PYTHON_X_Y) == 0)
			continue;
		snprintf(command, sizeof(command),
		    "%s -m venv --without-pip v 2>/dev/null", pythons[i]);
		if (system(command) == 0)
			snprintf(want, sizeof(want), "virtual environment of "
			    "Python %s, but this asgid embeds Python "
			    PYTHON_X_Y, version);
	}
	if (*want == '\0')
		return;		/* venv_refused has fabricated ones */
	start_refused("python = { venv = \"v\"; };");
	support_find(buf_str(&why), want);
}
END_TEST

/* ---- errors -------------------------------------------------------------- */

/* Run code that raises; the exception is pending afterwards. */
static void
raise_from(const char *code)
{
	PyObject *dict = PyDict_New(), *r;

	r = PyRun_String(code, Py_file_input, dict, dict);
	ck_assert_ptr_null(r);
	ck_assert_ptr_nonnull(PyErr_Occurred());
	Py_DECREF(dict);
}

static const struct raised {
	const char	*code;
	const char	*line;		/* error_last_line */
	const char	*log[6];	/* in this order */
} raised[] = {
	{ "def f():\n  raise ValueError('bad\\nworse')\nf()\n",
	    "ValueError: bad worse",
	    { "Traceback (most recent call last):\n",
	      "in <module>\n", "in f\n", "ValueError: bad\nworse\n" } },
	{ "raise KeyError", "KeyError", { "\nKeyError\n" } },
	{ "try:\n  1/0\nexcept Exception as e:\n"
	  "  raise OSError('out') from e\n", "OSError: out",
	    { "ZeroDivisionError: division by zero",
	      "The above exception was the direct cause of the following",
	      "OSError: out\n" } },
	{ "try:\n  1/0\nexcept Exception as e:\n  raise OSError('out')\n",
	    "OSError: out",
	    { "ZeroDivisionError: division by zero",
	      "During handling of the above exception, another",
	      "OSError: out\n" } },
	{ "raise ExceptionGroup('several', [ValueError(1), "
	  "TypeError('two')])\n", "ExceptionGroup: several (2 sub-exceptions)",
	    { "ExceptionGroup: several (2 sub-exceptions)\n",
	      "ValueError: 1\n", "TypeError: two\n" } },
	{ "e = ValueError('noted')\ne.add_note('look here')\nraise e\n",
	    "ValueError: noted", { "ValueError: noted\nlook here\n" } },
	{ "raise SystemExit(5)", "SystemExit: 5", { "SystemExit: 5\n" } },
	{ "raise KeyboardInterrupt", "KeyboardInterrupt",
	    { "KeyboardInterrupt\n" } },
	{ "import json\njson.loads('{')\n",
	    "json.decoder.JSONDecodeError: Expecting property name enclosed "
	    "in double quotes: line 1 column 2 (char 1)",
	    { "json.decoder.JSONDecodeError: Expecting property name" } },
	{ "class E(Exception):\n"
	  "  def __str__(self): raise ValueError('no')\nraise E\n",
	    "E: <exception str() failed>", { "<exception str() failed>" } },
	{ "raise ValueError('a\\0b \\udcff \\u20ac')",
	    "ValueError: a\\x00b \\udcff \xe2\x82\xac",
	    { "ValueError: a\\x00b \\udcff \xe2\x82\xac\n" } },
	/* the traceback module is of no use: a line is left */
	{ "import traceback\ntraceback.format_exception = None\n"
	  "raise ValueError('bare')\n", "ValueError: bare",
	    { "a line 7\nValueError: bare\n" } },
	{ "def f(): f()\nf()\n",
	    "RecursionError: maximum recursion depth exceeded",
	    { "RecursionError: maximum recursion depth exceeded" } },
};

START_TEST(error_text)
{
	const struct raised *r = &raised[_i];
	struct buf line = BUF_INIT;
	const char *at;

	start("");
	raise_from(r->code);
	error_last_line(&line);
	ck_assert_ptr_nonnull(PyErr_Occurred());
	ck_assert_str_eq(buf_str(&line), r->line);
	error_log(LOG_L_ERROR, "a line %d", 7);
	ck_assert_ptr_null(PyErr_Occurred());
	at = support_log();
	ck_assert_msg(strncmp(at, "ERROR:    a line 7\n", 18) == 0, "%s", at);
	for (size_t i = 0; i < countof(r->log) && r->log[i] != NULL; i++) {
		support_find(at, r->log[i]);
		at = strstr(at, r->log[i]);
	}
	/* one entry, whole */
	ck_assert_str_eq(support_log_entries(), "ERROR:    a line 7\n");
	host_stop();
}
END_TEST

START_TEST(error_keeps_what_is_pending)
{
	PyObject *exc, *pending;

	start("");
	raise_from("raise ValueError('first')");
	exc = error_take();
	ck_assert_ptr_null(PyErr_Occurred());
	raise_from("raise TypeError('second')");
	error_log_exc(LOG_L_WARNING, exc, "%s", "hello");
	support_find(support_log(), "WARNING:  hello\nTraceback");
	support_find(support_log(), "\nValueError: first\n");
	pending = error_take();
	ck_assert(PyErr_GivenExceptionMatches(pending, PyExc_TypeError));
	ck_assert_int_eq(Py_REFCNT(exc), 1);
	Py_DECREF(exc);
	error_restore(pending);
	ck_assert(PyErr_ExceptionMatches(PyExc_TypeError));
	ck_assert(!error_swallow_type(PyExc_ValueError));
	ck_assert(error_swallow_type(PyExc_TypeError));
	ck_assert(!error_swallow_type(PyExc_TypeError));
	ck_assert_ptr_null(error_take());
	error_restore(NULL);
	host_stop();
}
END_TEST

START_TEST(error_without_exception)
{
	struct buf line = BUF_INIT;

	start("");
	error_log(LOG_L_ERROR, "only this");
	error_last_line(&line);
	error_swallow("nothing");
	ck_assert_uint_eq(line.len, 0);
	ck_assert_str_eq(support_log(), "ERROR:    only this\n");
	host_stop();
}
END_TEST

START_TEST(error_swallowed)
{
	start("");
	raise_from("raise ValueError('x')");
	error_swallow("here");
	ck_assert_ptr_null(PyErr_Occurred());
	ck_assert_str_eq(support_log(), "");
	log_set_level(LOG_L_DEBUG);
	raise_from("raise ValueError('x')");
	error_swallow("here");
	ck_assert_str_eq(support_log(),
	    "DEBUG:    here: ignored: ValueError: x\n");
	host_stop();
}
END_TEST

/* A long request line in front is kept whole. */
START_TEST(error_long_line)
{
	char *path = malloc(20001);

	memset(path, 'x', 20000);
	path[20000] = '\0';
	start("");
	raise_from("raise ValueError('x')");
	error_log(LOG_L_ERROR, "GET /%s end", path);
	support_find(support_log(), "xx end\nTraceback");
	support_find(support_log(), path);
	free(path);
	host_stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("py");
	TCase *host = tcase_create("host"), *venv = tcase_create("venv");
	TCase *error = tcase_create("error");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(host, support_setup, NULL);
	tcase_add_checked_fixture(venv, support_setup, NULL);
	tcase_add_checked_fixture(error, support_setup, NULL);
	tcase_set_timeout(host, 60);
	tcase_set_timeout(venv, 60);
	tcase_set_timeout(error, 60);
	suite_add_tcase(s, host);
	suite_add_tcase(s, venv);
	suite_add_tcase(s, error);

	tcase_add_test(host, starts_like_python);
	tcase_add_test(host, standard_library_is_ours);
	tcase_add_test(host, app_dir_comes_first);
	tcase_add_test(host, app_dir_must_be_there);
	tcase_add_test(host, environment_counts);
	tcase_add_test(host, text_is_utf8_without_locale);
	tcase_add_test(host, signals_are_the_applications);
	tcase_add_test(host, installed_handler_stays);
	tcase_add_test(host, print_appears_at_once);
	tcase_add_test(host, closed_stdout_is_no_error);
	tcase_add_test(host, subprocesses_work);
	tcase_add_test(host, foreign_policy_breaks_nothing);
	tcase_add_test(host, logging_is_left_alone);
	tcase_add_test(host, stop_runs_atexit);
	tcase_add_test(host, bad_home_is_refused);

	tcase_add_test(venv, venv_of_the_configuration);
	tcase_add_test(venv, venv_with_system_packages);
	tcase_add_test(venv, venv_of_the_environment);
	tcase_add_test(venv, configuration_beats_environment);
	tcase_add_test(venv, venv_of_another_installation);
	tcase_add_loop_test(venv, venv_refused, 0, countof(refused));
	tcase_add_test(venv, venv_nowhere);
	tcase_add_test(venv, venv_of_another_version);

	tcase_add_loop_test(error, error_text, 0, countof(raised));
	tcase_add_test(error, error_keeps_what_is_pending);
	tcase_add_test(error, error_without_exception);
	tcase_add_test(error, error_swallowed);
	tcase_add_test(error, error_long_line);

	sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_FORK);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
