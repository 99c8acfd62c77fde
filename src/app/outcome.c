/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How an application ends: what its client is still told, and what the log.
 */
#include "py/py.h"
#include "app/cycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/response.h"
#include "base/defs.h"
#include "base/log.h"
#include "py/error.h"
#include "stats/stats.h"

/* So many exceptions of a chain are looked at. */
#define CHAIN_MAX	64

static PyObject *cancelled_error;	/* asyncio.CancelledError */

static void
describe(const struct cycle *c, char text[HTTP_DESCRIBE_MAX])
{
	if (c->req != NULL)
		http_describe(c->req, text);
	else
		snprintf(text, HTTP_DESCRIBE_MAX, "%s", c->who != NULL ?
		    c->who : "a request that is over");
}

void
outcome_remember(struct cycle *c)
{
	char text[HTTP_DESCRIBE_MAX];

	http_describe(c->req, text);
	free(c->who);
	c->who = strdup(text);	/* NULL: describe() says less */
}

void
outcome_settle(struct cycle *c, unsigned status, const char *text)
{
	if (c->req == NULL || c->state == CYCLE_COMPLETE)
		return;
	if (c->state == CYCLE_STREAMING && c->ending && c->left < 0)
		http_end(c->req);
	else if (c->state == CYCLE_STREAMING || c->told_gone)
		http_abort(c->req);
	else
		response_error(c, status, text);
}

/* ---- whose fault -------------------------------------------------------- */

/* The exceptions by which frameworks say that a client has left. */
static const struct {
	const char	*module, *name;
} disconnects[] = {
	{ "starlette.requests", "ClientDisconnect" },
	{ "starlette.websockets", "WebSocketDisconnect" },
	{ "starlette.websockets", "WebSocketDisconnected" },
	{ "django.core.exceptions", "RequestAborted" },
	{ "litestar.exceptions.websocket_exceptions", "WebSocketDisconnect" },
};

static bool
is_of_module(PyObject *exc, const char *module)
{
	PyObject *of = PyObject_GetAttrString((PyObject *)Py_TYPE(exc),
	    "__module__");
	bool yes = of != NULL && PyUnicode_Check(of) &&
	    PyUnicode_CompareWithASCIIString(of, module) == 0;

	Py_XDECREF(of);
	PyErr_Clear();
	return yes;
}

static bool
is_disconnect(PyObject *exc)
{
	size_t i;

	if (PyObject_TypeCheck(exc,
	    (PyTypeObject *)response_disconnected()))
		return true;
	for (i = 0; i < countof(disconnects); i++)
		if (strcmp(Py_TYPE(exc)->tp_name, disconnects[i].name) == 0 &&
		    is_of_module(exc, disconnects[i].module))
			return true;
	return false;
}

/* The members of a group: new reference to a tuple, or NULL. */
static PyObject *
members_of(PyObject *exc)
{
	PyObject *members = NULL;

	if (PyObject_TypeCheck(exc,
	    (PyTypeObject *)PyExc_BaseExceptionGroup))
		members = PyObject_GetAttrString(exc, "exceptions");
	PyErr_Clear();
	if (members != NULL && !PyTuple_Check(members))
		Py_CLEAR(members);
	return members;
}

/* What was being handled, or named as the cause: new reference, or NULL. */
static PyObject *
reason_of(PyObject *exc)
{
	PyObject *reason = PyException_GetCause(exc);

	return reason != NULL ? reason : PyException_GetContext(exc);
}

/* What is to be looked at, each once: owned references. Chains may branch,
 * and come back to where they were. */
struct search {
	PyObject	*at[CHAIN_MAX];
	size_t		 n, next;
};

/* Steals exc. */
static void
search_add(struct search *s, PyObject *exc)
{
	size_t i;

	for (i = 0; i < s->n && s->at[i] != exc; i++)
		;
	if (i < s->n || s->n == CHAIN_MAX)
		Py_DECREF(exc);
	else
		s->at[s->n++] = exc;
}

/*
 * The application's own error behind `exc`, a new reference; NULL: there is
 * only the lost client.  A group is what its members are.  Who answers an
 * error by a 5xx, and cannot since the client has left, raises our exception
 * while it handles that error (`answers_error`): then it is that error.
 */
static PyObject *
own_error(PyObject *exc, bool answers_error)
{
	struct search s = { .n = 0 };
	PyObject *at, *members, *reason, *found = NULL;
	Py_ssize_t i;

	search_add(&s, py_ref(exc));
	while (found == NULL && s.next < s.n) {
		at = s.at[s.next++];
		members = members_of(at);
		if (members != NULL)
			for (i = 0; i < PyTuple_GET_SIZE(members); i++)
				search_add(&s, py_ref(PyTuple_GET_ITEM(members,
				    i)));
		else if (!is_disconnect(at))
			found = py_ref(at);
		else if (answers_error && (reason = reason_of(at)) != NULL)
			search_add(&s, reason);
		Py_XDECREF(members);
	}
	/* too many to look at: rather seen once too often than never */
	if (found == NULL && s.n == CHAIN_MAX)
		found = py_ref(exc);
	while (s.n > 0)
		Py_DECREF(s.at[--s.n]);
	return found;
}

/* ---- after its client has left ------------------------------------------ */

/* Nobody waits for the answer: one line, unless there is nothing to mend. */
static void
log_late(PyObject *exc, const struct cycle *c, const char *who)
{
	PyObject *error = own_error(exc, c->refused_status >= 500);
	struct buf line = BUF_INIT;

	if (error == NULL) {
		log_debug("application ended by a lost client: %s", who);
		return;
	}
	STAT_ADD(errors_application, 1);
	error_line_of(error, &line);
	log_warn("%s: raised after the client had left: %s", buf_str(&line),
	    who);
	if (log_enabled(LOG_L_DEBUG))
		error_log_exc(LOG_L_DEBUG, exc, "its traceback:");
	buf_fini(&line);
	Py_DECREF(error);
}

int
outcome_failed(struct cycle *c)
{
	PyObject *exc = error_take();
	bool lost = c->gone || c->told_gone;
	bool cancelled = PyObject_TypeCheck(exc,
	    (PyTypeObject *)cancelled_error);
	char who[HTTP_DESCRIBE_MAX];

	describe(c, who);
	if (cancelled && (c->cancelled || lost))
		log_info("cancelled: %s", who);
	else if (lost)
		log_late(exc, c, who);
	else {
		STAT_ADD(errors_application, 1);
		error_log_exc(LOG_L_ERROR, exc,
		    "Exception in ASGI application: %s", who);
	}
	if (c->cancelled)
		outcome_settle(c, 503, "Service Unavailable");
	else
		outcome_settle(c, 500, "Internal Server Error");
	if (cancelled) {
		error_restore(exc);
		return -1;
	}
	Py_DECREF(exc);
	return 0;
}

/* ---- returned ----------------------------------------------------------- */

static void
log_returned(PyObject *value, const char *who)
{
	PyObject *text = PyObject_Repr(value);
	const char *p = text != NULL ? PyUnicode_AsUTF8(text) : NULL;

	PyErr_Clear();
	log_err("ASGI callable should return None, but returned %.200s: %s",
	    p != NULL ? p : Py_TYPE(value)->tp_name, who);
	Py_XDECREF(text);
}

void
outcome_returned(struct cycle *c, PyObject *value)
{
	char who[HTTP_DESCRIBE_MAX];
	bool expected;

	if (UNLIKELY(value != Py_None)) {
		describe(c, who);
		log_returned(value, who);
	}
	Py_DECREF(value);
	if (LIKELY(c->state == CYCLE_COMPLETE || c->req == NULL))
		return;
	expected = c->req->gone || c->ending;
	STAT_ADD(errors_application, expected ? 0 : 1);
	describe(c, who);
	log_write(expected ? LOG_L_DEBUG : LOG_L_ERROR,
	    "ASGI callable returned without %s response: %s",
	    c->state == CYCLE_EMPTY ? "starting" : "completing", who);
	outcome_settle(c, 500, "Internal Server Error");
}

int
outcome_init(void)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");

	if (asyncio == NULL)
		return -1;
	cancelled_error = PyObject_GetAttrString(asyncio, "CancelledError");
	Py_DECREF(asyncio);
	return cancelled_error != NULL ? 0 : -1;
}
