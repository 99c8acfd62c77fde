/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of the loop is not called often enough to be C: class Loop itself,
 * and the helpers for errors, debug mode and repr.  Compiled into the module
 * as source text, run once when it is imported.
 */
#include "py/py.h"

#include "py/aloop.h"
#include "py/aloop_impl.h"

static const char source[] =
"import asyncio\n"
"import selectors\n"
"import signal\n"
"import sys\n"
"import threading\n"
"import warnings\n"
"from asyncio import base_events, coroutines, events, format_helpers\n"
"from asyncio import selector_events, unix_events\n"
"\n"
"\n"
"class _Selector:\n"
"    'What the standard transports ask a selector: who is watched.'\n"
"\n"
"    def __init__(self, loop):\n"
"        self._loop = loop\n"
"\n"
"    def get_key(self, fileobj):\n"
"        events = self._loop._watched(fileobj) if self._loop else 0\n"
"        if not events:\n"
"            raise KeyError(f'{fileobj!r} is not registered')\n"
"        return selectors.SelectorKey(fileobj, fileobj, events, None)\n"
"\n"
"    def select(self, timeout=None):\n"
"        # asked by what replaces _run_once(), nest_asyncio say\n"
"        if self._loop:\n"
"            self._loop._turn(timeout is None or timeout > 0)\n"
"        return []\n"
"\n"
"    def close(self):\n"
"        self._loop = None\n"
"\n"
"\n"
"class _SelectorSocketTransport(selector_events._SelectorSocketTransport):\n"
"    # recv() allocates as much before each read; 256 KiB cost 0.7 us\n"
"    max_size = 65536\n"
"\n"
"\n"
"class Loop(LoopCore, asyncio.SelectorEventLoop):\n"
"    'The event loop of asgid.'\n"
"\n"
"    def __init__(self):\n"
"        super().__init__(_Selector(self))\n"
"\n"
"    def run_forever(self):\n"
"        # 3.13.0 takes the running loop down when it is run twice\n"
"        self._check_closed()\n"
"        self._check_running()\n"
"        super().run_forever()\n"
"\n"
"    def remove_signal_handler(self, sig):\n"
"        removed = super().remove_signal_handler(sig)\n"
"        if self is _served:\n"
"            _hear_signals(self)\n"
"        return removed\n"
"\n"
"    def _make_socket_transport(self, *args, **kwargs):\n"
"        return _SelectorSocketTransport(self, *args, **kwargs)\n"
"\n"
"    if sys.version_info < (3, 14):\n"
"        async def _make_subprocess_transport(self, *args, **kwargs):\n"
"            if _has_child_watcher():\n"
"                make = super()._make_subprocess_transport\n"
"            else:\n"
"                make = self._watch_subprocess\n"
"            return await make(*args, **kwargs)\n"
"\n"
"        async def _watch_subprocess(self, *args, extra=None, **kwargs):\n"
"            waiter = self.create_future()\n"
"            transport = unix_events._UnixSubprocessTransport(\n"
"                self, *args, waiter=waiter, extra=extra, **kwargs)\n"
"            watcher = unix_events.PidfdChildWatcher()\n"
"            watcher.attach_loop(self)\n"
"            watcher.add_child_handler(transport.get_pid(),\n"
"                self._child_watcher_callback, transport)\n"
"            try:\n"
"                await waiter\n"
"            except (SystemExit, KeyboardInterrupt):\n"
"                raise\n"
"            except BaseException:\n"
"                transport.close()\n"
"                await transport._wait()\n"
"                raise\n"
"            return transport\n"
"\n"
"\n"
"def _has_child_watcher():\n"
"    'No, when an application has installed the policy of uvloop.'\n"
"    with warnings.catch_warnings():\n"
"        warnings.simplefilter('ignore', DeprecationWarning)\n"
"        try:\n"
"            events.get_child_watcher()\n"
"        except NotImplementedError:\n"
"            return False\n"
"    return True\n"
"\n"
"\n"
"def _format_callback(handle):\n"
"    args = handle._callback, handle._args\n"
"    if sys.version_info >= (3, 13):\n"
"        try:\n"
"            return format_helpers._format_callback_source(\n"
"                *args, debug=handle._loop.get_debug())\n"
"        except TypeError:\n"
"            pass\n"
"    return format_helpers._format_callback_source(*args)\n"
"\n"
"\n"
"def _callback_error(handle, exc):\n"
"    context = {\n"
"        'message': f'Exception in callback {_format_callback(handle)}',\n"
"        'exception': exc,\n"
"        'handle': handle,\n"
"    }\n"
"    if handle._source_traceback:\n"
"        context['source_traceback'] = handle._source_traceback\n"
"    handle._loop.call_exception_handler(context)\n"
"\n"
"\n"
"def _slow_callback(loop, handle, seconds):\n"
"    if seconds >= loop.slow_callback_duration:\n"
"        base_events.logger.warning(\n"
"            'Executing %s took %.3f seconds',\n"
"            base_events._format_handle(handle), seconds)\n"
"\n"
"\n"
"def _source_traceback():\n"
"    return format_helpers.extract_stack(sys._getframe(1))\n"
"\n"
"\n"
"def _check_callback(loop, callback, method):\n"
"    loop._check_callback(callback, method)\n"
"\n"
"\n"
"def _handle_repr(handle):\n"
"    info = [type(handle).__name__]\n"
"    if handle._cancelled:\n"
"        info.append('cancelled')\n"
"    if isinstance(handle, TimerHandle):\n"
"        info.append(f'when={handle._when}')\n"
"    if handle._callback is not None:\n"
"        info.append(_format_callback(handle))\n"
"    if handle._source_traceback:\n"
"        frame = handle._source_traceback[-1]\n"
"        info.append(f'created at {frame[0]}:{frame[1]}')\n"
"    return '<{}>'.format(' '.join(info))\n"
"\n"
"\n"
"def _usable(loop):\n"
"    if loop._closed or loop._thread_id:\n"
"        return False\n"
"    if loop._asyncgens_shutdown_called or loop._executor_shutdown_called:\n"
"        loop.close()        # all but that was done\n"
"        return False\n"
"    return True\n"
"\n"
"\n"
"_served = None      # the loop of the worker while it runs\n"
"\n"
"\n"
"def _hear_signals(loop):\n"
"    # a signal just before the wait ends it as well\n"
"    signal.set_wakeup_fd(loop._csock.fileno(), warn_on_full_buffer=False)\n"
"\n"
"\n"
"def _run(loop, owned, set_running=events._set_running_loop,\n"
"         turns=LoopCore._turns):\n"
"    # a frame for all that callbacks find on the stack: debug mode needs one\n"
"    global _served\n"
"    loop._set_coroutine_origin_tracking(loop._debug)\n"
"    hooks = sys.get_asyncgen_hooks()\n"
"    try:\n"
"        loop._thread_id = threading.get_ident()\n"
"        sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook,\n"
"                               finalizer=loop._asyncgen_finalizer_hook)\n"
"        set_running(loop)\n"
"        if owned:\n"
"            _served = loop\n"
"            _hear_signals(loop)\n"
"        turns(loop)\n"
"    finally:\n"
"        if loop is _served:\n"
"            _served = None\n"
"            signal.set_wakeup_fd(-1)\n"
"        loop._thread_id = None\n"
"        set_running(None)\n"
"        loop._set_coroutine_origin_tracking(False)\n"
"        sys.set_asyncgen_hooks(*hooks)\n"
"\n"
"\n"
"def _loop_error(loop, what, exc):\n"
"    loop.call_exception_handler({\n"
"        'message': f'Exception in {what}', 'exception': exc})\n"
"\n"
"\n"
"def _forked(loop, signals, ours):\n"
"    # in the child: the loop of the parent has no handlers here, and where\n"
"    # the server stood over the application's own, that one stands alone\n"
"    global _served\n"
"    _served = None\n"
"    signal.set_wakeup_fd(-1)\n"
"    handlers = loop._signal_handlers if loop else {}\n"
"    for signo in {*signals, *handlers}:\n"
"        own = signal.getsignal(signo)\n"
"        if signo in handlers or own is ours or not callable(own):\n"
"            own = signal.SIG_DFL\n"
"        signal.signal(signo, own)\n"
"    handlers.clear()\n"
"\n"
"\n"
"_Task = asyncio.Task\n"
"_Future = asyncio.Future\n"
"_close = asyncio.SelectorEventLoop.close\n"
"_create_task = asyncio.SelectorEventLoop.create_task\n";

int
aloop_rest_exec(PyObject *module, struct aloop_state *st)
{
	const struct {
		const char	 *name;
		PyObject	**slot;
	} wanted[] = {
		{ "Loop", &st->loop_class },
		{ "_Task", &st->task_type },
		{ "_Future", &st->future_type },
		{ "_close", &st->base_close },
		{ "_create_task", &st->base_create_task },
		{ "_callback_error", &st->callback_error },
		{ "_slow_callback", &st->slow_callback },
		{ "_source_traceback", &st->source_traceback },
		{ "_check_callback", &st->check_callback },
		{ "_handle_repr", &st->handle_repr },
		{ "_usable", &st->usable },
		{ "_run", &st->run },
		{ "_loop_error", &st->loop_error },
		{ "_forked", &st->forked },
	};
	PyObject *code, *r, *dict = PyModule_GetDict(module);
	size_t i;

	code = Py_CompileString(source, "<asgid loop>", Py_file_input);
	if (code == NULL)
		return -1;
	if (PyDict_SetItemString(dict, "__builtins__",
	    PyEval_GetBuiltins()) == -1) {
		Py_DECREF(code);
		return -1;
	}
	r = PyEval_EvalCode(code, dict, dict);
	Py_DECREF(code);
	if (r == NULL)
		return -1;
	Py_DECREF(r);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		*wanted[i].slot = Py_XNewRef(PyDict_GetItemString(dict,
		    wanted[i].name));
		if (*wanted[i].slot == NULL) {
			PyErr_Format(PyExc_SystemError, "_asgid: no %s",
			    wanted[i].name);
			return -1;
		}
	}
	return 0;
}
