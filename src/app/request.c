/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The events of an HTTP request: its body, and http.disconnect.
 */
#include "py/py.h"
#include "app/request.h"

#include "py/names.h"

static PyObject *empty;			/* b"" */

int
request_init(void)
{
	empty = PyBytes_FromStringAndSize(NULL, 0);
	return empty != NULL ? 0 : -1;
}

enum event { EVENT_NONE, EVENT_BODY, EVENT_DISCONNECT };

static enum event
next_event(const struct cycle *c)
{
	const struct http_req *req = c->req;

	if (req == NULL || c->state == CYCLE_COMPLETE)
		return EVENT_DISCONNECT;
	if (!c->body_ended && (req->body_done || req->body.len > 0))
		return EVENT_BODY;
	return req->gone || c->ending ? EVENT_DISCONNECT : EVENT_NONE;
}

static int
put_disconnect(struct cycle *c, PyObject *d)
{
	if (c->req != NULL && c->state != CYCLE_COMPLETE)
		c->told_gone = true;
	return PyDict_SetItem(d, names.type, names.http_disconnect);
}

/* What has arrived of the body, all of it. */
static int
put_body(struct cycle *c, PyObject *d)
{
	struct http_req *req = c->req;
	bool more = !req->body_done;
	PyObject *body = req->body.len == 0 ? py_ref(empty) :
	    PyBytes_FromStringAndSize(req->body.data,
	    (Py_ssize_t)req->body.len);
	int rc = -1;

	if (body != NULL && PyDict_SetItem(d, names.type,
	    names.http_request) == 0 &&
	    PyDict_SetItem(d, names.body, body) == 0 &&
	    PyDict_SetItem(d, names.more_body, more ? Py_True : Py_False) == 0)
		rc = 0;
	Py_XDECREF(body);
	if (rc == -1)
		return -1;
	buf_reset(&req->body);
	c->body_ended = !more;
	if (more)
		http_want_body(req);
	return 0;
}

PyObject *
request_receive(struct cycle *c)
{
	PyObject *d = NULL;
	enum event event;

	if (next_event(c) != EVENT_NONE) {
		/* may collect garbage, which may run anything */
		if ((d = PyDict_New()) == NULL)
			return NULL;
	}
	event = next_event(c);
	if (event == EVENT_NONE) {
		if (!c->body_ended)
			http_want_body(c->req);
		py_drop(&d);
	} else if (d != NULL && (event == EVENT_BODY ? put_body :
	    put_disconnect)(c, d) == -1)
		py_drop(&d);
	return d;
}
