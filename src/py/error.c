/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Python exceptions into the error log.  The text is the traceback module's;
 * when that fails (no memory, recursion, a broken module) a line made without
 * it is written instead: an exception is never lost.
 */
#include "py/py.h"
#include "py/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PyObject *
error_take(void)
{
#if PY_VERSION_HEX >= 0x030c0000
	return PyErr_GetRaisedException();
#else
	PyObject *type, *value, *tb;

	PyErr_Fetch(&type, &value, &tb);
	if (type == NULL)
		return NULL;
	PyErr_NormalizeException(&type, &value, &tb);
	/* the import system takes its own frames off tb, to the last */
	PyException_SetTraceback(value, tb != NULL ? tb : Py_None);
	Py_XDECREF(type);
	Py_XDECREF(tb);
	return value;
#endif
}

void
error_restore(PyObject *exc)
{
	if (exc == NULL)
		return;
#if PY_VERSION_HEX >= 0x030c0000
	PyErr_SetRaisedException(exc);
#else
	PyErr_Restore(py_ref((PyObject *)Py_TYPE(exc)), exc,
	    PyException_GetTraceback(exc));
#endif
}

/* Append a str as UTF-8; what has no UTF-8 (lone surrogates) and NUL, which
 * would cut the line off, are escaped. 0, or -1 with an exception set. */
static int
put_str(struct buf *b, PyObject *text)
{
	PyObject *bytes;
	const char *p;
	Py_ssize_t n;

	bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes == NULL)
		return -1;
	p = PyBytes_AS_STRING(bytes);
	n = PyBytes_GET_SIZE(bytes);
	for (const char *end = p + n; p < end; p++) {
		const char *nul = memchr(p, '\0', (size_t)(end - p));

		buf_put(b, p, (size_t)((nul != NULL ? nul : end) - p));
		if (nul == NULL)
			break;
		buf_puts(b, "\\x00");
		p = nul;
	}
	Py_DECREF(bytes);
	return 0;
}

/* Append the text that "python3" would print. 0, or -1 with an exception. */
static int
put_traceback(struct buf *b, PyObject *exc)
{
	PyObject *mod = NULL, *lines = NULL, *sep = NULL, *text = NULL;
	int rv = -1;

	if ((mod = PyImport_ImportModule("traceback")) == NULL)
		goto out;
	lines = PyObject_CallMethod(mod, "format_exception", "O", exc);
	if (lines == NULL)
		goto out;
	if ((sep = PyUnicode_FromString("")) == NULL)
		goto out;
	if ((text = PyUnicode_Join(sep, lines)) == NULL)
		goto out;
	rv = put_str(b, text);
out:
	Py_XDECREF(mod);
	Py_XDECREF(lines);
	Py_XDECREF(sep);
	Py_XDECREF(text);
	return rv;
}

/* "ValueError" or "module.Class". */
static void
put_type(struct buf *b, PyObject *exc)
{
	PyObject *module, *name;

	module = PyObject_GetAttrString((PyObject *)Py_TYPE(exc),
	    "__module__");
	name = PyType_GetQualName(Py_TYPE(exc));
	if (module != NULL && PyUnicode_Check(module) &&
	    PyUnicode_CompareWithASCIIString(module, "builtins") != 0 &&
	    PyUnicode_CompareWithASCIIString(module, "__main__") != 0 &&
	    put_str(b, module) == 0)
		buf_putc(b, '.');
	if (name == NULL || put_str(b, name) == -1)
		buf_puts(b, Py_TYPE(exc)->tp_name);
	Py_XDECREF(module);
	Py_XDECREF(name);
	PyErr_Clear();
}

void
error_line_of(PyObject *exc, struct buf *b)
{
	PyObject *pending = error_take();
	PyObject *text;
	size_t start;

	put_type(b, exc);
	text = PyObject_Str(exc);
	if (text == NULL)
		buf_puts(b, ": <exception str() failed>");
	else if (PyUnicode_GET_LENGTH(text) > 0) {
		buf_puts(b, ": ");
		start = b->len;
		if (put_str(b, text) == -1)
			buf_puts(b, "<no memory>");
		for (size_t i = start; i < b->len; i++)
			if (b->data[i] == '\n' || b->data[i] == '\r')
				b->data[i] = ' ';
	}
	Py_XDECREF(text);
	PyErr_Clear();
	error_restore(pending);
}

void
error_last_line(struct buf *b)
{
	PyObject *exc = error_take();

	if (exc == NULL)
		return;
	error_line_of(exc, b);
	error_restore(exc);
}

static void
log_exception(enum log_level level, PyObject *exc, const char *fmt, va_list ap)
	PRINTF(3, 0);

static void
log_exception(enum log_level level, PyObject *exc, const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;
	char *line;

	if (exc == NULL || !log_enabled(level)) {
		log_vwrite(level, fmt, ap);
		return;
	}
	if (vasprintf(&line, fmt, ap) == -1)
		line = NULL;
	if (put_traceback(&b, exc) == -1) {
		PyErr_Clear();
		buf_reset(&b);
		error_line_of(exc, &b);
	}
	/* traceback ends each line; the log ends ours */
	if (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (b.failed)
		log_write(level, "%s: no memory for the traceback",
		    Py_TYPE(exc)->tp_name);
	else
		log_write(level, "%s\n%s", line != NULL ? line : "",
		    buf_str(&b));
	free(line);
	buf_fini(&b);
}

void
error_log_exc(enum log_level level, PyObject *exc, const char *fmt, ...)
{
	PyObject *pending = error_take();
	va_list ap;

	va_start(ap, fmt);
	log_exception(level, exc, fmt, ap);
	va_end(ap);
	error_restore(pending);
}

void
error_log(enum log_level level, const char *fmt, ...)
{
	PyObject *exc = error_take();
	va_list ap;

	va_start(ap, fmt);
	log_exception(level, exc, fmt, ap);
	va_end(ap);
	Py_XDECREF(exc);
}

void
error_swallow(const char *where)
{
	PyObject *exc = error_take();
	struct buf b = BUF_INIT;

	if (exc == NULL)
		return;
	if (log_enabled(LOG_L_DEBUG)) {
		error_line_of(exc, &b);
		log_debug("%s: ignored: %s", where, buf_str(&b));
	}
	buf_fini(&b);
	Py_DECREF(exc);
}

bool
error_swallow_type(PyObject *type)
{
	if (!PyErr_Occurred() || !PyErr_ExceptionMatches(type))
		return false;
	PyErr_Clear();
	return true;
}
