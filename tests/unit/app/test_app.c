/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Loading applications, and the lifespan protocol with them.
 */
#include "py/py.h"

#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "app/lifespan.h"
#include "app/load.h"
#include "app/port.h"
#include "py/aloop.h"
#include "py/error.h"
#include "py/host.h"

static struct buf why = BUF_INIT;

static struct conf *
start(const char *options)
{
	struct conf *conf = support_conf("%s", options);

	ck_assert_msg(host_start(conf, &why) == 0, "%s", buf_str(&why));
	return conf;
}

/* ---- loading: what is refused -------------------------------------------- */

#define FLAG	"factory = true; "

static const struct refused {
	const char	*options;
	const char	*module;	/* text of m.py */
	const char	*entries;	/* the log without tracebacks */
	const char	*traceback;	/* must be in it; NULL: there is none */
	const char	*why;		/* NULL: the same as the entry */
} refused[] = {
	{ "app = \"m\";", "",
	    "ERROR:    Error loading ASGI app. Import string \"m\" must be in "
	    "format \"<module>:<attribute>\".\n", NULL, NULL },
	{ "app = \"m:\";", "",
	    "ERROR:    Error loading ASGI app. Import string \"m:\" must be "
	    "in format \"<module>:<attribute>\".\n", NULL, NULL },
	{ "app = \":app\";", "",
	    "ERROR:    Error loading ASGI app. Import string \":app\" must be "
	    "in format \"<module>:<attribute>\".\n", NULL, NULL },
	{ "app = \"nope:app\";", "",
	    "ERROR:    Error loading ASGI app. Could not import module "
	    "\"nope\".\n", NULL, NULL },
	{ "app = \"nope.sub.x:app\";", "",
	    "ERROR:    Error loading ASGI app. Could not import module "
	    "\"nope.sub.x\".\n", NULL, NULL },
	{ "app = \"m:app\";", "",
	    "ERROR:    Error loading ASGI app. Attribute \"app\" not found in "
	    "module \"m\".\n", NULL, NULL },
	{ "app = \"m:a.b.c\";", "class a: b = 1\n",
	    "ERROR:    Error loading ASGI app. Attribute \"a.b.c\" not found "
	    "in module \"m\".\n", NULL, NULL },
	{ "app = \"m:app\";", "app = {}\n",
	    "ERROR:    Error loading ASGI app. \"m:app\" is not callable, it "
	    "is of type dict.\n", NULL, NULL },

	/* the module's own mistakes are shown whole */
	{ "app = \"m:app\";", "import nope_either\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "m.py\", line 1, in <module>\n",
	    "ModuleNotFoundError: No module named 'nope_either'" },
	{ "app = \"m:app\";", "from os import nope\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "ImportError: cannot import name 'nope' from 'os'", "" },
	{ "app = \"m:app\";", "app = (\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "SyntaxError: '(' was never closed\n",
	    "SyntaxError: '(' was never closed (m.py, line 1)" },
	{ "app = \"m:app\";", "raise SystemExit('no config')\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "\nSystemExit: no config\n", "SystemExit: no config" },

	/* factories */
	{ FLAG "app = \"m:app\";", "def app(x): return x\n",
	    "ERROR:    Error loading ASGI app factory: app() missing 1 "
	    "required positional argument: 'x'\n", NULL, NULL },
	{ FLAG "app = \"m:app\";", "def app(): return None\n",
	    "ERROR:    Error loading ASGI app factory: \"m:app\" returned no "
	    "application, but a value of type NoneType.\n", NULL, NULL },
	{ FLAG "app = \"m:app\";", "def app(): return len(5)\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "m.py\", line 1, in app\n",
	    "TypeError: object of type 'int' has no len()" },
	{ "app = \"m:app\";", "def app(): return len(5)\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "m.py\", line 1, in app\n",
	    "TypeError: object of type 'int' has no len()" },
	{ "app = \"m:app\";", "def app(): raise OSError('no database')\n",
	    "ERROR:    Error loading ASGI app \"m:app\"\n",
	    "m.py\", line 1, in app\n", "OSError: no database" },
};

/* The same without what hint.c adds, a line of the log or the end of a
 * reason. */
static const char *
without_hint(const char *text)
{
	static const char *const hints[] = {
		"ERROR:    Looked for by Python ", " (Looked for by Python ",
	};
	static struct buf rest = BUF_INIT;
	const char *at = NULL;
	size_t i;

	for (i = 0; i < countof(hints) && at == NULL; i++)
		at = strstr(text, hints[i]);
	if (at == NULL)
		return text;
	buf_reset(&rest);
	buf_put(&rest, text, (size_t)(at - text));
	at = strchrnul(at, '\n');
	buf_puts(&rest, *at == '\n' ? at + 1 : at);
	return buf_str(&rest);
}

START_TEST(load_refused)
{
	const struct refused *r = &refused[_i];
	struct app app = { 0 };
	struct conf *conf;
	const char *log, *told;

	support_write("m.py", r->module);
	conf = start(r->options);
	ck_assert_int_eq(app_load(&app, conf, &why), -1);
	ck_assert_ptr_null(PyErr_Occurred());
	ck_assert_ptr_null(app.callable);
	ck_assert_str_eq(without_hint(support_log_entries()), r->entries);
	log = support_log();
	if (r->traceback != NULL)
		support_find(log, r->traceback);
	else
		ck_assert_str_eq(without_hint(log), r->entries);
	told = without_hint(buf_str(&why));
	if (r->why == NULL) {
		/* "ERROR:    " in front, a newline at the end */
		ck_assert_uint_eq(strlen(told), strlen(r->entries) - 11);
		ck_assert_mem_eq(told, r->entries + 10, strlen(told));
	} else if (*r->why != '\0')
		ck_assert_str_eq(told, r->why);
	ck_assert_ptr_null(strchr(buf_str(&why), '\n'));
	conf_free(&conf);
	host_stop();
}
END_TEST

/* ---- loading: what works ------------------------------------------------ */

#define BODY	"  await send({'who': scope['who'], 'got': await receive()})\n"
#define DETECTED "WARNING:  ASGI app factory detected. Using it, but please " \
	"consider setting the --factory flag explicitly.\n"

static const struct loaded {
	const char	*options;
	const char	*module;
	const char	*version;
	const char	*log;
} loaded[] = {
	{ "", "async def app(scope, receive, send):\n" BODY, "3.0", "" },
	{ "", "class A:\n async def __call__(self, scope, receive, send):\n"
	  " " BODY "app = A()\n", "3.0", "" },
	{ "", "class A:\n async def run(self, scope, receive, send):\n"
	  " " BODY "app = A().run\n", "3.0", "" },
	{ "", "import functools\n"
	  "async def f(x, scope, receive, send):\n" BODY
	  "app = functools.partial(f, 1)\n", "3.0", "" },
	/* plain functions that return a coroutine or another awaitable */
	{ "", "async def f(scope, receive, send):\n" BODY
	  "def app(scope, receive, send):\n  return f(scope, receive, send)\n",
	    "3.0", "" },
	{ "", "async def f(scope, receive, send):\n" BODY
	  "def app(*args):\n  return f(*args)\n", "3.0", "" },
	{ "", "import asyncio\nasync def f(scope, receive, send):\n" BODY
	  "def app(scope, receive, send):\n"
	  "  return asyncio.ensure_future(f(scope, receive, send))\n",
	    "3.0", "" },
	{ "", "class app:\n"
	  " def __init__(self, scope, receive, send):\n"
	  "  self.a = scope, receive, send\n"
	  " def __await__(self):\n"
	  "  return self.run(*self.a).__await__()\n"
	  " async def run(self, scope, receive, send):\n " BODY, "3.0", "" },
	/* ASGI 2 */
	{ "", "def app(scope):\n async def run(receive, send):\n " BODY
	  " return run\n", "2.0", "" },
	{ "", "class app:\n def __init__(self, scope): self.scope = scope\n"
	  " async def __call__(self, receive, send):\n"
	  "   scope = self.scope\n " BODY, "2.0", "" },
	{ "interface = \"asgi2\";",
	  "def app(scope, *more):\n async def run(receive, send):\n "
	  BODY " return run\n", "2.0", "" },
	{ "interface = \"asgi3\";",
	  "import asyncio\nasync def f(scope, receive, send):\n" BODY
	  "class A:\n"
	  " def __call__(self, scope, receive=None, send=None):\n"
	  "  return f(scope, receive, send)\napp = A()\n", "3.0", "" },
	/* factories */
	{ FLAG, "def app():\n async def f(scope, receive, send):\n " BODY
	  " return f\n", "3.0", "" },
	{ "", "def app():\n async def f(scope, receive, send):\n " BODY
	  " return f\n", "3.0", DETECTED },
	{ "", "class app:\n async def __call__(self, scope, receive, send):\n"
	  " " BODY, "3.0", DETECTED },
	{ FLAG, "def app():\n def f(scope):\n"
	  "  async def run(receive, send):\n  " BODY "  return run\n"
	  " return f\n",
	    "2.0", "" },
};

/* The application is called and runs, as a Task, to the end. */
static const char call_it[] =
    "import asyncio\n"
    "async def call(callable):\n"
    "  sent = []\n"
    "  async def receive(): return 'event'\n"
    "  async def send(message): sent.append(message)\n"
    "  coro = callable({'who': 'scope'}, receive, send)\n"
    "  assert asyncio.iscoroutine(coro), coro\n"
    "  await asyncio.get_running_loop().create_task(coro)\n"
    "  assert sent == [{'who': 'scope', 'got': 'event'}], sent\n"
    "asyncio.run(call(callable))\n"
    "del callable\n";

START_TEST(load_works)
{
	const struct loaded *l = &loaded[_i];
	struct app app = { 0 };
	struct conf *conf;
	char options[256];
	int rv;

	support_write("m.py", l->module);
	snprintf(options, sizeof(options), "app = \"m:app\"; %s", l->options);
	conf = start(options);
	rv = app_load(&app, conf, &why);
	ck_assert_msg(rv == 0, "%s\n%s", l->module, support_log());
	ck_assert_str_eq(app.version, l->version);
	ck_assert_str_eq(support_log(), l->log);
	PyDict_SetItemString(PyModule_GetDict(PyImport_AddModule("__main__")),
	    "callable", app.callable);
	support_exec(call_it);
	app_free(&app);
	ck_assert_ptr_null(app.callable);
	conf_free(&conf);
	host_stop();
}
END_TEST

START_TEST(load_dotted)
{
	struct app app = { 0 };
	struct conf *conf;

	support_run("mkdir -p pkg/sub");
	support_write("pkg/sub/mod.py", "class space:\n"
	    " @staticmethod\n async def app(scope, receive, send): pass\n");
	conf = start("app = \"pkg.sub.mod:space.app\";");
	ck_assert_msg(app_load(&app, conf, &why) == 0, "%s", buf_str(&why));
	app_free(&app);
	conf_free(&conf);
	host_stop();
}
END_TEST

/* No wrapper stands between us and the usual application. */
START_TEST(load_wraps_no_coroutine_function)
{
	struct app app = { 0 };
	struct conf *conf;
	PyObject *module;

	support_write("m.py", "class A:\n"
	    " async def __call__(self, scope, receive, send): pass\n"
	    "app = A()\n");
	conf = start("app = \"m:app\";");
	ck_assert_int_eq(app_load(&app, conf, &why), 0);
	module = PyImport_ImportModule("m");
	ck_assert_ptr_eq(app.callable, PyObject_GetAttrString(module, "app"));
	host_stop();
}
END_TEST

/* ---- lifespan ---------------------------------------------------------- */

#define WAIT_UP	"INFO:     Waiting for application startup.\n"
#define UP	"INFO:     Application startup complete.\n"
#define UP_FAILED "ERROR:    Application startup failed. Exiting.\n"
#define WAIT_DOWN "INFO:     Waiting for application shutdown.\n"
#define DOWN	"INFO:     Application shutdown complete.\n"
#define DOWN_FAILED "ERROR:    Application shutdown failed. Exiting.\n"
#define RAISED	"ERROR:    Exception in 'lifespan' protocol\n"
#define UNSUPPORTED "INFO:     ASGI 'lifespan' protocol appears unsupported.\n"

#define ON	"lifespan = \"on\"; "
#define OFF	"lifespan = \"off\"; "
/* Only what shall be too slow has a limit. */
#define SHORT_UP	"timeouts = { startup = \"50ms\"; }; "
#define SHORT_DOWN	"timeouts = { shutdown = \"50ms\"; }; "

#define STARTUP	"  assert await receive() == {'type': 'lifespan.startup'}\n"
#define COMPLETE "  await send({'type': 'lifespan.startup.complete'})\n"
#define SHUTDOWN "  assert await receive() == {'type': 'lifespan.shutdown'}\n"
#define STOPPED	"  await send({'type': 'lifespan.shutdown.complete'})\n"

enum end { NO_START, CLEAN, NOT_CLEAN };

static const struct lifespan_row {
	const char	*options;
	const char	*body;		/* of async def app(scope, ...) */
	enum end	 end;
	const char	*entries;
	const char	*text;		/* must be in the log, or NULL */
} rows[] = {
	/* the way it should be */
	{ "", STARTUP COMPLETE SHUTDOWN STOPPED, CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, NULL },
	{ ON, STARTUP COMPLETE SHUTDOWN STOPPED, CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, NULL },
	{ "", "  while True:\n   message = await receive()\n"
	  "   await send({'type': message['type'] + '.complete'})\n", CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, NULL },
	{ "", STARTUP "  await asyncio.sleep(0.001)\n" COMPLETE SHUTDOWN
	  "  await asyncio.sleep(0.001)\n" STOPPED
	  "  await asyncio.sleep(0.001)\n"
	  "  import sys; print('cleaned up', file=sys.stderr)\n", CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, "\ncleaned up\n" },
	{ "", COMPLETE STARTUP SHUTDOWN STOPPED, CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, NULL },
	{ OFF, "  raise RuntimeError\n", CLEAN, "", NULL },

	/* raises before receive(): unsupported, unless it must be */
	{ "", "  assert scope['type'] == 'http'\n", CLEAN,
	    WAIT_UP UNSUPPORTED, NULL },
	{ "", "  await asyncio.sleep(0)\n  raise KeyError('type')\n", CLEAN,
	    WAIT_UP UNSUPPORTED, NULL },
	{ ON, "  assert scope['type'] == 'http'\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "in app\n    assert scope" },
	{ "", "  raise SystemExit\n", CLEAN, WAIT_UP UNSUPPORTED, NULL },

	/* raises after receive(): a failure */
	{ "", STARTUP "  raise RuntimeError('no database')\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "\nRuntimeError: no database\n" },
	{ ON, STARTUP "  raise RuntimeError('no database')\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "\nRuntimeError: no database\n" },
	{ "", STARTUP "  await asyncio.sleep(0)\n"
	  "  raise KeyboardInterrupt\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "\nKeyboardInterrupt\n" },
	{ "", STARTUP "  raise SystemExit(4)\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "\nSystemExit: 4\n" },
	{ "", STARTUP COMPLETE "  raise RuntimeError('at once')\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "\nRuntimeError: at once\n" },

	/* reports failure; what it raises then is the same failure */
	{ "", STARTUP "  await send({'type': 'lifespan.startup.failed', "
	  "'message': 'disk full'})\n", NO_START,
	    WAIT_UP "ERROR:    disk full\n" UP_FAILED, NULL },
	{ "", STARTUP "  await send({'type': 'lifespan.startup.failed'})\n"
	  "  raise OSError\n", NO_START, WAIT_UP UP_FAILED, NULL },
	{ ON, STARTUP "  await send({'type': 'lifespan.startup.failed'})\n"
	  "  await receive()\n", NO_START, WAIT_UP UP_FAILED, NULL },

	/* returns early */
	{ "", "  return\n", CLEAN, WAIT_UP UP, NULL },
	{ ON, STARTUP, CLEAN, WAIT_UP UP, NULL },
	{ "", STARTUP COMPLETE, CLEAN, WAIT_UP UP, NULL },
	{ "", STARTUP COMPLETE SHUTDOWN, CLEAN, WAIT_UP UP WAIT_DOWN DOWN,
	    NULL },

	/* wrong messages */
	{ "", STARTUP COMPLETE COMPLETE, NO_START,
	    WAIT_UP RAISED UP_FAILED, "Got invalid state transition on "
	    "lifespan protocol: 'lifespan.startup.complete' came at the "
	    "wrong time." },
	{ "", STARTUP STOPPED, NO_START, WAIT_UP RAISED UP_FAILED,
	    "'lifespan.shutdown.complete' came at the wrong time." },
	{ "", STARTUP "  await send({'type': 'http.response.start'})\n",
	    NO_START, WAIT_UP RAISED UP_FAILED, "RuntimeError: Unexpected "
	    "ASGI message 'http.response.start' in the lifespan protocol." },
	{ "", STARTUP "  await send({})\n", NO_START,
	    WAIT_UP RAISED UP_FAILED, "The ASGI message has no 'type'." },
	{ "", STARTUP "  await send('lifespan.startup.complete')\n", NO_START,
	    WAIT_UP RAISED UP_FAILED,
	    "TypeError: An ASGI message is a dict, got str." },

	/* shutdown that fails */
	{ "", STARTUP COMPLETE SHUTDOWN
	  "  await send({'type': 'lifespan.shutdown.failed', "
	  "'message': 'not saved'})\n", NOT_CLEAN,
	    WAIT_UP UP WAIT_DOWN "ERROR:    not saved\n" DOWN_FAILED, NULL },
	{ "", STARTUP COMPLETE SHUTDOWN "  raise RuntimeError('stuck')\n",
	    NOT_CLEAN, WAIT_UP UP WAIT_DOWN RAISED DOWN_FAILED,
	    "\nRuntimeError: stuck\n" },
	{ ON, STARTUP COMPLETE SHUTDOWN "  raise RuntimeError('stuck')\n",
	    NOT_CLEAN, WAIT_UP UP WAIT_DOWN RAISED DOWN_FAILED,
	    "\nRuntimeError: stuck\n" },
	{ "", STARTUP COMPLETE SHUTDOWN STOPPED STOPPED, NOT_CLEAN,
	    WAIT_UP UP WAIT_DOWN RAISED DOWN_FAILED,
	    "'lifespan.shutdown.complete' came at the wrong time." },

	/* deadlines */
	{ SHORT_UP, STARTUP "  await asyncio.sleep(60)\n", NO_START,
	    WAIT_UP "ERROR:    Application startup took longer than 50ms.\n"
	    UP_FAILED, NULL },
	{ SHORT_DOWN, STARTUP COMPLETE SHUTDOWN "  await asyncio.sleep(60)\n",
	    NOT_CLEAN, WAIT_UP UP WAIT_DOWN
	    "ERROR:    Application shutdown took longer than 50ms.\n"
	    DOWN_FAILED, NULL },
	{ SHORT_DOWN, STARTUP COMPLETE "  await asyncio.Future()\n", NOT_CLEAN,
	    WAIT_UP UP WAIT_DOWN
	    "ERROR:    Application shutdown took longer than 50ms.\n"
	    DOWN_FAILED, NULL },
	/* cancellation refused: given up in the end */
	{ SHORT_UP, STARTUP "  while True:\n   try: await asyncio.sleep(60)\n"
	  "   except asyncio.CancelledError: pass\n", NO_START,
	    WAIT_UP "ERROR:    Application startup took longer than 50ms.\n"
	    UP_FAILED
	    "WARNING:  The application's lifespan task does not end.\n",
	    NULL },

	/* waits that were given up do not lose the event */
	{ "", STARTUP
	  "  for i in range(3):\n"
	  "   try: await asyncio.wait_for(receive(), 0.001)\n"
	  "   except asyncio.TimeoutError: pass\n"
	  "   else: assert False\n"
	  COMPLETE SHUTDOWN STOPPED, CLEAN, WAIT_UP UP WAIT_DOWN DOWN, NULL },
	/* a real task, in a context of its own */
	{ "", STARTUP "  assert asyncio.current_task() is not None\n"
	  "  async with asyncio.timeout(60): await asyncio.sleep(0)\n"
	  "  var.set('changed')\n" COMPLETE SHUTDOWN STOPPED, CLEAN,
	    WAIT_UP UP WAIT_DOWN DOWN, NULL },
};

struct run {
	PyObject	*loop;
	struct app	 app;
	struct lifespan	 ls;
	struct conf	*conf;
	int		 told;		/* how often */
	bool		 ok;
};

static void
on_done(bool ok, void *arg)
{
	struct run *run = arg;

	run->told++;
	run->ok = ok;
	loop_stop(aloop_loop(run->loop));
}

/* Run the loop until the callback came; what a Task lets out (SystemExit,
 * KeyboardInterrupt) does not end it. */
static bool
wait_done(struct run *run)
{
	run->told = 0;
	while (run->told == 0)
		if (aloop_run(run->loop) == -1)
			PyErr_Clear();
	ck_assert_int_eq(run->told, 1);
	ck_assert_ptr_null(PyErr_Occurred());
	return run->ok;
}

static void
run_init(struct run *run, const char *options, const char *body)
{
	char text[256];
	FILE *f = fopen("m.py", "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "import asyncio, contextvars\n"
	    "var = contextvars.ContextVar('var', default='default')\n"
	    "async def app(scope, receive, send):\n"
	    "  global kept; kept = scope, receive, send\n%s", body);
	fclose(f);
	memset(run, 0, sizeof(*run));
	snprintf(text, sizeof(text), "app = \"m:app\"; %s", options);
	run->conf = start(text);
	ck_assert_msg(app_load(&run->app, run->conf, &why) == 0, "%s",
	    buf_str(&why));
	run->loop = aloop_new();
	ck_assert_ptr_nonnull(run->loop);
	ck_assert_int_eq(port_init(run->loop), 0);
	ck_assert_int_eq(lifespan_start(&run->ls, run->loop, &run->app,
	    run->conf, on_done, run), 0);
	/* nothing of the application has run */
	ck_assert_str_eq(support_log(), "");
}

static void
run_fini(struct run *run)
{
	PyObject *r;

	lifespan_fini(&run->ls);
	lifespan_fini(&run->ls);
	r = PyObject_CallMethod(run->loop, "close", NULL);
	ck_assert_ptr_nonnull(r);
	Py_DECREF(r);
	app_free(&run->app);
	py_drop(&run->loop);
	conf_free(&run->conf);
}

START_TEST(lifespan_row)
{
	const struct lifespan_row *row = &rows[_i];
	struct run run;
	bool ok;

	run_init(&run, row->options, row->body);
	ok = wait_done(&run);
	ck_assert_msg(ok == (row->end != NO_START), "%s", support_log());
	ck_assert_ptr_nonnull(lifespan_state(&run.ls));
	if (row->end != NO_START) {
		lifespan_shutdown(&run.ls, on_done, &run);
		ok = wait_done(&run);
		ck_assert_msg(ok == (row->end == CLEAN), "%s", support_log());
	}
	ck_assert_str_eq(support_log_entries(), row->entries);
	if (row->text != NULL)
		support_find(support_log(), row->text);
	else
		ck_assert_str_eq(support_log(), row->entries);
	ck_assert_str_eq(support_eval("__import__('m').var.get()"),
	    "default");
	run_fini(&run);
	host_stop();
}
END_TEST

START_TEST(lifespan_scope_and_state)
{
	struct run run;
	PyObject *db;

	run_init(&run, "", STARTUP "  scope['state']['db'] = 42\n" COMPLETE
	    SHUTDOWN STOPPED);
	ck_assert(wait_done(&run));
	ck_assert_str_eq(support_eval("__import__('m').kept[0]"),
	    "{'type': 'lifespan', 'asgi': {'version': '3.0', "
	    "'spec_version': '2.0'}, 'state': {'db': 42}}");
	db = PyDict_GetItemString(lifespan_state(&run.ls), "db");
	ck_assert_ptr_nonnull(db);
	ck_assert_int_eq(PyLong_AsLong(db), 42);
	lifespan_shutdown(&run.ls, on_done, &run);
	ck_assert(wait_done(&run));
	run_fini(&run);
	host_stop();
}
END_TEST

START_TEST(lifespan_asgi2)
{
	struct run run;

	run_init(&run, "interface = \"asgi2\";", "  pass\n"
	    "class app:\n"
	    " def __init__(self, scope):\n"
	    "  assert scope['asgi']['version'] == '2.0'\n"
	    " async def __call__(self, receive, send):\n"
	    STARTUP COMPLETE SHUTDOWN STOPPED);
	ck_assert(wait_done(&run));
	lifespan_shutdown(&run.ls, on_done, &run);
	ck_assert(wait_done(&run));
	ck_assert_str_eq(support_log(), WAIT_UP UP WAIT_DOWN DOWN);
	run_fini(&run);
	host_stop();
}
END_TEST

/* While serving: the failure is logged, requests go on, and there is nobody
 * left to shut down. */
START_TEST(lifespan_dies_while_serving)
{
	struct run run;

	run_init(&run, "", STARTUP COMPLETE
	    "  await asyncio.sleep(0.001)\n"
	    "  asyncio.get_running_loop().call_later(0.001, "
	    "asyncio.get_running_loop().stop)\n"
	    "  raise RuntimeError('lost')\n");
	ck_assert(wait_done(&run));
	ck_assert_int_eq(aloop_run(run.loop), 0);
	support_find(support_log(), RAISED);
	support_find(support_log(), "\nRuntimeError: lost\n");
	lifespan_shutdown(&run.ls, on_done, &run);
	ck_assert(wait_done(&run));
	ck_assert_str_eq(support_log_entries(), WAIT_UP UP RAISED);
	run_fini(&run);
	host_stop();
}
END_TEST

/* Stop asked for while the application still starts. */
START_TEST(lifespan_stopped_while_starting)
{
	struct run run;

	run_init(&run, "", STARTUP
	    "  asyncio.get_running_loop().stop()\n"
	    "  await asyncio.sleep(60)\n");
	ck_assert_int_eq(aloop_run(run.loop), 0);
	lifespan_shutdown(&run.ls, on_done, &run);
	ck_assert(wait_done(&run));
	ck_assert_str_eq(support_log(), WAIT_UP);
	run_fini(&run);
	host_stop();
}
END_TEST

/* The application may keep its callables: they refuse, and nothing of ours
 * is kept alive by them. */
START_TEST(lifespan_leaves_nothing)
{
	struct run run;
	PyObject *callable, *state;
	Py_ssize_t before, loops;

	run_init(&run, "", STARTUP COMPLETE SHUTDOWN STOPPED
	    "  await receive()\n");
	callable = run.app.callable;
	before = Py_REFCNT(callable);
	ck_assert(wait_done(&run));
	lifespan_shutdown(&run.ls, on_done, &run);
	ck_assert(wait_done(&run));
	ck_assert_ptr_null(run.ls.task);
	state = py_ref(lifespan_state(&run.ls));
	lifespan_fini(&run.ls);
	/* the struct held one reference while it lived */
	ck_assert_int_eq(Py_REFCNT(callable), before - 1);
	support_exec("import m, asyncio\n"
	    "for call in (m.kept[1], lambda: m.kept[2]({})):\n"
	    "  try: call().send(None)\n"
	    "  except RuntimeError as e: assert 'is over' in str(e)\n"
	    "  else: assert False\n"
	    "m.kept = None\n");
	support_eval("gc.collect()");
	ck_assert_int_eq(Py_REFCNT(state), 1);
	Py_DECREF(state);
	loops = Py_REFCNT(run.loop);
	ck_assert_int_ge(loops, 1);
	run_fini(&run);
	ck_assert_str_eq(support_log(), WAIT_UP UP WAIT_DOWN DOWN);
	host_stop();
	ck_assert_str_eq(support_log(), WAIT_UP UP WAIT_DOWN DOWN);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("app");
	TCase *load = tcase_create("load"), *life = tcase_create("lifespan");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(load, support_setup, NULL);
	tcase_add_checked_fixture(life, support_setup, NULL);
	tcase_set_timeout(load, 60);
	tcase_set_timeout(life, 60);
	suite_add_tcase(s, load);
	suite_add_tcase(s, life);

	tcase_add_loop_test(load, load_refused, 0, countof(refused));
	tcase_add_loop_test(load, load_works, 0, countof(loaded));
	tcase_add_test(load, load_dotted);
	tcase_add_test(load, load_wraps_no_coroutine_function);

	tcase_add_loop_test(life, lifespan_row, 0, countof(rows));
	tcase_add_test(life, lifespan_scope_and_state);
	tcase_add_test(life, lifespan_asgi2);
	tcase_add_test(life, lifespan_dies_while_serving);
	tcase_add_test(life, lifespan_stopped_while_starting);
	tcase_add_test(life, lifespan_leaves_nothing);

	sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_FORK);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
