# SPDX-License-Identifier: BSD-3-Clause
"""What the code of the application's modules does while it is imported."""
import pytest

from harness import PATIENT, application

HEAD = "import asyncio\n"

# What replaces methods of the loop's class, as nest_asyncio does.
NEST = '''
import heapq
from asyncio import events

def run_until_complete(self, future):
    f = asyncio.ensure_future(future, loop=self)
    before = events._get_running_loop()
    events._set_running_loop(self)
    self._thread_id, thread = 1, self._thread_id
    try:
        while not f.done():
            self._run_once()
            if self._stopping:
                break
    finally:
        events._set_running_loop(before)
        self._thread_id = thread
    return f.result()

def run_forever(self):
    while True:
        self._run_once()
        if self._stopping:
            break
    self._stopping = False

def _run_once(self):
    timeout = 0 if self._ready or self._stopping else None
    self._process_events(self._selector.select(timeout))
    for _ in range(len(self._ready)):
        self._ready.popleft()._run()

cls = type(asyncio.get_event_loop())
cls.run_forever = run_forever
cls.run_until_complete = run_until_complete
cls._run_once = _run_once
cls._check_running = lambda self: None
cls._nest_patched = True
'''

# name: (head of the module, first lines of a request)
IMPORTS = {
    "complete_and_close": ('''
loop = asyncio.get_event_loop()
x = loop.run_until_complete(asyncio.sleep(0.01, 5))
loop.close()
''', "assert x == 5 and loop.is_closed()"),
    "complete": ('''
loop = asyncio.get_event_loop()
x = loop.run_until_complete(asyncio.sleep(0.01, 5))
''', "assert asyncio.get_running_loop() is loop"),
    "close": ("asyncio.get_event_loop().close()", ""),
    "stop": ("asyncio.get_event_loop().stop()", ""),
    "stop_twice": ('''
loop = asyncio.get_event_loop()
loop.call_soon(loop.stop)
loop.run_forever()
loop.stop()
''', ""),
    "shut_down": ('''
loop = asyncio.get_event_loop()
loop.run_until_complete(loop.shutdown_asyncgens())
loop.run_until_complete(loop.shutdown_default_executor())
''', "assert await asyncio.to_thread(int, '5') == 5"),
    "run": ('''
x = asyncio.run(asyncio.sleep(0.01, 5))
''', "assert x == 5"),
    "run_in_a_thread": ('''
import threading
loop = asyncio.get_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
while not loop.is_running():
    pass
''', '''
    f = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, 5), loop)
    assert await asyncio.wrap_future(f) == 5
'''),
    "other_loop": ('''
import atexit
other = asyncio.new_event_loop()
asyncio.set_event_loop(other)
atexit.register(other.close)
''', "assert asyncio.get_event_loop() is asyncio.get_running_loop()"),
    "no_loop": ('''
asyncio.set_event_loop(None)
''', "await asyncio.sleep(0)"),
    "policy": ('''
class Policy(asyncio.DefaultEventLoopPolicy):
    def set_event_loop(self, loop):
        raise NotImplementedError("not this one")
asyncio.set_event_loop_policy(Policy())
''', "await asyncio.sleep(0.001)"),
    # as old clients of databases do, which are made with the module
    "bound": ('''
loop = asyncio.get_event_loop()
future = loop.create_future()
seen = []
async def background():
    seen.append(asyncio.get_running_loop())
    future.set_result(5)
task = loop.create_task(background())
''', '''
    assert await future == 5
    assert seen == [asyncio.get_running_loop()] == [loop]
    assert await loop.run_in_executor(None, int, "7") == 7
'''),
    "nest": (NEST + '''
loop = asyncio.get_event_loop()
x = loop.run_until_complete(asyncio.sleep(0.01, 5))
x += loop.run_until_complete(asyncio.to_thread(int, "2"))
''', '''
    assert x == 7
    await asyncio.sleep(0.001)
    coro = asyncio.sleep(0.01)
    try:
        asyncio.get_running_loop().run_until_complete(coro)
    except RuntimeError as e:
        assert "cannot be run by the application" in str(e)
    else:
        raise AssertionError("ran")
    await asyncio.sleep(0.001)
'''),
}


@pytest.fixture
def site(asgid, tmp_path):
    """A folder of modules, served."""
    folder = tmp_path / "site"
    folder.mkdir()

    def serve(text, *args, **kw):
        (folder / "main.py").write_text(text)
        return asgid(None, "main:app", "--app-dir", str(folder), "--host",
                     "127.0.0.1", "--port", "0", *PATIENT, *args, **kw)
    serve.folder = folder
    return serve


@pytest.mark.parametrize("name", IMPORTS)
def test_loop_of_the_import(site, name):
    head, first = IMPORTS[name]
    if "\n" not in first:
        first = "    " + first
    d = site(application('b"ok"', first, HEAD + head))
    pid = d.worker
    if name == "policy":
        d.expect("cannot make the event loop current.*not this one")
    if name == "run_in_a_thread":
        d.allow("left over: handles_in_use")
    for _ in range(2):
        assert d.get().text == "ok", d.stderr
    assert d.workers() == [pid]


# Modules of the standard library that the server needs itself.
SHADOWS = """
    types token logging ssl socket selectors traceback subprocess weakref
    warnings concurrent asyncio contextvars inspect signal threading queue ast
    tokenize stringprep unicodedata tracemalloc enum functools
    """.split()

USES = '''
    import logging
    import ssl
    import warnings
    loop = asyncio.get_running_loop()
    if scope["path"] == "/fails":
        raise KeyError("told")
    assert await asyncio.to_thread(int, "5") == 5
    p = await asyncio.create_subprocess_exec("true")
    assert await p.wait() == 0
    try:
        await loop.getaddrinfo("b\u00fccher.invalid", 80)
    except OSError:
        pass
    async with asyncio.timeout(60), asyncio.TaskGroup() as g:
        g.create_task(asyncio.sleep(0.001))
    loop.call_soon(int, "told")
    ssl.create_default_context()
    asyncio.sleep(0)
    logging.getLogger("my").error("told")
    loop.set_debug(True)
    await asyncio.sleep(0.001)
    loop.set_debug(False)
'''


@pytest.mark.parametrize("name", SHADOWS)
def test_own_module_has_a_name_of_the_library(site, name):
    """It lies beside main.py; nothing of the server imports it."""
    text = "raise SystemError('not the standard library')\n"
    if name == "concurrent":
        (site.folder / name).mkdir()
        (site.folder / name / "__init__.py").write_text(text)
    else:
        (site.folder / (name + ".py")).write_text(text)
    d = site(application('b"ok"', USES, HEAD))
    d.allow("never awaited", "told", "")
    assert d.get("/").text == "ok", d.stderr
    assert d.get("/fails").status == 500
    d.wait_log("Traceback.*KeyError: 'told'")
    d.wait_log("Exception in callback int.*ValueError: invalid literal")
    assert "not the standard library" not in d.stderr


WRAPPERS = {
    "no methods": """
class Wrapper:
    def __init__(self, file):
        self.file = file
    def write(self, text):
        return self.file.write(text)
    def flush(self):
        self.file.flush()
""",
    "refuses": """
class Wrapper:
    def __init__(self, file):
        self.file = file
    def __getattr__(self, name):
        return getattr(self.file, name)
    def reconfigure(self, **kwargs):
        raise ValueError("not mine")
""",
    "nothing": "Wrapper = lambda file: None\n",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_output_wrapped_by_the_site(site, tmp_path, wrapper):
    place = tmp_path / "packages"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        "import sys\n" + WRAPPERS[wrapper] +
        "sys.stdout, sys.stderr = map(Wrapper, (sys.stdout, sys.stderr))\n"
        "sys.wrapped = True\n")
    d = site(application('b"%d" % sys.wrapped', "    print('printed')",
                         "import sys\n"), env={"PYTHONPATH": str(place)})
    assert d.get().text == "1"
    assert d.stop() == 0
    assert wrapper == "nothing" or "printed" in d.stdout
