/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/cycle.h"

#include <stdio.h>

#include "app/scope.h"
#include "base/defs.h"
#include "base/log.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/fork.h"
#include "py/names.h"
#include "py/pool.h"

/* An idle free-listed cycle keeps no larger head buffer than this. */
#define HEAD_KEEP	4096
/* How deep a chain of causes is searched. */
#define CHAIN_MAX	16

static struct {
	PyTypeObject	*type;
	PyObject	*aloop;
	PyObject	*cancelled;	/* asyncio.CancelledError */
	PyObject	*throw, *close;	/* names */
	struct pool	 pool;
	struct list	 running;
	unsigned	 nrunning;
	bool		 draining;
	void		(*on_idle)(void *);
	void		*on_idle_arg;
} self = { .pool = POOL_INIT(cycles),
    .running = LIST_INIT(self.running) };

/* ---- making and dropping ------------------------------------------------ */

static struct cycle *
cycle_new(struct http_req *req)
{
	struct cycle *c = (struct cycle *)pool_get(&self.pool, self.type);
	struct buf text;

	if (c == NULL)
		return NULL;
	text = c->head.text;
	c->req = req;
	c->coro = c->task = NULL;
	c->began = req->began;
	list_init(&c->node);
	list_init(&c->waiters);
	c->state = CYCLE_EMPTY;
	http_head_init(&c->head);
	c->head.text = text;
	c->left = -1;
	c->body_ended = c->cancelled = c->head_only = false;
	c->gone = c->told_gone = c->ending = false;
	return c;
}

static void
cycle_dealloc(struct cycle *c)
{
	Py_CLEAR(c->coro);
	Py_CLEAR(c->task);
	if (c->head.text.cap > HEAD_KEEP)
		http_head_fini(&c->head);
	if (pool_put(&self.pool, (PyObject *)c))
		return;
	http_head_fini(&c->head);
	pool_discard((PyObject *)c);
}

static void
set_add(struct cycle *c)
{
	Py_INCREF(c);
	list_append(&self.running, &c->node);
	self.nrunning++;
}

/* The application's coroutine has ended: nothing Python-made is held on. */
static void
set_remove(struct cycle *c)
{
	if (list_empty(&c->node))
		return;
	list_remove(&c->node);
	self.nrunning--;
	STAT_OBSERVE(application, mono_now() - c->began);
	Py_CLEAR(c->coro);
	Py_CLEAR(c->task);
	Py_DECREF(c);
	if (self.nrunning == 0 && self.on_idle != NULL)
		self.on_idle(self.on_idle_arg);
}

/* ---- how the application ends ------------------------------------------- */

static void
describe(const struct cycle *c, char text[HTTP_DESCRIBE_MAX])
{
	if (c->req != NULL)
		http_describe(c->req, text);
	else
		snprintf(text, HTTP_DESCRIBE_MAX, "a request that is over");
}

/* Nothing more will come from it: what can the client still be told? */
static void
settle(struct cycle *c, unsigned status, const char *text)
{
	if (c->req == NULL || c->state == CYCLE_COMPLETE)
		return;
	if (c->state == CYCLE_STREAMING && c->ending && c->left < 0)
		http_end(c->req);
	else if (c->state == CYCLE_STREAMING || c->told_gone)
		http_abort(c->req);
	else
		message_error(c, status, text);
}

static bool
holds_disconnect(PyObject *exc, int depth)
{
	PyObject *members, *next;
	Py_ssize_t i;
	bool found = false;

	if (exc == NULL || exc == Py_None || depth == 0)
		return false;
	if (PyObject_TypeCheck(exc,
	    (PyTypeObject *)message_disconnected()))
		return true;
	members = PyObject_GetAttrString(exc, "exceptions");
	if (members != NULL && PyTuple_Check(members))
		for (i = 0; !found && i < PyTuple_GET_SIZE(members); i++)
			found = holds_disconnect(PyTuple_GET_ITEM(members, i),
			    depth - 1);
	PyErr_Clear();
	Py_XDECREF(members);
	next = PyException_GetCause(exc);
	if (!found)
		found = holds_disconnect(next, depth - 1);
	Py_XDECREF(next);
	next = PyException_GetContext(exc);
	if (!found)
		found = holds_disconnect(next, depth - 1);
	Py_XDECREF(next);
	return found;
}

/*
 * The pending exception is how the application ended.  Consumes it, but for
 * CancelledError: 0, or -1 with that one pending, for the Task to see.
 */
static int
failed(struct cycle *c)
{
	PyObject *exc = error_take();
	bool cancelled = PyObject_TypeCheck(exc,
	    (PyTypeObject *)self.cancelled);
	char who[HTTP_DESCRIBE_MAX];

	describe(c, who);
	if (cancelled && (c->cancelled || c->gone || c->told_gone))
		log_info("cancelled: %s", who);
	else if ((c->gone || c->told_gone) &&
	    holds_disconnect(exc, CHAIN_MAX))
		log_debug("application ended by a lost client: %s", who);
	else {
		STAT_ADD(errors_application, 1);
		error_log_exc(LOG_L_ERROR, exc,
		    "Exception in ASGI application: %s", who);
	}
	if (c->cancelled)
		settle(c, 503, "Service Unavailable");
	else
		settle(c, 500, "Internal Server Error");
	set_remove(c);
	if (cancelled) {
		error_restore(exc);
		return -1;
	}
	Py_DECREF(exc);
	return 0;
}

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

/* It returned `value` (stolen). */
static void
returned(struct cycle *c, PyObject *value)
{
	char who[HTTP_DESCRIBE_MAX];
	bool expected;

	if (UNLIKELY(value != Py_None)) {
		describe(c, who);
		log_returned(value, who);
	}
	Py_DECREF(value);
	if (UNLIKELY(c->state != CYCLE_COMPLETE && c->req != NULL)) {
		expected = c->req->gone || c->ending;
		STAT_ADD(errors_application, expected ? 0 : 1);
		describe(c, who);
		log_write(expected ? LOG_L_DEBUG : LOG_L_ERROR,
		    "ASGI callable returned without %s response: %s",
		    c->state == CYCLE_EMPTY ? "starting" : "completing", who);
		settle(c, 500, "Internal Server Error");
	}
	set_remove(c);
}

/* ---- the coroutine that the Task drives --------------------------------- */

static PySendResult
cycle_send(struct cycle *c, PyObject *arg, PyObject **result)
{
	PySendResult r;

	if (c->coro == NULL) {
		*result = py_ref(Py_None);
		return PYGEN_RETURN;
	}
	Py_INCREF(c);		/* it may drop its last other reference */
	r = PyIter_Send(c->coro, arg, result);
	fork_check(NULL);
	if (r == PYGEN_RETURN) {
		returned(c, *result);
		*result = py_ref(Py_None);
	} else if (r == PYGEN_ERROR && failed(c) == 0) {
		*result = py_ref(Py_None);
		r = PYGEN_RETURN;
	}
	Py_DECREF(c);
	return r;
}

static PyObject *
cycle_send_method(PyObject *c, PyObject *arg)
{
	PyObject *result;
	PySendResult r = cycle_send((struct cycle *)c, arg, &result);

	return py_step(r, result);
}

static PyObject *
cycle_next(PyObject *c)
{
	return cycle_send_method(c, Py_None);
}

static PyObject *
stop_value(void)
{
	PyObject *stop = error_take(), *value = NULL;

	if (stop != NULL)
		value = PyObject_GetAttrString(stop, "value");
	Py_XDECREF(stop);
	PyErr_Clear();
	return value != NULL ? value : py_ref(Py_None);
}

static PyObject *
cycle_throw(PyObject *o, PyObject *args)
{
	struct cycle *c = (struct cycle *)o;
	PyObject *method, *result;

	if (c->coro == NULL) {
		PyErr_SetNone(PyExc_StopIteration);
		return NULL;
	}
	method = PyObject_GetAttr(c->coro, self.throw);
	if (method == NULL)
		return NULL;
	Py_INCREF(c);
	result = PyObject_Call(method, args, NULL);
	fork_check(NULL);
	Py_DECREF(method);
	if (result == NULL) {
		if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
			returned(c, stop_value());
			PyErr_SetNone(PyExc_StopIteration);
		} else if (failed(c) == 0)
			PyErr_SetNone(PyExc_StopIteration);
	}
	Py_DECREF(c);
	return result;
}

static PyObject *
cycle_close(PyObject *o, PyObject *unused UNUSED)
{
	struct cycle *c = (struct cycle *)o;
	PyObject *r;

	if (c->coro == NULL)
		Py_RETURN_NONE;
	Py_INCREF(c);
	r = PyObject_CallMethodNoArgs(c->coro, self.close);
	fork_check(NULL);
	settle(c, 503, "Service Unavailable");
	set_remove(c);
	Py_DECREF(c);
	return r;
}

/* cr_frame, cr_code, ...: for Task.get_stack() and debuggers. */
static PyObject *
cycle_getattr(PyObject *o, PyObject *name)
{
	struct cycle *c = (struct cycle *)o;
	PyObject *v = PyObject_GenericGetAttr(o, name);

	if (v != NULL || c->coro == NULL ||
	    !PyErr_ExceptionMatches(PyExc_AttributeError))
		return v;
	PyErr_Clear();
	return PyObject_GetAttr(c->coro, name);
}

static PyMethodDef cycle_methods[] = {
	{ "send", cycle_send_method, METH_O, NULL },
	{ "throw", cycle_throw, METH_VARARGS, NULL },
	{ "close", cycle_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot cycle_slots[] = {
	{ Py_tp_dealloc, cycle_dealloc },
	{ Py_tp_methods, cycle_methods },
	{ Py_tp_getattro, cycle_getattr },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, cycle_next },
	{ Py_am_await, PyObject_SelfIter },
	{ Py_am_send, cycle_send },
	{ 0, NULL }
};

static PyType_Spec cycle_spec = { "asgid.Cycle", sizeof(struct cycle), 0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
	Py_TPFLAGS_IMMUTABLETYPE, cycle_slots };

/* ---- running the application -------------------------------------------- */

/* New reference to the application's coroutine. */
static PyObject *
call_application(struct cycle *c, PyObject *callable)
{
	PyObject *args[4] = { NULL }, *coro = NULL;

	args[1] = scope_new(c->req);
	args[2] = port_new(c, true);
	args[3] = port_new(c, false);
	if (args[1] != NULL && args[2] != NULL && args[3] != NULL)
		coro = PyObject_Vectorcall(callable, args + 1,
		    3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	fork_check(NULL);
	Py_XDECREF(args[1]);
	Py_XDECREF(args[2]);
	Py_XDECREF(args[3]);
	return coro;
}

/* The Task is kept while it runs: asyncio itself refers to it weakly. */
static void
start(struct cycle *c)
{
	PyObject *task;

	set_add(c);
	task = aloop_spawn(self.aloop, (PyObject *)c);
	if (c->coro == NULL)		/* it has ended already */
		Py_XDECREF(task);
	else
		c->task = task;
	if (task != NULL)
		return;
	if (c->coro != NULL)
		failed(c);
	PyErr_Clear();
}

static void
on_request(struct http_req *req, void *callable)
{
	struct cycle *c = cycle_new(req);

	if (c == NULL) {
		PyErr_Clear();
		log_err("out of memory for a request");
		http_abort(req);
		return;
	}
	req->user = c;			/* done() releases it */
	c->coro = call_application(c, callable);
	if (c->coro != NULL)
		start(c);
	else if (failed(c) == -1)
		PyErr_Clear();
}

/* ---- http_ops ----------------------------------------------------------- */

static void
on_body(struct http_req *req)
{
	if (req->user != NULL)
		port_wake(req->user, true);
}

static void
on_gone(struct http_req *req)
{
	if (req->user != NULL)
		port_wake(req->user, true);
}

static void
on_drained(struct http_req *req)
{
	if (req->user != NULL)
		port_wake(req->user, false);
}

static void
on_done(struct http_req *req, bool ok)
{
	struct cycle *c = req->user;

	if (c == NULL)
		return;
	req->user = NULL;
	c->req = NULL;
	if (!ok)
		c->gone = true;
	port_wake(c, true);
	port_wake(c, false);
	Py_DECREF(c);
}

const struct http_ops cycle_ops = {
	.request = on_request,
	.body = on_body,
	.gone = on_gone,
	.drained = on_drained,
	.done = on_done,
	.closed = scope_forget,
};

/* ---- all of them -------------------------------------------------------- */

unsigned
cycle_running(void)
{
	return self.nrunning;
}

void
cycle_on_idle(void (*cb)(void *), void *arg)
{
	self.on_idle = cb;
	self.on_idle_arg = arg;
}

static bool
is_event_stream(const struct http_head *head)
{
	static const char type[] = "text/event-stream";
	const char *name, *value;
	size_t pos = 0;

	while (http_head_next(head, &pos, &name, &value))
		if (strcasecmp(name, "content-type") == 0)
			return strncasecmp(value, type,
			    sizeof(type) - 1) == 0;
	return false;
}

void
cycle_on_stream(struct cycle *c)
{
	if (!self.draining || c->told_gone || !is_event_stream(&c->head))
		return;
	c->ending = c->told_gone = true;
	port_wake(c, true);
}

void
cycle_end_streams(void)
{
	struct list *n;
	struct cycle *c;

	self.draining = true;
	for (n = self.running.next; n != &self.running; n = n->next) {
		c = list_entry(n, struct cycle, node);
		if (c->req != NULL && c->state == CYCLE_STREAMING)
			cycle_on_stream(c);
	}
}

void
cycle_cancel_all(void)
{
	struct list *pos, *tmp;
	struct cycle *c;
	PyObject *r;

	list_foreach_safe(pos, tmp, &self.running) {
		c = list_entry(pos, struct cycle, node);
		if (c->task == NULL || c->cancelled)
			continue;
		c->cancelled = true;
		/* only schedules the step: the list stays as it is */
		r = PyObject_CallMethodNoArgs(c->task, names.cancel);
		Py_XDECREF(r);
		if (r == NULL)
			error_swallow("cancelling a request");
	}
}

int
cycle_init(PyObject *aloop)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");

	if (asyncio == NULL)
		return -1;
	self.aloop = py_ref(aloop);
	self.cancelled = PyObject_GetAttrString(asyncio, "CancelledError");
	Py_DECREF(asyncio);
	self.throw = PyUnicode_InternFromString("throw");
	self.close = PyUnicode_InternFromString("close");
	self.type = (PyTypeObject *)PyType_FromSpec(&cycle_spec);
	if (self.cancelled == NULL || self.throw == NULL ||
	    self.close == NULL || self.type == NULL)
		return -1;
	return message_init() == -1 ? -1 : port_init(aloop);
}
