/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/message.h"

#include "base/defs.h"
#include "py/names.h"

/* ---- one message -------------------------------------------------------- */

PyObject *
message_get(PyObject *message, PyObject *key)
{
	PyObject *v;

	if (LIKELY(PyDict_CheckExact(message))) {
		v = PyDict_GetItemWithError(message, key);
		return py_ref(v);
	}
	v = PyObject_GetItem(message, key);
	if (v == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
		PyErr_Clear();
	return v;
}

PyObject *
message_type(PyObject *message)
{
	PyObject *type;

	if (UNLIKELY(!PyDict_CheckExact(message)) &&
	    (!PyMapping_Check(message) || PyUnicode_Check(message))) {
		PyErr_Format(PyExc_TypeError, "An ASGI message is a dict, "
		    "got %.100s.", Py_TYPE(message)->tp_name);
		return NULL;
	}
	type = message_get(message, names.type);
	if (type == NULL && !PyErr_Occurred())
		PyErr_SetString(PyExc_RuntimeError,
		    "The ASGI message has no 'type'.");
	if (type != NULL && !PyUnicode_Check(type)) {
		PyErr_Format(PyExc_TypeError, "The type of an ASGI message "
		    "is a str, got %.100s.", Py_TYPE(type)->tp_name);
		py_drop(&type);
	}
	return type;
}

static void
release_object(void *o)
{
	Py_DECREF((PyObject *)o);
}

/* ---- http.response.start ------------------------------------------------ */

/* Can it be read without running anything? */
static bool
is_plain(PyObject *pair)
{
	PyObject *const *items;

	if ((!PyTuple_CheckExact(pair) && !PyList_CheckExact(pair)) ||
	    PySequence_Fast_GET_SIZE(pair) != 2)
		return false;
	items = PySequence_Fast_ITEMS(pair);
	return PyBytes_CheckExact(items[0]) && PyBytes_CheckExact(items[1]);
}

static bool
all_plain(PyObject *headers)
{
	Py_ssize_t i, n;

	if (!PyList_CheckExact(headers) && !PyTuple_CheckExact(headers))
		return false;
	n = PySequence_Fast_GET_SIZE(headers);
	for (i = 0; i < n; i++)
		if (!is_plain(PySequence_Fast_GET_ITEM(headers, i)))
			return false;
	return true;
}

/* New reference to bytes proper. */
static PyObject *
plain_bytes(PyObject *o)
{
	if (PyBytes_Check(o) || PyByteArray_Check(o) || PyMemoryView_Check(o))
		return PyBytes_FromObject(o);
	PyErr_Format(PyExc_TypeError, "header names and values must be bytes, "
	    "bytearray or memoryview, not %s", Py_TYPE(o)->tp_name);
	return NULL;
}

/* New reference to (name, value). */
static PyObject *
plain_pair(PyObject *item)
{
	static const char expected[] =
	    "a header must be a sequence of name and value";
	PyObject *pair = PySequence_Fast(item, expected);
	PyObject *name, *value = NULL, *plain = NULL;

	/* a tuple: what is converted first may change a list */
	if (pair != NULL)
		py_set(&pair, PySequence_Tuple(pair));
	if (pair == NULL)
		return NULL;
	if (PyTuple_GET_SIZE(pair) != 2) {
		PyErr_SetString(PyExc_ValueError, expected);
		Py_DECREF(pair);
		return NULL;
	}
	name = plain_bytes(PyTuple_GET_ITEM(pair, 0));
	if (name != NULL)
		value = plain_bytes(PyTuple_GET_ITEM(pair, 1));
	if (value != NULL)
		plain = PyTuple_Pack(2, name, value);
	Py_XDECREF(name);
	Py_XDECREF(value);
	Py_DECREF(pair);
	return plain;
}

/* New reference to a list of such pairs. */
static PyObject *
plain_headers(PyObject *headers)
{
	PyObject *it = PyObject_GetIter(headers), *list, *item, *pair;
	int rc = 0;

	if (it == NULL || (list = PyList_New(0)) == NULL) {
		Py_XDECREF(it);
		return NULL;
	}
	while (rc == 0 && (item = PyIter_Next(it)) != NULL) {
		pair = plain_pair(item);
		Py_DECREF(item);
		rc = pair != NULL ? PyList_Append(list, pair) : -1;
		Py_XDECREF(pair);
	}
	Py_DECREF(it);
	if (PyErr_Occurred())
		py_drop(&list);
	return list;
}

/* 1xx is no final response; 1xx messages have extensions of their own. */
static int
read_status(PyObject *message, unsigned *status)
{
	PyObject *v = message_get(message, names.status);
	long n = -1;

	if (v != NULL && PyLong_Check(v))
		n = PyLong_AsLong(v);
	if (v == NULL && PyErr_Occurred())
		return -1;
	PyErr_Clear();		/* an int too large */
	if (n < 200 || n > 599) {
		if (v == NULL)
			PyErr_SetString(PyExc_RuntimeError,
			    "http.response.start without status");
		else
			PyErr_Format(PyExc_RuntimeError, "Invalid HTTP status "
			    "code %R: an int of 200 to 599 is expected.", v);
		Py_XDECREF(v);
		return -1;
	}
	Py_DECREF(v);
	*status = (unsigned)n;
	return 0;
}

static int
read_start(PyObject *message, struct message *m)
{
	PyObject *headers;

	if (read_status(message, &m->status) == -1)
		return -1;
	headers = message_get(message, names.headers);
	if (headers == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (!all_plain(headers))
		py_set(&headers, plain_headers(headers));
	m->headers = headers;
	return headers != NULL ? 0 : -1;
}

/* ---- http.response.body ------------------------------------------------- */

/* Bytes are kept by reference; what may change is copied. */
static int
read_data(PyObject *message, struct http_data *d)
{
	PyObject *body = message_get(message, names.body);

	if (body == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (body != Py_None && !PyBytes_CheckExact(body)) {
		if (!PyObject_CheckBuffer(body)) {
			PyErr_Format(PyExc_TypeError, "body must be bytes, "
			    "bytearray or memoryview, not %s",
			    Py_TYPE(body)->tp_name);
			Py_DECREF(body);
			return -1;
		}
		py_set(&body, PyBytes_FromObject(body));
		if (body == NULL)
			return -1;
	}
	if (body == Py_None || PyBytes_GET_SIZE(body) == 0) {
		Py_DECREF(body);
		return 0;
	}
	d->p = PyBytes_AS_STRING(body);
	d->n = (size_t)PyBytes_GET_SIZE(body);
	d->owner = body;		/* transfers ownership */
	d->release = release_object;
	return 0;
}

static int
read_body(PyObject *message, struct message *m)
{
	PyObject *v = message_get(message, names.more_body);
	int more = v != NULL ? PyObject_IsTrue(v) : 0;

	Py_XDECREF(v);
	if (more == -1 || PyErr_Occurred())
		return -1;
	m->more = more;
	return read_data(message, &m->body);
}

/* ---- whole ones --------------------------------------------------------- */

static bool
is_same(PyObject *a, PyObject *b)
{
	return PyUnicode_GET_LENGTH(a) == PyUnicode_GET_LENGTH(b) &&
	    PyUnicode_Compare(a, b) == 0;
}

int
message_begin(struct message *m, PyObject *message)
{
	*m = (struct message){ .kind = MESSAGE_UNKNOWN, .body = { .p = "" } };
	if ((m->type = message_type(message)) == NULL)
		return -1;
	if (is_same(m->type, names.http_response_start))
		m->kind = MESSAGE_START;
	else if (is_same(m->type, names.http_response_body))
		m->kind = MESSAGE_BODY;
	return 0;
}

int
message_read(struct message *m, PyObject *message)
{
	switch (m->kind) {
	case MESSAGE_START:
		return read_start(message, m);
	case MESSAGE_BODY:
		return read_body(message, m);
	default:
		return 0;
	}
}

void
message_end(struct message *m)
{
	py_drop(&m->type);
	py_drop(&m->headers);
	if (m->body.release != NULL)
		m->body.release(m->body.owner);
}
