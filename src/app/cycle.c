/* SPDX-License-Identifier: BSD-3-Clause */
#include "py/py.h"
#include "app/cycle.h"

#include <stdlib.h>
#include <string.h>

#include "app/request.h"
#include "app/response.h"
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

static struct {
	PyTypeObject	*type;
	PyObject	*aloop;
	PyObject	*throw, *close;	/* names */
	struct pool	 pool;
	struct list	 running;
	unsigned	 nrunning;
	bool		 draining;
	void		(*on_idle)(void *);
	void		*on_idle_arg;
} self = { .pool = POOL_INIT(cycles),
    .running = LIST_INIT(self.running) };

/* ---- what the ports do -------------------------------------------------- */

static PyObject *
on_receive(struct port_owner *o)
{
	return request_receive(container_of(o, struct cycle, port));
}

static int
on_send(struct port_owner *o, PyObject *message)
{
	return response_send(container_of(o, struct cycle, port), message);
}

static bool
is_full(struct port_owner *o)
{
	struct cycle *c = container_of(o, struct cycle, port);

	return c->req != NULL && http_is_full(c->req);
}

static const struct port_ops port_ops = { on_receive, on_send, is_full };

/* ---- making and dropping ------------------------------------------------ */

static struct cycle *
cycle_new(struct http_req *req)
{
	struct cycle *c = (struct cycle *)pool_get(&self.pool, self.type);
	struct buf text;

	if (c == NULL)
		return NULL;
	port_owner_init(&c->port, &port_ops);
	text = c->head.text;
	c->req = req;
	c->application = c->scope = c->coro = c->task = NULL;
	c->began = req->began;
	list_init(&c->node);
	c->state = CYCLE_EMPTY;
	http_head_init(&c->head);
	c->head.text = text;
	c->left = -1;
	c->who = NULL;
	c->refused_status = 0;
	c->running = c->body_ended = c->cancelled = c->head_only = false;
	c->gone = c->told_gone = c->ending = false;
	return c;
}

/* What is kept for the application's coroutine alone. */
static void
cycle_release(struct cycle *c)
{
	c->application = NULL;
	py_drop(&c->scope);
	py_drop(&c->coro);
	py_drop(&c->task);
	if (UNLIKELY(c->who != NULL)) {
		free(c->who);
		c->who = NULL;
	}
}

static void
cycle_dealloc(struct cycle *c)
{
	cycle_release(c);
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
	cycle_release(c);
	Py_DECREF(c);
	if (self.nrunning == 0 && self.on_idle != NULL)
		self.on_idle(self.on_idle_arg);
}

/* ---- the coroutine that the Task drives --------------------------------- */

/* Make the application's coroutine. It is called here, in the Task's first
 * step, since a call may do anything that a step may: set context variables,
 * ask for the current Task. 0, or -1 with an exception. */
static int
call_application(struct cycle *c)
{
	PyObject *application = py_take(&c->application);
	PyObject *args[4] = { NULL };

	args[1] = py_take(&c->scope);
	args[2] = port_receive(&c->port);
	args[3] = port_send(&c->port);
	if (args[2] != NULL && args[3] != NULL)
		c->coro = PyObject_Vectorcall(application, args + 1,
		    3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	Py_DECREF(args[1]);
	Py_XDECREF(args[2]);
	Py_XDECREF(args[3]);
	return c->coro != NULL ? 0 : -1;
}

static bool
has_ended(const struct cycle *c)
{
	return c->application == NULL && c->coro == NULL;
}

/* The application may get at the coroutine that drives it: a step within a
 * step is refused, as by coroutines of Python, and one on another thread: what
 * it sent would wait for the loop's next turn. */
static int
step_begin(struct cycle *c)
{
	if (UNLIKELY(!await_on_loop_thread)) {
		PyErr_SetString(PyExc_RuntimeError, "a request runs on the "
		    "worker's event loop only");
		return -1;
	}
	if (UNLIKELY(c->running)) {
		PyErr_SetString(PyExc_ValueError,
		    "coroutine already executing");
		return -1;
	}
	Py_INCREF(c);		/* it may drop its last other reference */
	c->running = true;
	return 0;
}

static void
step_leave(struct cycle *c)
{
	c->running = false;
	Py_DECREF(c);
}

/* Steals result. Returns what the Task is to see, result with it. */
static PySendResult
step_end(struct cycle *c, PySendResult r, PyObject **result)
{
	fork_check(NULL);
	if (r == PYGEN_RETURN) {
		outcome_returned(c, *result);
		*result = py_ref(Py_None);
	} else if (r == PYGEN_ERROR && outcome_failed(c) == 0) {
		*result = py_ref(Py_None);
		r = PYGEN_RETURN;
	}
	if (r != PYGEN_NEXT)
		set_remove(c);
	step_leave(c);
	return r;
}

static PySendResult
cycle_send(struct cycle *c, PyObject *arg, PyObject **result)
{
	PySendResult r = PYGEN_ERROR;

	*result = NULL;
	if (step_begin(c) == -1)
		return PYGEN_ERROR;
	if (has_ended(c)) {
		step_leave(c);
		*result = py_ref(Py_None);
		return PYGEN_RETURN;
	}
	if (c->application == NULL || call_application(c) == 0)
		r = PyIter_Send(c->coro, arg, result);
	return step_end(c, r, result);
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

/* The value of the pending StopIteration: new reference. */
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

/* Throw into the application; before its first step it never runs. */
static PySendResult
throw_in(struct cycle *c, PyObject *args, PyObject **result)
{
	PyObject *method;

	if (c->coro == NULL) {
		await_raise(args);
		return PYGEN_ERROR;
	}
	method = PyObject_GetAttr(c->coro, self.throw);
	if (method == NULL)
		return PYGEN_ERROR;
	*result = PyObject_Call(method, args, NULL);
	Py_DECREF(method);
	if (*result != NULL)
		return PYGEN_NEXT;
	if (!PyErr_ExceptionMatches(PyExc_StopIteration))
		return PYGEN_ERROR;
	*result = stop_value();
	return PYGEN_RETURN;
}

static PyObject *
cycle_throw(PyObject *o, PyObject *args)
{
	struct cycle *c = (struct cycle *)o;
	PyObject *result = NULL;
	PySendResult r;

	if (step_begin(c) == -1)
		return NULL;
	if (has_ended(c)) {
		step_leave(c);
		PyErr_SetNone(PyExc_StopIteration);
		return NULL;
	}
	r = step_end(c, throw_in(c, args, &result), &result);
	return py_step(r, result);
}

static PyObject *
cycle_close(PyObject *o, PyObject *unused UNUSED)
{
	struct cycle *c = (struct cycle *)o;
	PyObject *r, *exc;

	if (step_begin(c) == -1)
		return NULL;
	r = c->coro != NULL ? PyObject_CallMethodNoArgs(c->coro, self.close) :
	    py_ref(Py_None);
	fork_check(NULL);
	exc = error_take();	/* it may refuse; senders are woken anyway */
	if (!has_ended(c))
		outcome_settle(c, 503, "Service Unavailable");
	set_remove(c);
	step_leave(c);
	error_restore(exc);
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

/* "GET /items/1", by which Task.__repr__ and debuggers tell requests apart;
 * when the request is over, the name of the application's coroutine. */
static PyObject *
cycle_qualname(PyObject *o, void *unused UNUSED)
{
	struct cycle *c = (struct cycle *)o;
	char text[HTTP_DESCRIBE_MAX];
	const char *peer;

	if (c->req == NULL) {
		PyErr_SetString(PyExc_AttributeError, "__qualname__");
		return NULL;
	}
	http_describe(c->req, text);
	peer = strstr(text, " from ");
	return PyUnicode_DecodeLatin1(text, peer != NULL ? peer - text :
	    (Py_ssize_t)strlen(text), NULL);
}

static PyGetSetDef cycle_getset[] = {
	{ "__qualname__", cycle_qualname, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyMethodDef cycle_methods[] = {
	{ "send", cycle_send_method, METH_O, NULL },
	{ "throw", cycle_throw, METH_VARARGS, NULL },
	{ "close", cycle_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyType_Slot cycle_slots[] = {
	{ Py_tp_dealloc, cycle_dealloc },
	{ Py_tp_methods, cycle_methods },
	{ Py_tp_getset, cycle_getset },
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

/* The Task is kept while it runs: asyncio itself refers to it weakly. */
static void
start(struct cycle *c)
{
	PyObject *task;

	Py_INCREF(c);
	set_add(c);
	task = aloop_spawn(self.aloop, (PyObject *)c, NULL);
	if (task == NULL && !has_ended(c)) {
		(void)outcome_failed(c);
		set_remove(c);
	}
	PyErr_Clear();
	if (has_ended(c))
		Py_XDECREF(task);
	else
		c->task = task;
	Py_DECREF(c);
}

/* Its client will only see that the handshake has failed. */
static void
tell_websocket(const struct http_req *req)
{
	char who[HTTP_DESCRIBE_MAX];
	size_t i;

	for (i = 0; i < req->nfields; i++)
		if (str_ieq(req->fields[i].name, STR("upgrade")) &&
		    str_has_token(req->fields[i].value, STR("websocket"))) {
			http_describe(req, who);
			log_info("WebSocket is not supported yet; the "
			    "application gets an ordinary request: %s", who);
			return;
		}
}

static void
on_request(struct http_req *req, void *application)
{
	struct cycle *c = cycle_new(req);

	/* now: the head's fields are here no longer than this call */
	if (c != NULL && (c->scope = scope_new(req)) == NULL)
		Py_CLEAR(c);
	if (c == NULL) {
		PyErr_Clear();
		log_err("out of memory for a request");
		http_abort(req);
		return;
	}
	tell_websocket(req);
	c->application = application;
	req->user = c;			/* done() releases it */
	start(c);
}

/* ---- http_ops ----------------------------------------------------------- */

static void
wake(struct cycle *c, struct list *waiters)
{
	Py_INCREF(c);
	port_wake(waiters);
	Py_DECREF(c);
}

/* More of the body is here, or the client has gone. */
static void
on_news(struct http_req *req)
{
	struct cycle *c = req->user;

	if (c != NULL)
		wake(c, &c->port.receivers);
}

static void
on_drained(struct http_req *req)
{
	struct cycle *c = req->user;

	if (c != NULL)
		wake(c, &c->port.senders);
}

static void
on_done(struct http_req *req, bool ok)
{
	struct cycle *c = req->user;

	if (c == NULL)
		return;
	if (!list_empty(&c->node))
		outcome_remember(c);
	req->user = NULL;
	c->req = NULL;
	if (!ok)
		c->gone = true;
	wake(c, &c->port.receivers);
	wake(c, &c->port.senders);
	Py_DECREF(c);
}

const struct http_ops cycle_ops = {
	.request = on_request,
	.body = on_news,
	.gone = on_news,
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

bool
cycle_is_event_stream(const struct cycle *c)
{
	static const char type[] = "text/event-stream";
	const char *name, *value;
	size_t pos = 0;

	while (http_head_next(&c->head, &pos, &name, &value))
		if (strcasecmp(name, "content-type") == 0)
			return strncasecmp(value, type,
			    sizeof(type) - 1) == 0;
	return false;
}

void
cycle_on_stream(struct cycle *c)
{
	if (!self.draining || c->told_gone || !cycle_is_event_stream(c))
		return;
	c->ending = c->told_gone = true;
	wake(c, &c->port.receivers);
}

/* Call f with every running cycle.  That runs Python code, by which any of
 * them may end and others begin: each goes back to its list before its turn,
 * and the newcomers stand there already. */
static void
for_each_running(void (*f)(struct cycle *))
{
	struct list rest = LIST_INIT(rest);
	struct cycle *c;

	list_splice(&rest, &self.running);
	while (!list_empty(&rest)) {
		c = list_entry(rest.next, struct cycle, node);
		list_remove(&c->node);
		list_append(&self.running, &c->node);
		Py_INCREF(c);
		f(c);
		Py_DECREF(c);
	}
}

static void
end_stream(struct cycle *c)
{
	if (c->req != NULL && c->state == CYCLE_STREAMING)
		cycle_on_stream(c);
}

void
cycle_end_streams(void)
{
	self.draining = true;
	for_each_running(end_stream);
}

static void
cancel(struct cycle *c)
{
	PyObject *task, *r;

	if (c->task == NULL || c->cancelled)
		return;
	c->cancelled = true;
	task = py_ref(c->task);
	r = PyObject_CallMethodNoArgs(task, names.cancel);
	Py_DECREF(task);
	Py_XDECREF(r);
	if (r == NULL)
		error_swallow("cancelling a request");
}

void
cycle_cancel_all(void)
{
	for_each_running(cancel);
}

int
cycle_init(PyObject *aloop, const struct conf *conf)
{
	self.aloop = py_ref(aloop);
	self.throw = PyUnicode_InternFromString("throw");
	self.close = PyUnicode_InternFromString("close");
	self.type = (PyTypeObject *)PyType_FromSpec(&cycle_spec);
	if (self.throw == NULL || self.close == NULL || self.type == NULL)
		return -1;
	if (request_init() == -1 || response_init(conf) == -1)
		return -1;
	return outcome_init();
}
