/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The interpreter's start and stop.
 *
 * Where Python is: we are linked to the library of one installation, whose
 * interpreter configure recorded as PYTHON_EXECUTABLE.  Giving Python that
 * name (or the virtual environment's bin/python) as its program name makes
 * its own path search come out as if that program had been started, whatever
 * other python3 stands first on PATH.
 */
#include "py/py.h"
#include "py/host.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/defs.h"
#include "conf/venv.h"
#include "py/error.h"
#include "py/names.h"

/* ---- what to start ------------------------------------------------------ */

/* Is the environment's base interpreter in the folder of ours? */
static bool
same_installation(const struct venv *v)
{
	char *theirs, *ours, *slash;
	bool same;

	if (v->home == NULL)
		return false;
	theirs = realpath(v->home, NULL);
	ours = strdup(PYTHON_EXECUTABLE);
	if (ours != NULL && (slash = strrchr(ours, '/')) != NULL) {
		*slash = '\0';
		slash = realpath(*ours != '\0' ? ours : "/", NULL);
		free(ours);
		ours = slash;
	}
	same = theirs != NULL && ours != NULL && strcmp(theirs, ours) == 0;
	free(theirs);
	free(ours);
	return same;
}

/*
 * The environment was made by another installation of the same version (uv
 * and pyenv bring their own): its packages are good, but its standard library
 * belongs to another library than ours.  Name our home; site.py finds the
 * packages by sys.executable.
 */
static PyStatus
set_foreign_venv(PyConfig *config)
{
	PyStatus st;

	st = PyConfig_SetBytesString(config, &config->home, PYTHON_HOME);
	if (PyStatus_Exception(st))
		return st;
	return PyConfig_SetBytesString(config, &config->base_executable,
	    PYTHON_EXECUTABLE);
}

static PyStatus
fill_config(PyConfig *config, const struct conf *conf, const struct venv *v)
{
	const char *program = v->dir != NULL ? v->python : PYTHON_EXECUTABLE;
	PyStatus st;

	config->parse_argv = 0;
	config->install_signal_handlers = 1;
	/* caches know their source by size and second: too coarse for a file
	 * that is loaded as soon as it is saved */
	if (conf->reload_watch)
		config->write_bytecode = 0;
	st = PyWideStringList_Append(&config->argv, L"asgid");
	if (PyStatus_Exception(st))
		return st;
	st = PyConfig_SetBytesString(config, &config->program_name, program);
	if (PyStatus_Exception(st))
		return st;
	st = PyConfig_SetBytesString(config, &config->executable, program);
	if (PyStatus_Exception(st))
		return st;
	if (v->dir != NULL && !same_installation(v) &&
	    getenv("PYTHONHOME") == NULL) {
		st = set_foreign_venv(config);
		if (PyStatus_Exception(st))
			return st;
	}
	return PyStatus_Ok();
}

/* ---- start -------------------------------------------------------------- */

static PyStatus
initialize(const struct conf *conf, const struct venv *v)
{
	PyPreConfig pre;
	PyConfig config;
	PyStatus st;

	PyPreConfig_InitPythonConfig(&pre);
	pre.parse_argv = 0;
	st = Py_PreInitialize(&pre);
	if (PyStatus_Exception(st))
		return st;
	if (PyImport_AppendInittab("_asgid", PyInit__asgid) == -1)
		return PyStatus_NoMemory();
	PyConfig_InitPythonConfig(&config);
	st = fill_config(&config, conf, v);
	if (!PyStatus_Exception(st))
		st = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	return st;
}

/* Unless somebody cares for it already, an interrupt from the terminal is
 * not ours: the master hears it too and tells us what to do. */
static void
ignore_interrupt(void)
{
	struct sigaction sa;

	if (sigaction(SIGINT, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
		signal(SIGINT, SIG_IGN);
}

/*
 * What the event loop and the log will need of the standard library, besides
 * what these modules import themselves.  An application has modules of any
 * name: those beside its own come first on sys.path, but not before us.
 */
static int
import_library(void)
{
	static const char *const needed[] = {
		"ast",				/* traceback, for ^^^^ */
		"concurrent.futures.thread",	/* to_thread() */
		"encodings.idna",		/* getaddrinfo() */
		"traceback",
		"tracemalloc",			/* warnings */
		"unicodedata",
	};
	PyObject *module = PyImport_ImportModule("_asgid");
	size_t i;

	if (module == NULL)
		return -1;
	Py_DECREF(module);
	for (i = 0; i < countof(needed); i++) {
		module = PyImport_ImportModule(needed[i]);
		if (module == NULL)
			error_swallow(needed[i]);
		Py_XDECREF(module);
	}
	return 0;
}

/* app_dir, absolute, so that an application's chdir() does not take its
 * modules away. */
static int
set_sys_path(const struct conf *conf)
{
	char *cwd = getcwd(NULL, 0);
	struct buf b = BUF_INIT;
	PyObject *path, *entry;
	int rv = -1;

	if (*conf->app_dir != '/' && cwd != NULL) {
		buf_puts(&b, cwd);
		if (*conf->app_dir != '\0' && strcmp(conf->app_dir, ".") != 0)
			buf_printf(&b, "/%s", conf->app_dir);
	} else
		buf_puts(&b, conf->app_dir);
	free(cwd);
	while (b.len > 1 && b.data[b.len - 1] == '/')
		b.data[--b.len] = '\0';
	entry = PyUnicode_DecodeFSDefault(buf_str(&b));
	buf_fini(&b);
	if (entry == NULL)
		return -1;
	path = PySys_GetObject("path");		/* borrowed */
	if (path == NULL || !PyList_Check(path))
		PyErr_SetString(PyExc_RuntimeError, "sys.path is lost");
	else
		rv = PyList_Insert(path, 0, entry);
	Py_DECREF(entry);
	return rv;
}

/* What print() writes into a pipe or a file appears with its line's end, as
 * it does on a terminal. Not so when the site has put something else there,
 * which is its own affair. */
static void
set_line_buffering(const char *name)
{
	PyObject *file = PySys_GetObject(name);	/* borrowed */
	PyObject *method, *args, *kwargs, *result = NULL;

	if (file == NULL || file == Py_None)	/* closed descriptor */
		return;
	method = PyObject_GetAttrString(file, "reconfigure");
	args = PyTuple_New(0);
	kwargs = Py_BuildValue("{s:O}", "line_buffering", Py_True);
	if (method != NULL && args != NULL && kwargs != NULL)
		result = PyObject_Call(method, args, kwargs);
	if (result == NULL)
		error_swallow(name);
	Py_XDECREF(method);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	Py_XDECREF(result);
}

/* A folder that is not there explains more than the failed import does. */
static int
check_app_dir(const struct conf *conf, struct buf *reason)
{
	if (*conf->app_dir == '\0' || access(conf->app_dir, X_OK) == 0)
		return 0;
	buf_printf(reason, "app_dir: %s: %s", conf->app_dir, strerror(errno));
	return -1;
}

int
host_start(const struct conf *conf, struct buf *reason)
{
	struct venv venv;
	PyStatus st;
	int rv = -1;

	if (venv_choose(&venv, conf, reason) == -1 ||
	    check_app_dir(conf, reason) == -1) {
		log_err("%s", buf_str(reason));
		goto out;
	}
	if (venv.dir != NULL)
		log_info("Using the virtual environment %s", venv.dir);
	ignore_interrupt();
	st = initialize(conf, &venv);
	if (PyStatus_Exception(st)) {
		buf_printf(reason, "Python does not start: %s%s%s",
		    st.func != NULL ? st.func : "",
		    st.func != NULL ? ": " : "",
		    st.err_msg != NULL ? st.err_msg : "it asked to exit");
		log_err("%s", buf_str(reason));
		goto out;
	}
	if (names_init() == -1 || import_library() == -1 ||
	    set_sys_path(conf) == -1) {
		error_last_line(reason);
		error_log(LOG_L_ERROR, "Python does not start");
		names_fini();
		Py_FinalizeEx();
		goto out;
	}
	set_line_buffering("stdout");
	set_line_buffering("stderr");
	rv = 0;
out:
	venv_fini(&venv);
	return rv;
}

/*
 * The names stay: finalisation runs code of the application (atexit, __del__)
 * that may still call into us.
 */
void
host_stop(void)
{
	if (Py_FinalizeEx() == -1)
		log_warn("Python could not flush its standard output");
}
