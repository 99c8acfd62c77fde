/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an application's messages do to its response, step by step.
 */
#include "py/py.h"
#include "app/response.h"

#include <string.h>

#include "app/message.h"
#include "base/defs.h"
#include "base/log.h"

static struct {
	PyObject	*disconnected;		/* exception type */
	bool		 ignores_lost;
} self;

PyObject *
response_disconnected(void)
{
	return self.disconnected;
}

int
response_init(const struct conf *conf)
{
	self.ignores_lost =
	    conf->application_send_after_disconnect == CONF_LOST_IGNORE;
	self.disconnected = PyErr_NewExceptionWithDoc(
	    "asgid.ClientDisconnected",
	    "send() was called after the client had gone.",
	    PyExc_OSError, NULL);
	return self.disconnected != NULL ? 0 : -1;
}

/* ---- messages that are refused ------------------------------------------ */

/* The client is gone. 0: the application shall not know; or -1. */
static int
refuse_lost(struct cycle *c, const struct message *m)
{
	c->gone = true;
	if (self.ignores_lost)
		return 0;
	if (c->refused_status == 0) {
		c->refused_status = m->kind == MESSAGE_START ? m->status :
		    c->head.status;
		log_debug("client has gone: send() raises OSError");
	}
	PyErr_SetString(self.disconnected, "the client has disconnected");
	return -1;
}

static int
refuse_kind(const char *expected, const struct message *m)
{
	PyErr_Format(PyExc_RuntimeError,
	    "Expected ASGI message '%s', but got '%U'.", expected, m->type);
	return -1;
}

/* May a message of this kind come now? 0; or -1. */
static int
check_kind(const struct cycle *c, const struct message *m)
{
	if (c->state == CYCLE_COMPLETE) {
		PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message "
		    "'%U' sent, after response already completed.", m->type);
		return -1;
	}
	if (c->state == CYCLE_EMPTY && m->kind != MESSAGE_START)
		return refuse_kind("http.response.start", m);
	if (c->state != CYCLE_EMPTY && m->kind != MESSAGE_BODY)
		return refuse_kind("http.response.body", m);
	return 0;
}

/* Who was told must know; others may answer a half-closed client. */
static bool
is_lost(const struct cycle *c)
{
	return c->told_gone || (c->req == NULL && c->state < CYCLE_STREAMING);
}

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

/* ---- http.response.start ------------------------------------------------ */

/* Headers are plain: nothing of the application's runs. */
static int
add_headers(struct cycle *c, PyObject *headers)
{
	Py_ssize_t i, n = PySequence_Fast_GET_SIZE(headers);
	PyObject *const *pair;		/* borrowed, like its items */
	enum http_head_error error;

	for (i = 0; i < n; i++) {
		pair = PySequence_Fast_ITEMS(
		    PySequence_Fast_GET_ITEM(headers, i));
		error = http_head_add(&c->head, PyBytes_AS_STRING(pair[0]),
		    (size_t)PyBytes_GET_SIZE(pair[0]),
		    PyBytes_AS_STRING(pair[1]),
		    (size_t)PyBytes_GET_SIZE(pair[1]));
		if (error != HTTP_HEAD_OK)
			return bad_header(error, pair[0]);
	}
	if (c->head.text.failed) {
		PyErr_NoMemory();
		return -1;
	}
	return 0;
}

/* The head goes out, now or with the first octets of the body. 0, or -1
 * without an exception: the client is gone. */
static int
begin_stream(struct cycle *c)
{
	if (http_start(c->req, &c->head) == -1)
		return -1;
	c->state = CYCLE_STREAMING;
	cycle_on_stream(c);
	return 0;
}

static int
take_start(struct cycle *c, struct message *m)
{
	http_head_reset(&c->head, m->status);
	if (m->headers != NULL && add_headers(c, m->headers) == -1)
		return -1;
	c->head_only = m->status == 204 || m->status == 304 ||
	    str_eq(c->req->method, STR("HEAD"));
	c->left = c->head_only ? -1 : c->head.length;
	c->state = CYCLE_STARTED;
	/* its client waits for the head: the first event may be hours away */
	if (!c->head_only && cycle_is_event_stream(c) && begin_stream(c) == -1)
		return refuse_lost(c, m);
	return 0;
}

/* ---- http.response.body ------------------------------------------------- */

/*
 * Keep to what Content-Length promised.  Too long: what was promised is sent,
 * too short: what there is; both times the connection ends, so that the
 * client can tell, and the application is told.
 */
static const char *
measure(struct cycle *c, struct message *m)
{
	if (c->left == -1)
		return NULL;
	if ((int64_t)m->body.n > c->left) {
		m->body.n = (size_t)c->left;
		c->left = 0;
		return "Response content longer than Content-Length";
	}
	c->left -= (int64_t)m->body.n;
	return !m->more && c->left > 0 ?
	    "Response content shorter than Content-Length" : NULL;
}

/* The front takes the data over. */
static struct http_data
hand_over(struct message *m)
{
	struct http_data d = m->body;

	m->body.release = NULL;
	return d;
}

static int
stream(struct cycle *c, struct message *m, bool end)
{
	int rc;

	if (c->state == CYCLE_STARTED && begin_stream(c) == -1)
		return -1;
	/* waking who receives may have run anything */
	if (c->req == NULL || c->state != CYCLE_STREAMING)
		return -1;
	rc = http_send(c->req, hand_over(m));
	if (end && rc != -1 && c->req != NULL)
		http_end(c->req);
	return rc;
}

/* What the exchange needs no more: the client has all that was promised. */
static int
after_done(struct cycle *c, const struct message *m)
{
	if (c->gone || c->state != CYCLE_STREAMING)
		return refuse_lost(c, m);
	if (!m->more)
		c->state = CYCLE_COMPLETE;
	return 0;
}

static int
take_body(struct cycle *c, struct message *m)
{
	const char *wrong;
	int rc;

	if (c->req == NULL)
		return after_done(c, m);
	wrong = measure(c, m);
	if (wrong != NULL)
		c->head.close = true;
	if (c->state == CYCLE_STARTED && !m->more && (c->left <= 0 ||
	    c->head_only))
		rc = http_reply(c->req, &c->head, hand_over(m));
	else
		rc = stream(c, m, !m->more || wrong != NULL);
	if (rc == -1)
		return refuse_lost(c, m);
	if (!m->more || wrong != NULL) {
		c->state = CYCLE_COMPLETE;
		port_wake(&c->port.receivers);
	}
	if (wrong == NULL)
		return 0;
	if (c->req != NULL)
		http_close_after(c->req);
	PyErr_SetString(PyExc_RuntimeError, wrong);
	return -1;
}

/* ---- send() ------------------------------------------------------------- */

/* 1: go on; 0: it is lost and nobody wants to know; -1. */
static int
check_state(struct cycle *c, const struct message *m)
{
	if (is_lost(c))
		return refuse_lost(c, m);
	return check_kind(c, m) == -1 ? -1 : 1;
}

int
response_send(struct cycle *c, PyObject *message)
{
	struct message m;
	int rc = message_begin(&m, message);

	/* an iterator of headers is not begun in vain */
	if (rc == 0 && !is_lost(c))
		rc = check_kind(c, &m);
	if (rc == 0)
		rc = message_read(&m, message);
	if (rc == 0 && (rc = check_state(c, &m)) == 1)
		rc = m.kind == MESSAGE_START ? take_start(c, &m) :
		    take_body(c, &m);
	message_end(&m);
	return rc;
}

void
response_error(struct cycle *c, unsigned status, const char *text)
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
