/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The lifespan protocol.
 *
 * The application has receive and send, bound to a capsule that it may keep
 * for ever; lifespan_fini cuts the capsule off.  Whatever happens (a message,
 * the end of the task, a deadline) only notes the outcome and schedules the
 * work, which draws the conclusions in a phase of the loop, after a look at
 * the task: an application that reports failure and then raises has failed
 * once, and one that raises right after reporting success has not started.
 */
#include "py/py.h"
#include "app/lifespan.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/fork.h"
#include "py/names.h"

/* How long a task may go on after its last word before it is cancelled, and
 * then how long before it is given up. */
#define PATIENCE	NSEC_PER_SEC

#define PORT		"asgid.lifespan"

/* What the capsule points to after lifespan_fini. */
static char nobody;

/* Draw conclusions soon. */
static void
wake(struct lifespan *ls)
{
	loop_work_add(ls->loop, &ls->work);
}

static void
cancel_task(struct lifespan *ls)
{
	PyObject *answer;

	if (ls->task == NULL)
		return;
	ls->cancels++;
	answer = PyObject_CallMethodNoArgs(ls->task, names.cancel);
	if (answer == NULL)
		error_swallow("lifespan: cancel");
	Py_XDECREF(answer);
}

/* ---- the application's side -------------------------------------------- */

/* Borrowed from the capsule; NULL with an exception after lifespan_fini. */
static struct lifespan *
owner(PyObject *port)
{
	void *p = PyCapsule_GetPointer(port, PORT);

	fork_check("called receive() or send() of the lifespan");
	if (p == &nobody) {
		PyErr_SetString(PyExc_RuntimeError, "The lifespan is over.");
		return NULL;
	}
	return p;
}

/* A Future with its result set when there is one (borrowed), else pending.
 * New reference. */
static PyObject *
make_future(struct lifespan *ls, PyObject *result)
{
	PyObject *fut, *none;

	fut = PyObject_CallMethodNoArgs(ls->aloop, names.create_future);
	if (fut == NULL || result == NULL)
		return fut;
	none = PyObject_CallMethodOneArg(fut, names.set_result, result);
	if (none == NULL)
		Py_CLEAR(fut);
	Py_XDECREF(none);
	return fut;
}

static bool
future_done(PyObject *fut)
{
	PyObject *answer = PyObject_CallMethodNoArgs(fut, names.done);
	bool yes = answer != Py_False;

	if (answer == NULL)
		error_swallow("lifespan: done");
	Py_XDECREF(answer);
	return yes;
}

/* Borrowed: the first receive() that still waits; one whose wait was
 * cancelled is forgotten. NULL: nobody waits. */
static PyObject *
first_waiter(struct lifespan *ls)
{
	PyObject *fut;

	while (PyList_GET_SIZE(ls->waiters) > 0) {
		fut = PyList_GET_ITEM(ls->waiters, 0);
		if (!future_done(fut))
			return fut;
		if (PyList_SetSlice(ls->waiters, 0, 1, NULL) == -1) {
			error_swallow("lifespan: waiters");
			return NULL;
		}
	}
	return NULL;
}

/* New reference to a Future with {"type": type}. */
static PyObject *
make_event(struct lifespan *ls, PyObject *type)
{
	PyObject *event = PyDict_New(), *fut = NULL;

	if (event != NULL && PyDict_SetItem(event, names.type, type) == 0)
		fut = make_future(ls, event);
	Py_XDECREF(event);
	return fut;
}

/* Start-up first, shutdown when it is due, and no third event. */
static PyObject *
port_receive(PyObject *port, PyObject *unused UNUSED)
{
	struct lifespan *ls = owner(port);
	PyObject *fut;

	if (ls == NULL)
		return NULL;
	if (!ls->received) {
		ls->received = true;
		return make_event(ls, names.lifespan_startup);
	}
	if (ls->phase == LIFESPAN_STOPPING && !ls->shutdown_sent) {
		ls->shutdown_sent = true;
		return make_event(ls, names.lifespan_shutdown);
	}
	(void)first_waiter(ls);		/* keeps the list short */
	if ((fut = make_future(ls, NULL)) == NULL)
		return NULL;
	if (PyList_Append(ls->waiters, fut) == -1)
		Py_CLEAR(fut);
	else if (ls->phase >= LIFESPAN_ENDING)
		cancel_task(ls);
	return fut;
}

static const struct message {
	PyObject		**type;
	enum lifespan_phase	  phase;	/* in which it is allowed */
	enum lifespan_outcome	  outcome;
} messages[] = {
	{ &names.lifespan_startup_complete, LIFESPAN_STARTING, LIFESPAN_OK },
	{ &names.lifespan_startup_failed, LIFESPAN_STARTING, LIFESPAN_FAILED },
	{ &names.lifespan_shutdown_complete, LIFESPAN_STOPPING, LIFESPAN_OK },
	{ &names.lifespan_shutdown_failed, LIFESPAN_STOPPING,
	    LIFESPAN_FAILED },
};

/* NULL with an exception set. */
static const struct message *
find_message(PyObject *dict)
{
	PyObject *type;
	int equal;

	if (!PyDict_Check(dict)) {
		PyErr_Format(PyExc_TypeError, "An ASGI message is a dict, "
		    "got %.100s.", Py_TYPE(dict)->tp_name);
		return NULL;
	}
	type = PyDict_GetItemWithError(dict, names.type);	/* borrowed */
	if (type == NULL) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_RuntimeError,
			    "The ASGI message has no 'type'.");
		return NULL;
	}
	for (size_t i = 0; i < countof(messages); i++) {
		equal = PyObject_RichCompareBool(type, *messages[i].type,
		    Py_EQ);
		if (equal == -1)
			return NULL;
		if (equal)
			return &messages[i];
	}
	PyErr_Format(PyExc_RuntimeError,
	    "Unexpected ASGI message %R in the lifespan protocol.", type);
	return NULL;
}

/* The last line of a text is kept: a traceback's is the exception. */
static void
remember(struct lifespan *ls, const char *text)
{
	size_t n = strlen(text), start;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	for (start = n; start > 0 && text[start - 1] != '\n'; start--)
		;
	buf_reset(&ls->why);
	buf_put(&ls->why, text + start, n - start);
}

/* The text of a "failed" message, whose absence is no mistake. */
static void
log_message(struct lifespan *ls, PyObject *dict)
{
	PyObject *value = PyDict_GetItemWithError(dict, names.message);
	PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
	PyObject *bytes = NULL;

	if (text != NULL)
		bytes = PyUnicode_AsEncodedString(text, "utf-8",
		    "backslashreplace");
	if (bytes != NULL && PyBytes_GET_SIZE(bytes) > 0) {
		log_err("%s", PyBytes_AS_STRING(bytes));
		remember(ls, PyBytes_AS_STRING(bytes));
	}
	Py_XDECREF(text);
	Py_XDECREF(bytes);
	if (PyErr_Occurred())
		error_swallow("lifespan: message");
}

static PyObject *
port_send(PyObject *port, PyObject *dict)
{
	struct lifespan *ls = owner(port);
	const struct message *m;

	if (ls == NULL || (m = find_message(dict)) == NULL)
		return NULL;
	if (m->phase != ls->phase || ls->outcome != LIFESPAN_UNKNOWN) {
		PyErr_Format(PyExc_RuntimeError, "Got invalid state "
		    "transition on lifespan protocol: %R came at the wrong "
		    "time.", *m->type);
		return NULL;
	}
	if (m->outcome == LIFESPAN_FAILED)
		log_message(ls, dict);
	ls->outcome = m->outcome;
	wake(ls);
	return make_future(ls, Py_None);
}

/* Done callback of the task. */
static PyObject *
port_ended(PyObject *port, PyObject *task UNUSED)
{
	void *p = PyCapsule_GetPointer(port, PORT);

	if (p != &nobody)
		wake(p);
	Py_RETURN_NONE;
}

static PyMethodDef receive_def = { "receive", port_receive, METH_NOARGS,
	"Wait for the next lifespan event." };
static PyMethodDef send_def = { "send", port_send, METH_O,
	"Answer a lifespan event." };
static PyMethodDef ended_def = { "ended", port_ended, METH_O, NULL };

/* ---- the task ----------------------------------------------------------- */

/* The task has ended, with this exception (stolen) or with none. */
static void
on_end(struct lifespan *ls, PyObject *exc)
{
	bool busy = ls->phase == LIFESPAN_STARTING ||
	    ls->phase == LIFESPAN_STOPPING;

	py_drop(&ls->task);
	if (exc == NULL) {
		if (busy && ls->outcome == LIFESPAN_UNKNOWN)
			ls->outcome = LIFESPAN_OK;
		return;
	}
	if (ls->outcome == LIFESPAN_FAILED || ls->cancels > 0)
		;	/* known already, or our own doing */
	else if (ls->phase == LIFESPAN_STARTING &&
	    ls->mode == CONF_LIFESPAN_AUTO && !ls->received) {
		log_info("ASGI 'lifespan' protocol appears unsupported.");
		ls->outcome = LIFESPAN_UNSUPPORTED;
	} else {
		error_log_exc(LOG_L_ERROR, exc,
		    "Exception in 'lifespan' protocol");
		buf_reset(&ls->why);
		error_line_of(exc, &ls->why);
		if (ls->phase != LIFESPAN_STARTED)
			ls->outcome = LIFESPAN_FAILED;
	}
	Py_DECREF(exc);
}

static void
look_at_task(struct lifespan *ls)
{
	PyObject *exc;

	if (ls->task == NULL || !future_done(ls->task))
		return;
	/* the result is an exception that guard() caught, or None */
	exc = PyObject_CallMethodNoArgs(ls->task, names.result);
	if (exc == NULL)
		exc = error_take();
	else if (exc == Py_None)
		py_drop(&exc);
	on_end(ls, exc);
}

/*
 * What the task runs.  A Task throws SystemExit and KeyboardInterrupt into
 * the face of whoever runs the loop; here they are failures like any other.
 * What the application returns is of no interest.
 */
static const char guard_text[] =
    "async def guard(application, scope, receive, send):\n"
    "    try:\n"
    "        await application(scope, receive, send)\n"
    "    except (SystemExit, KeyboardInterrupt) as exc:\n"
    "        return exc\n";

/* New reference. */
static PyObject *
make_coroutine(struct lifespan *ls)
{
	PyObject *guard, *scope, *receive, *send, *coro = NULL;

	scope = Py_BuildValue("{O:O, O:{O:s, O:O}, O:O}",
	    names.type, names.lifespan,
	    names.asgi, names.version, ls->version,
	    names.spec_version, names.v2_0,
	    names.state, ls->state);
	receive = PyCFunction_New(&receive_def, ls->port);
	send = PyCFunction_New(&send_def, ls->port);
	guard = app_define(guard_text, "guard");
	if (scope != NULL && receive != NULL && send != NULL && guard != NULL)
		coro = PyObject_CallFunctionObjArgs(guard, ls->callable,
		    scope, receive, send, NULL);
	Py_XDECREF(guard);
	Py_XDECREF(scope);
	Py_XDECREF(receive);
	Py_XDECREF(send);
	return coro;
}

/* 0 with ls->task, or -1 with an exception set. */
static int
spawn(struct lifespan *ls)
{
	PyObject *coro, *ended, *none = NULL, *exc;

	if ((coro = make_coroutine(ls)) == NULL)
		return -1;
	ls->task = aloop_spawn(ls->aloop, coro);
	if (ls->task == NULL) {
		exc = error_take();
		Py_XDECREF(PyObject_CallMethod(coro, "close", NULL));
		PyErr_Clear();
		error_restore(exc);
	}
	Py_DECREF(coro);
	if (ls->task == NULL)
		return -1;
	if ((ended = PyCFunction_New(&ended_def, ls->port)) != NULL)
		none = PyObject_CallMethodOneArg(ls->task,
		    names.add_done_callback, ended);
	Py_XDECREF(ended);
	Py_XDECREF(none);
	return none != NULL ? 0 : -1;
}

/* ---- phases ------------------------------------------------------------- */

static void
arm(struct lifespan *ls, nsec_t after)
{
	if (after > 0)
		loop_timer_set(ls->loop, &ls->timer, mono_now() + after);
}

static void
report(struct lifespan *ls)
{
	lifespan_done_f *cb = ls->cb;

	loop_timer_del(ls->loop, &ls->timer);
	ls->cb = NULL;
	if (cb != NULL)
		cb(ls->outcome != LIFESPAN_FAILED, ls->arg);
}

static void
begin(struct lifespan *ls)
{
	if (ls->mode == CONF_LIFESPAN_OFF) {
		ls->phase = LIFESPAN_STARTED;
		report(ls);
		return;
	}
	log_info("Waiting for application startup.");
	ls->phase = LIFESPAN_STARTING;
	arm(ls, ls->startup);
	if (spawn(ls) == -1)
		on_end(ls, error_take());
	wake(ls);
}

/*
 * The application has said its last word, but its task goes on: cleaning up,
 * which is given a while, or waiting for an event that will not come, which
 * is cancelled now.
 */
static void
let_end(struct lifespan *ls)
{
	loop_timer_del(ls->loop, &ls->timer);
	ls->phase = LIFESPAN_ENDING;
	if (ls->task == NULL)
		return;
	arm(ls, PATIENCE);
	if (ls->cancels == 0 && first_waiter(ls) != NULL)
		cancel_task(ls);
}

/* STARTING or STOPPING has an outcome. */
static void
conclude(struct lifespan *ls)
{
	bool starting = ls->phase == LIFESPAN_STARTING;
	const char *what = starting ? "startup" : "shutdown";

	if (ls->outcome == LIFESPAN_FAILED)
		log_err("Application %s failed. Exiting.", what);
	else if (ls->outcome == LIFESPAN_OK)
		log_info("Application %s complete.", what);
	if (starting && ls->outcome != LIFESPAN_FAILED) {
		ls->phase = LIFESPAN_STARTED;
		report(ls);
	} else
		let_end(ls);
}

static void
on_work(struct loop *loop UNUSED, struct loop_work *work)
{
	struct lifespan *ls = container_of(work, struct lifespan, work);

	if (ls->phase == LIFESPAN_IDLE) {
		begin(ls);
		return;
	}
	look_at_task(ls);
	if ((ls->phase == LIFESPAN_STARTING ||
	    ls->phase == LIFESPAN_STOPPING) &&
	    ls->outcome != LIFESPAN_UNKNOWN)
		conclude(ls);
	if (ls->phase == LIFESPAN_ENDING && ls->task == NULL) {
		ls->phase = LIFESPAN_OVER;
		report(ls);
	}
}

static void
on_deadline(struct loop *loop UNUSED, struct loop_timer *timer)
{
	struct lifespan *ls = container_of(timer, struct lifespan, timer);
	bool starting = ls->phase == LIFESPAN_STARTING;
	char limit[32];

	if (ls->phase == LIFESPAN_ENDING && ls->cancels == 0) {
		cancel_task(ls);
		arm(ls, PATIENCE);
		return;
	}
	if (ls->phase == LIFESPAN_ENDING) {
		log_warn("The application's lifespan task does not end.");
		py_drop(&ls->task);
	} else {
		str_from_duration(starting ? ls->startup : ls->shutdown,
		    limit);
		log_err("Application %s took longer than %s.",
		    starting ? "startup" : "shutdown", limit);
		buf_reset(&ls->why);
		buf_printf(&ls->why, "took longer than %s", limit);
		ls->outcome = LIFESPAN_FAILED;
		cancel_task(ls);
	}
	wake(ls);
}

/* ---- the worker's side --------------------------------------------------- */

int
lifespan_start(struct lifespan *ls, PyObject *aloop, const struct app *app,
    const struct conf *conf, lifespan_done_f *cb, void *arg)
{
	memset(ls, 0, sizeof(*ls));
	ls->loop = aloop_loop(aloop);
	loop_timer_init(&ls->timer, on_deadline);
	loop_work_init(&ls->work, LOOP_DEFERRED, on_work);
	ls->aloop = py_ref(aloop);
	ls->callable = py_ref(app->callable);
	ls->version = app->version;
	ls->mode = (enum conf_lifespan)conf->lifespan;
	ls->startup = conf->timeouts_startup;
	ls->shutdown = conf->timeouts_shutdown;
	ls->cb = cb;
	ls->arg = arg;
	if ((ls->state = PyDict_New()) == NULL ||
	    (ls->waiters = PyList_New(0)) == NULL ||
	    (ls->port = PyCapsule_New(ls, PORT, NULL)) == NULL)
		return -1;
	wake(ls);
	return 0;
}

/* Hand lifespan.shutdown to whoever waits; else the next receive() gets it.
 * 0, or -1 with an exception set. */
static int
deliver_shutdown(struct lifespan *ls)
{
	PyObject *waiter = first_waiter(ls), *event, *none = NULL;

	if (waiter == NULL)
		return 0;
	ls->shutdown_sent = true;
	event = Py_BuildValue("{O:O}", names.type, names.lifespan_shutdown);
	if (event != NULL)
		none = PyObject_CallMethodOneArg(waiter, names.set_result,
		    event);
	Py_XDECREF(event);
	Py_XDECREF(none);
	return none != NULL ? 0 : -1;
}

void
lifespan_shutdown(struct lifespan *ls, lifespan_done_f *cb, void *arg)
{
	ls->cb = cb;
	ls->arg = arg;
	wake(ls);
	look_at_task(ls);
	if (ls->phase < LIFESPAN_STARTED)
		cancel_task(ls);
	if (ls->phase != LIFESPAN_STARTED || ls->task == NULL) {
		let_end(ls);
		return;
	}
	log_info("Waiting for application shutdown.");
	ls->phase = LIFESPAN_STOPPING;
	ls->outcome = LIFESPAN_UNKNOWN;
	arm(ls, ls->shutdown);
	if (deliver_shutdown(ls) == -1) {
		error_log(LOG_L_ERROR, "lifespan: shutdown");
		ls->outcome = LIFESPAN_FAILED;
	}
}

const char *
lifespan_why(const struct lifespan *ls)
{
	return buf_str(&ls->why);
}

PyObject *
lifespan_state(const struct lifespan *ls)
{
	return ls->state;
}

void
lifespan_fini(struct lifespan *ls)
{
	if (ls->aloop == NULL)
		return;
	loop_timer_del(ls->loop, &ls->timer);
	loop_work_del(ls->loop, &ls->work);
	ls->cb = NULL;
	buf_fini(&ls->why);
	if (ls->port != NULL)
		PyCapsule_SetPointer(ls->port, &nobody);
	if (ls->task != NULL && !future_done(ls->task))
		cancel_task(ls);
	py_drop(&ls->task);
	py_drop(&ls->waiters);
	py_drop(&ls->port);
	py_drop(&ls->state);
	py_drop(&ls->callable);
	py_drop(&ls->aloop);
}
