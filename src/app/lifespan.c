/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The lifespan protocol.
 *
 * The application has receive and send, bound to an owner that it may keep
 * for ever; lifespan_fini cuts the owner off.  Whatever happens (a message,
 * the end of the task, a deadline) only notes the outcome and schedules the
 * work, which draws the conclusions in a phase of the loop, after a look at
 * the task: an application that reports failure and then raises has failed
 * once, and one that raises right after reporting success has not started.
 */
#include "py/py.h"
#include "app/lifespan.h"

#include <string.h>

#include "app/message.h"
#include "app/port.h"
#include "base/log.h"
#include "base/str.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/names.h"

/* How long a task may go on after its last word before it is cancelled, and
 * then how long before it is given up. */
#define PATIENCE	NSEC_PER_SEC

/* What the application's receive and send refer to, as long as it wants. */
struct lifespan_owner {
	struct port_owner port;
	struct lifespan	*ls;		/* NULL after lifespan_fini */
};

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

static bool
task_is_done(struct lifespan *ls)
{
	PyObject *answer = PyObject_CallMethodNoArgs(ls->task, names.done);
	bool yes = answer != Py_False;

	if (answer == NULL)
		error_swallow("lifespan: done");
	Py_XDECREF(answer);
	return yes;
}

/* ---- the application's side -------------------------------------------- */

/* NULL with an exception after lifespan_fini. */
static struct lifespan *
lifespan_of(struct port_owner *o)
{
	struct lifespan *ls = container_of(o, struct lifespan_owner,
	    port)->ls;

	if (ls == NULL)
		PyErr_SetString(PyExc_RuntimeError, "The lifespan is over.");
	return ls;
}

static PyObject *
make_event(PyObject *type)
{
	return Py_BuildValue("{O:O}", names.type, type);
}

/* Start-up first, shutdown when it is due, and no third event. */
static PyObject *
on_receive(struct port_owner *o)
{
	struct lifespan *ls = lifespan_of(o);

	if (ls == NULL)
		return NULL;
	if (!ls->received) {
		ls->received = true;
		return make_event(names.lifespan_startup);
	}
	if (ls->phase == LIFESPAN_STOPPING && !ls->shutdown_sent) {
		ls->shutdown_sent = true;
		return make_event(names.lifespan_shutdown);
	}
	if (ls->phase >= LIFESPAN_ENDING)
		cancel_task(ls);
	return NULL;
}

static const struct answer {
	PyObject		**type;
	enum lifespan_phase	  phase;	/* in which it is allowed */
	enum lifespan_outcome	  outcome;
} answers[] = {
	{ &names.lifespan_startup_complete, LIFESPAN_STARTING, LIFESPAN_OK },
	{ &names.lifespan_startup_failed, LIFESPAN_STARTING, LIFESPAN_FAILED },
	{ &names.lifespan_shutdown_complete, LIFESPAN_STOPPING, LIFESPAN_OK },
	{ &names.lifespan_shutdown_failed, LIFESPAN_STOPPING,
	    LIFESPAN_FAILED },
};

/* NULL with an exception set. */
static const struct answer *
find_answer(PyObject *message)
{
	PyObject *type = message_type(message);
	const struct answer *found = NULL;

	for (size_t i = 0; type != NULL && i < countof(answers); i++)
		if (PyUnicode_Compare(type, *answers[i].type) == 0)
			found = &answers[i];
	if (type != NULL && found == NULL)
		PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message %R "
		    "in the lifespan protocol.", type);
	Py_XDECREF(type);
	return found;
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
log_message(struct lifespan *ls, PyObject *message)
{
	PyObject *value = message_get(message, names.message);
	PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
	PyObject *bytes = NULL;

	if (text != NULL)
		bytes = PyUnicode_AsEncodedString(text, "utf-8",
		    "backslashreplace");
	if (bytes != NULL && PyBytes_GET_SIZE(bytes) > 0) {
		log_err("%s", PyBytes_AS_STRING(bytes));
		remember(ls, PyBytes_AS_STRING(bytes));
	}
	Py_XDECREF(value);
	Py_XDECREF(text);
	Py_XDECREF(bytes);
	if (PyErr_Occurred())
		error_swallow("lifespan: message");
}

static int
on_send(struct port_owner *o, PyObject *message)
{
	const struct answer *a;
	struct lifespan *ls;

	if (lifespan_of(o) == NULL || (a = find_answer(message)) == NULL)
		return -1;
	/* again: the message's own code has run */
	if ((ls = lifespan_of(o)) == NULL)
		return -1;
	if (a->phase != ls->phase || ls->outcome != LIFESPAN_UNKNOWN) {
		PyErr_Format(PyExc_RuntimeError, "Got invalid state "
		    "transition on lifespan protocol: %R came at the wrong "
		    "time.", *a->type);
		return -1;
	}
	ls->outcome = a->outcome;
	wake(ls);
	if (a->outcome == LIFESPAN_FAILED)
		log_message(ls, message);
	return 0;
}

static bool
is_full(struct port_owner *o UNUSED)
{
	return false;
}

static const struct port_ops port_ops = { on_receive, on_send, is_full };

static void
owner_dealloc(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);

	type->tp_free(o);
	Py_DECREF(type);
}

static PyType_Slot owner_slots[] = {
	{ Py_tp_dealloc, owner_dealloc },
	{ 0, NULL }
};

static PyType_Spec owner_spec = { "asgid.Lifespan",
	sizeof(struct lifespan_owner), 0, Py_TPFLAGS_DEFAULT |
	Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	owner_slots };

/* 0, or -1 with an exception. */
static int
make_owner(struct lifespan *ls)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&owner_spec);

	if (type == NULL)
		return -1;
	ls->owner = (struct lifespan_owner *)type->tp_alloc(type, 0);
	Py_DECREF(type);	/* its one instance holds it */
	if (ls->owner == NULL)
		return -1;
	port_owner_init(&ls->owner->port, &port_ops);
	ls->owner->ls = ls;
	return 0;
}

/* Done callback of the task. */
static PyObject *
on_ended(PyObject *owner, PyObject *task UNUSED)
{
	struct lifespan *ls = ((struct lifespan_owner *)owner)->ls;

	if (ls != NULL)
		wake(ls);
	Py_RETURN_NONE;
}

static PyMethodDef ended_def = { "ended", on_ended, METH_O, NULL };

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

	if (ls->task == NULL || !task_is_done(ls))
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
    "from os import getpid\n"
    "async def guard(application, scope, receive, send):\n"
    "    pid = getpid()\n"
    "    try:\n"
    "        await application(scope, receive, send)\n"
    "    except (SystemExit, KeyboardInterrupt) as exc:\n"
    "        if getpid() != pid:\n"
    "            raise       # the end of a forked process (py/fork.h)\n"
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
	receive = port_receive(&ls->owner->port);
	send = port_send(&ls->owner->port);
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
	ls->task = aloop_spawn(ls->aloop, coro, names.lifespan);
	if (ls->task == NULL) {
		exc = error_take();
		Py_XDECREF(PyObject_CallMethod(coro, "close", NULL));
		PyErr_Clear();
		error_restore(exc);
	}
	Py_DECREF(coro);
	if (ls->task == NULL)
		return -1;
	if ((ended = PyCFunction_New(&ended_def,
	    (PyObject *)ls->owner)) != NULL)
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
	if (ls->cancels == 0 && !list_empty(&ls->owner->port.receivers))
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
	    make_owner(ls) == -1)
		return -1;
	wake(ls);
	return 0;
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
	port_wake(&ls->owner->port.receivers);
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
	if (ls->owner != NULL) {
		ls->owner->ls = NULL;
		port_wake(&ls->owner->port.receivers);
	}
	if (ls->task != NULL && !task_is_done(ls))
		cancel_task(ls);
	py_drop(&ls->task);
	Py_CLEAR(ls->owner);
	py_drop(&ls->state);
	py_drop(&ls->callable);
	py_drop(&ls->aloop);
}
