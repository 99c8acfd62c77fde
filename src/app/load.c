/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Loading the application: import, factory, interface, in the words uvicorn's
 * users know.  A mistake in the name is one line; an exception of the
 * application's own code is shown whole.
 */
#include "py/py.h"
#include "app/load.h"

#include <stdlib.h>
#include <string.h>

#include "app/hint.h"
#include "base/log.h"
#include "py/error.h"

/* Something is wrong with what the user asked for: log and remember it. */
static int refuse(struct buf *reason, const char *fmt, ...) PRINTF(2, 3);

static int
refuse(struct buf *reason, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	log_err("%s", text != NULL ? text : fmt);
	buf_puts(reason, text != NULL ? text : fmt);
	free(text);
	return -1;
}

/* The application's code raised: log it whole, remember its last line. */
static int
fail(struct buf *reason, const char *name)
{
	error_last_line(reason);
	error_log(LOG_L_ERROR, "Error loading ASGI app \"%s\"", name);
	return -1;
}

/* Something that is to be imported is not there: more than its name, as a line
 * of its own. */
static void
explain(struct buf *reason, const struct conf *conf, bool itself)
{
	struct buf hint = BUF_INIT;

	hint_import(conf, itself, &hint);
	log_err("%s", buf_str(&hint));
	buf_printf(reason, " (%s)", buf_str(&hint));
	buf_fini(&hint);
}

/* ---- import ------------------------------------------------------------- */

/*
 * Is the pending ModuleNotFoundError about the module itself or a package it
 * is in (true), or about something that its code imports?
 */
static bool
is_itself_missing(const char *module)
{
	PyObject *exc, *name;
	const char *missing = NULL;
	bool itself = false;
	size_t n;

	if (!PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
		return false;
	exc = error_take();
	name = PyObject_GetAttrString(exc, "name");
	if (name != NULL && PyUnicode_Check(name))
		missing = PyUnicode_AsUTF8(name);
	if (missing != NULL) {
		n = strlen(missing);
		itself = strncmp(module, missing, n) == 0 &&
		    (module[n] == '\0' || module[n] == '.');
	}
	Py_XDECREF(name);
	PyErr_Clear();
	error_restore(exc);
	return itself;
}

/* Follow "attr.attr" from the module; NULL with an exception set. */
static PyObject *
get_attribute(PyObject *module, const char *attrs)
{
	PyObject *obj = py_ref(module);
	struct buf name = BUF_INIT;

	while (obj != NULL && attrs != NULL) {
		const char *dot = strchr(attrs, '.');

		buf_reset(&name);
		buf_put(&name, attrs, dot != NULL ? (size_t)(dot - attrs) :
		    strlen(attrs));
		py_set(&obj, PyObject_GetAttrString(obj, buf_str(&name)));
		attrs = dot != NULL ? dot + 1 : NULL;
	}
	buf_fini(&name);
	return obj;
}

/* Why the module cannot be imported. */
static void
not_imported(const struct conf *conf, const char *path, struct buf *reason)
{
	bool missing = PyErr_ExceptionMatches(PyExc_ModuleNotFoundError);
	bool itself = is_itself_missing(path);

	if (itself) {
		PyErr_Clear();
		refuse(reason, "Error loading ASGI app. Could not import "
		    "module \"%s\".", path);
	} else
		fail(reason, conf->app);
	if (missing)
		explain(reason, conf, itself);
}

/* New reference, or NULL after logging. */
static PyObject *
import_object(const struct conf *conf, struct buf *reason)
{
	const char *name = conf->app, *colon = strchr(name, ':');
	PyObject *module = NULL, *obj = NULL;
	char *path;

	if (colon == NULL || colon == name || colon[1] == '\0') {
		refuse(reason, "Error loading ASGI app. Import string \"%s\" "
		    "must be in format \"<module>:<attribute>\".", name);
		return NULL;
	}
	path = strndup(name, (size_t)(colon - name));
	if (path == NULL) {
		refuse(reason, "Error loading ASGI app. No memory.");
		return NULL;
	}
	module = PyImport_ImportModule(path);
	if (module != NULL)
		obj = get_attribute(module, colon + 1);
	if (obj != NULL)
		;
	else if (module == NULL)
		not_imported(conf, path, reason);
	else if (module != NULL && error_swallow_type(PyExc_AttributeError))
		refuse(reason, "Error loading ASGI app. Attribute \"%s\" not "
		    "found in module \"%s\".", colon + 1, path);
	else
		fail(reason, name);
	Py_XDECREF(module);
	free(path);
	return obj;
}

/* ---- questions ---------------------------------------------------------- */

/* Calls module.function(obj); new reference or NULL with an exception. */
static PyObject *
ask(const char *module, const char *function, PyObject *obj)
{
	PyObject *mod = PyImport_ImportModule(module), *answer;

	if (mod == NULL)
		return NULL;
	answer = PyObject_CallMethod(mod, function, "O", obj);
	Py_DECREF(mod);
	return answer;
}

/* asyncio's function also knows the marks of asgiref; it is deprecated where
 * inspect's knows them. */
static bool
is_coroutine_function(PyObject *obj)
{
	PyObject *answer = ask(
	    PY_VERSION_HEX >= 0x030e0000 ? "inspect" : "asyncio",
	    "iscoroutinefunction", obj);
	bool yes = answer == Py_True;

	Py_XDECREF(answer);
	PyErr_Clear();
	return yes;
}

static bool
is_async_callable(PyObject *obj)
{
	PyObject *call;
	bool yes;

	if (is_coroutine_function(obj))
		return true;
	if (PyType_Check(obj))
		return false;
	call = PyObject_GetAttrString(obj, "__call__");
	yes = call != NULL && is_coroutine_function(call);
	Py_XDECREF(call);
	PyErr_Clear();
	return yes;
}

/* Could obj be called with n positional arguments? Yes when unknown. What is
 * pending stays so. */
static bool
takes_arguments(PyObject *obj, Py_ssize_t n)
{
	PyObject *pending = error_take();
	PyObject *signature = ask("inspect", "signature", obj);
	PyObject *bind = NULL, *args = NULL, *bound = NULL;
	bool yes = true;

	if (signature != NULL)
		bind = PyObject_GetAttrString(signature, "bind");
	if (bind != NULL)
		args = PyTuple_New(n);
	if (args != NULL) {
		for (Py_ssize_t i = 0; i < n; i++)
			PyTuple_SET_ITEM(args, i, py_ref(Py_None));
		bound = PyObject_CallObject(bind, args);
		yes = bound != NULL ||
		    !PyErr_ExceptionMatches(PyExc_TypeError);
	}
	Py_XDECREF(signature);
	Py_XDECREF(bind);
	Py_XDECREF(args);
	Py_XDECREF(bound);
	PyErr_Clear();
	error_restore(pending);
	return yes;
}

/* ---- factories ---------------------------------------------------------- */

/* Replace *obj by what calling it returns. */
static int
call_factory(PyObject **obj, const char *name, struct buf *reason)
{
	PyObject *made = PyObject_CallNoArgs(*obj);
	struct buf line = BUF_INIT;

	if (made != NULL) {
		py_set(obj, made);
		return 0;
	}
	/* a wrong call is one line, a TypeError from deeper a traceback */
	if (takes_arguments(*obj, 0) ||
	    !PyErr_ExceptionMatches(PyExc_TypeError))
		return fail(reason, name);
	error_last_line(&line);
	PyErr_Clear();
	refuse(reason, "Error loading ASGI app factory: %s",
	    strncmp(buf_str(&line), "TypeError: ", 11) == 0 ?
	    buf_str(&line) + 11 : buf_str(&line));
	buf_fini(&line);
	return -1;
}

/*
 * Without --factory: as uvicorn, see whether a call without arguments gives
 * an application.  What no argument list can tell (a wrapper with *args) is
 * tried and, when that fails, taken for the application.
 */
static int
try_factory(PyObject **obj, const char *name, struct buf *reason)
{
	PyObject *made;

	if (is_async_callable(*obj) || !takes_arguments(*obj, 0))
		return 0;
	made = PyObject_CallNoArgs(*obj);
	if (made == NULL) {
		if (takes_arguments(*obj, 3) &&
		    error_swallow_type(PyExc_TypeError))
			return 0;
		return fail(reason, name);
	}
	if (!PyCallable_Check(made)) {
		/* a coroutine would complain that nobody awaited it */
		if (PyCoro_CheckExact(made))
			Py_XDECREF(PyObject_CallMethod(made, "close", NULL));
		PyErr_Clear();
		Py_DECREF(made);
		return 0;
	}
	log_warn("ASGI app factory detected. Using it, but please consider "
	    "setting the --factory flag explicitly.");
	py_set(obj, made);
	return 0;
}

/* ---- interface ---------------------------------------------------------- */

/*
 * The helper that makes a coroutine of any awaitable, so that a Task can be
 * made of what an application returns.
 */
static const char helper_text[] =
    "async def await_application(awaitable):\n"
    "    return await awaitable\n";

/* Steals the awaitable. */
static PyObject *
as_coroutine(PyObject *helper, PyObject *awaitable)
{
	PyObject *coro;

	if (awaitable == NULL || PyCoro_CheckExact(awaitable))
		return awaitable;
	coro = PyObject_CallOneArg(helper, awaitable);
	Py_DECREF(awaitable);
	return coro;
}

/* self of both wrappers: (application, helper). */
static PyObject *
call_asgi3(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	return as_coroutine(PyTuple_GET_ITEM(self, 1),
	    PyObject_Vectorcall(PyTuple_GET_ITEM(self, 0), args, (size_t)n,
	    NULL));
}

static PyObject *
call_asgi2(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	PyObject *instance, *awaitable;

	if (n != 3) {
		PyErr_SetString(PyExc_TypeError,
		    "an application takes scope, receive and send");
		return NULL;
	}
	instance = PyObject_CallOneArg(PyTuple_GET_ITEM(self, 0), args[0]);
	if (instance == NULL)
		return NULL;
	awaitable = PyObject_Vectorcall(instance, args + 1, 2, NULL);
	Py_DECREF(instance);
	return as_coroutine(PyTuple_GET_ITEM(self, 1), awaitable);
}

static PyMethodDef asgi3_def = {
	"asgi3", (PyCFunction)(void (*)(void))call_asgi3, METH_FASTCALL,
	"An application whose calls return any awaitable.",
};
static PyMethodDef asgi2_def = {
	"asgi2", (PyCFunction)(void (*)(void))call_asgi2, METH_FASTCALL,
	"A double callable, called as a single one.",
};

PyObject *
app_define(const char *code, const char *name)
{
	PyObject *globals = PyDict_New(), *compiled, *done = NULL;
	PyObject *function = NULL;

	compiled = Py_CompileString(code, "<asgid>", Py_file_input);
	if (globals != NULL && compiled != NULL)
		done = PyEval_EvalCode(compiled, globals, globals);
	if (done != NULL)
		function = py_ref(PyDict_GetItemString(globals, name));
	Py_XDECREF(done);
	Py_XDECREF(compiled);
	Py_XDECREF(globals);
	return function;
}

/* New reference, or NULL with an exception. */
static PyObject *
wrap(PyMethodDef *def, PyObject *obj)
{
	PyObject *helper, *self = NULL, *wrapped = NULL;

	helper = app_define(helper_text, "await_application");
	if (helper != NULL)
		self = PyTuple_Pack(2, obj, helper);
	if (self != NULL)
		wrapped = PyCFunction_New(def, self);
	Py_XDECREF(helper);
	Py_XDECREF(self);
	return wrapped;
}

/*
 * uvicorn's rule (classes: __await__ makes it ASGI 3; else coroutine
 * functions are ASGI 3), but what it would only guess to be ASGI 2 is asked
 * how many arguments it takes: plain functions that return a coroutine,
 * partials and bound methods are ASGI 3 as well.
 */
static bool
is_asgi2(PyObject *obj, enum conf_interface interface)
{
	if (interface != CONF_ASGI_AUTO)
		return interface == CONF_ASGI2;
	if (PyType_Check(obj) && PyObject_HasAttrString(obj, "__await__"))
		return false;
	return !is_async_callable(obj) && !takes_arguments(obj, 3);
}

/* Do calls of obj return coroutines by construction? Then no wrapper. */
static bool
makes_coroutines(PyObject *obj)
{
	PyObject *call = py_ref(obj);
	bool yes;

	if (!PyFunction_Check(obj) && !PyMethod_Check(obj) &&
	    !PyType_Check(obj)) {
		py_set(&call, PyObject_GetAttrString((PyObject *)Py_TYPE(obj),
		    "__call__"));
		PyErr_Clear();
	}
	if (call != NULL && PyMethod_Check(call))
		py_set(&call, py_ref(PyMethod_GET_FUNCTION(call)));
	yes = call != NULL && PyFunction_Check(call) &&
	    ((PyCodeObject *)PyFunction_GET_CODE(call))->co_flags &
	    CO_COROUTINE;
	Py_XDECREF(call);
	return yes;
}

int
app_load(struct app *app, const struct conf *conf, struct buf *reason)
{
	const char *name = conf->app;
	PyObject *obj;
	bool asgi2;

	if ((obj = import_object(conf, reason)) == NULL)
		return -1;
	if (!PyCallable_Check(obj)) {
		refuse(reason, "Error loading ASGI app. \"%s\" is not "
		    "callable, it is of type %s.", name,
		    Py_TYPE(obj)->tp_name);
		goto fail;
	}
	if ((conf->factory ? call_factory : try_factory)(&obj, name,
	    reason) == -1)
		goto fail;
	if (!PyCallable_Check(obj)) {
		refuse(reason, "Error loading ASGI app factory: \"%s\" "
		    "returned no application, but a value of type %s.", name,
		    Py_TYPE(obj)->tp_name);
		goto fail;
	}
	asgi2 = is_asgi2(obj, (enum conf_interface)conf->interface);
	app->version = asgi2 ? "2.0" : "3.0";
	if (asgi2 || !makes_coroutines(obj)) {
		PyObject *wrapped = wrap(asgi2 ? &asgi2_def : &asgi3_def, obj);

		if (wrapped == NULL) {
			fail(reason, name);
			goto fail;
		}
		py_set(&obj, wrapped);
	}
	app->callable = obj;
	return 0;
fail:
	Py_DECREF(obj);
	return -1;
}

void
app_free(struct app *app)
{
	py_drop(&app->callable);
}
