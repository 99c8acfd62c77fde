/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The messages of receive() and send(): built and checked here only.
 */
#include "py/py.h"
#include "app/cycle.h"

#include <string.h>

#include "base/defs.h"
#include "base/log.h"
#include "py/names.h"

static struct {
	PyObject	*empty;			/* b"" */
	PyObject	*disconnected;		/* exception type */
} self;

PyObject *
message_disconnected(void)
{
	return self.disconnected;
}

int
message_init(void)
{
	self.empty = PyBytes_FromStringAndSize(NULL, 0);
	self.disconnected = PyErr_NewExceptionWithDoc(
	    "asgid.ClientDisconnected",
	    "send() was called after the client had gone.",
	    PyExc_OSError, NULL);
	return self.empty != NULL && self.disconnected != NULL ? 0 : -1;
}

/* ---- to the application ------------------------------------------------- */

static PyObject *
disconnect_message(void)
{
	PyObject *d = PyDict_New();

	if (d != NULL &&
	    PyDict_SetItem(d, names.type, names.http_disconnect) == -1)
		py_drop(&d);
	return d;
}

static PyObject *
request_message(PyObject *body, bool more)
{
	PyObject *d = PyDict_New();

	if (d != NULL && (PyDict_SetItem(d, names.type,
	    names.http_request) == -1 ||
	    PyDict_SetItem(d, names.body, body) == -1 ||
	    PyDict_SetItem(d, names.more_body,
	    more ? Py_True : Py_False) == -1))
		py_drop(&d);
	return d;
}

/* What has arrived of the body, all of it. */
static PyObject *
body_message(struct cycle *c)
{
	struct http_req *req = c->req;
	bool more = !req->body_done;
	PyObject *body, *d;

	if (req->body.len > 0)
		body = PyBytes_FromStringAndSize(req->body.data,
		    (Py_ssize_t)req->body.len);
	else
		body = py_ref(self.empty);
	if (body == NULL)
		return NULL;
	d = request_message(body, more);
	Py_DECREF(body);
	if (d == NULL)
		return NULL;
	buf_reset(&req->body);
	c->body_ended = !more;
	if (more)
		http_want_body(req);
	return d;
}

PyObject *
message_receive(struct cycle *c)
{
	struct http_req *req = c->req;

	if (req == NULL || c->state == CYCLE_COMPLETE)
		return disconnect_message();
	if (!c->body_ended && (req->body_done || req->body.len > 0))
		return body_message(c);
	if (req->gone || c->ending) {
		c->told_gone = true;
		return disconnect_message();
	}
	if (!c->body_ended)
		http_want_body(req);
	return NULL;
}

/* ---- from the application: helpers -------------------------------------- */

/* New reference to message[key], NULL without an exception if
 * it is missing, with one if the message cannot be asked. */
static PyObject *
get(PyObject *message, PyObject *key)
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

static int
raise_disconnected(struct cycle *c)
{
	if (!c->gone)
		log_debug("client has gone: send() raises OSError");
	c->gone = true;
	PyErr_SetString(self.disconnected, "the client has disconnected");
	return -1;
}

static int
expected(const char *type, PyObject *got)
{
	PyErr_Format(PyExc_RuntimeError,
	    "Expected ASGI message '%s', but got '%U'.", type, got);
	return -1;
}

/* ---- http.response.start ------------------------------------------------ */

static int
bad_header(enum http_head_error error, PyObject *name)
{
	static const char *const texts[] = {
		[HTTP_HEAD_NAME] = "Invalid HTTP header name %R.",
		[HTTP_HEAD_VALUE] = "Invalid HTTP header value of %R.",
		[HTTP_HEAD_LENGTH] = "Invalid or contradicting %R.",
	};

	PyErr_Format(PyExc_RuntimeError, texts[error], name);
	return -1;
}

static int
add_header(struct cycle *c, PyObject *item)
{
	PyObject *pair, *name, *value;
	enum http_head_error error;
	int rc = -1;

	pair = PySequence_Fast(item,
	    "a header must be a sequence of name and value");
	if (pair == NULL)
		return -1;
	if (PySequence_Fast_GET_SIZE(pair) != 2) {
		PyErr_SetString(PyExc_ValueError,
		    "a header must be a sequence of name and value");
		goto out;
	}
	name = PySequence_Fast_GET_ITEM(pair, 0);	/* borrowed */
	value = PySequence_Fast_GET_ITEM(pair, 1);	/* borrowed */
	if (!PyBytes_Check(name) || !PyBytes_Check(value)) {
		PyErr_Format(PyExc_TypeError, "header names and values must "
		    "be bytes, not %s and %s", Py_TYPE(name)->tp_name,
		    Py_TYPE(value)->tp_name);
		goto out;
	}
	error = http_head_add(&c->head, PyBytes_AS_STRING(name),
	    (size_t)PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value),
	    (size_t)PyBytes_GET_SIZE(value));
	rc = error == HTTP_HEAD_OK ? 0 : bad_header(error, name);
out:
	Py_DECREF(pair);
	return rc;
}

static int
add_headers(struct cycle *c, PyObject *message)
{
	PyObject *headers = get(message, names.headers), *it, *item;
	Py_ssize_t i;
	int rc = 0;

	if (headers == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (PyList_CheckExact(headers)) {
		for (i = 0; rc == 0 && i < PyList_GET_SIZE(headers); i++) {
			/* iterating it may run code that changes the list */
			item = py_ref(PyList_GET_ITEM(headers, i));
			rc = add_header(c, item);
			Py_DECREF(item);
		}
		Py_DECREF(headers);
		return rc;
	}
	it = PyObject_GetIter(headers);
	Py_DECREF(headers);
	if (it == NULL)
		return -1;
	while (rc == 0 && (item = PyIter_Next(it)) != NULL) {
		rc = add_header(c, item);
		Py_DECREF(item);
	}
	Py_DECREF(it);
	return rc == -1 || PyErr_Occurred() ? -1 : 0;
}

/* 1xx is no final response; 1xx messages have extensions of their own. */
static int
status_of(PyObject *message, unsigned *status)
{
	PyObject *v = get(message, names.status);
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
take_start(struct cycle *c, PyObject *message)
{
	unsigned status;

	if (status_of(message, &status) == -1)
		return -1;
	http_head_reset(&c->head, status);
	if (add_headers(c, message) == -1)
		return -1;
	if (c->head.text.failed) {
		PyErr_NoMemory();
		return -1;
	}
	c->head_only = status == 204 || status == 304 ||
	    str_eq(c->req->method, STR("HEAD"));
	c->left = c->head_only ? -1 : c->head.length;
	c->state = CYCLE_STARTED;
	return 0;
}

/* ---- http.response.body ------------------------------------------------- */

static void
release_object(void *o)
{
	Py_DECREF((PyObject *)o);
}

/* Bytes are kept by reference; what may change is copied. */
static int
data_of(PyObject *message, struct http_data *d)
{
	PyObject *body = get(message, names.body);

	*d = (struct http_data){ .p = "" };
	if (body == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (!PyBytes_CheckExact(body)) {
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
	if (PyBytes_GET_SIZE(body) == 0) {
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
more_of(PyObject *message)
{
	PyObject *v = get(message, names.more_body);
	int more;

	if (v == NULL)
		return PyErr_Occurred() ? -1 : 0;
	more = PyObject_IsTrue(v);
	Py_DECREF(v);
	return more;
}

/*
 * Keep to what Content-Length promised.  Too long: what was promised is sent,
 * too short: what there is; both times the connection ends, so that the
 * client can tell, and the application is told.
 */
static const char *
measure(struct cycle *c, struct http_data *d, bool more)
{
	if (c->left == -1)
		return NULL;
	if ((int64_t)d->n > c->left) {
		d->n = (size_t)c->left;
		c->left = 0;
		return "Response content longer than Content-Length";
	}
	c->left -= (int64_t)d->n;
	return !more && c->left > 0 ?
	    "Response content shorter than Content-Length" : NULL;
}

static int
stream(struct cycle *c, struct http_data d, bool end)
{
	int rc;

	if (c->state == CYCLE_STARTED && http_start(c->req, &c->head) == -1) {
		if (d.release != NULL)
			d.release(d.owner);
		return -1;
	}
	if (c->state == CYCLE_STARTED) {
		c->state = CYCLE_STREAMING;
		cycle_on_stream(c);
	}
	rc = http_send(c->req, d);
	if (end && rc != -1 && c->req != NULL)
		http_end(c->req);
	return rc;
}

/* What the exchange needs no more: the client has all that was promised. */
static int
after_done(struct cycle *c, struct http_data d, bool more)
{
	if (d.release != NULL)
		d.release(d.owner);
	if (c->gone || c->state != CYCLE_STREAMING)
		return raise_disconnected(c);
	if (!more)
		c->state = CYCLE_COMPLETE;
	return 0;
}

static int
take_body(struct cycle *c, PyObject *message)
{
	int more = more_of(message), rc;
	struct http_data d;
	const char *wrong;

	if (more == -1 || data_of(message, &d) == -1)
		return -1;
	if (c->req == NULL)
		return after_done(c, d, more);
	wrong = measure(c, &d, more);
	if (wrong != NULL)
		c->head.close = true;
	if (c->state == CYCLE_STARTED && !more && (c->left <= 0 ||
	    c->head_only))
		rc = http_reply(c->req, &c->head, d);
	else
		rc = stream(c, d, !more || wrong != NULL);
	if (rc == -1)
		return raise_disconnected(c);
	if (!more || wrong != NULL) {
		c->state = CYCLE_COMPLETE;
		port_wake(c, true);
	}
	if (wrong == NULL)
		return rc;
	if (c->req != NULL)
		http_close_after(c->req);
	PyErr_SetString(PyExc_RuntimeError, wrong);
	return -1;
}

/* ---- send() ------------------------------------------------------------- */

int
message_send(struct cycle *c, PyObject *message)
{
	PyObject *type = get(message, names.type);
	bool start, body;
	int rc;

	if (type == NULL) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_RuntimeError,
			    "an ASGI message without type was sent");
		return -1;
	}
	if (!PyUnicode_Check(type)) {
		PyErr_SetString(PyExc_TypeError, "type must be a str");
		Py_DECREF(type);
		return -1;
	}
	start = PyUnicode_Compare(type, names.http_response_start) == 0;
	body = !start &&
	    PyUnicode_Compare(type, names.http_response_body) == 0;
	/* who was told must know; others may answer a half-closed client */
	if (c->told_gone || (c->req == NULL && c->state < CYCLE_STREAMING))
		rc = raise_disconnected(c);
	else if (c->state == CYCLE_COMPLETE) {
		PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message "
		    "'%U' sent, after response already completed.", type);
		rc = -1;
	} else if (c->state == CYCLE_EMPTY)
		rc = start ? take_start(c, message) :
		    expected("http.response.start", type);
	else
		rc = body ? take_body(c, message) :
		    expected("http.response.body", type);
	Py_DECREF(type);
	return rc;
}

void
message_error(struct cycle *c, unsigned status, const char *text)
{
	struct http_data d = { .p = text, .n = strlen(text) };

	if (c->req == NULL || c->state > CYCLE_STARTED)
		return;
	http_head_reset(&c->head, status);
	http_head_add(&c->head, "content-type", 12,
	    "text/plain; charset=utf-8", 25);
	c->head.close = true;
	c->state = CYCLE_COMPLETE;
	http_reply(c->req, &c->head, d);
}
