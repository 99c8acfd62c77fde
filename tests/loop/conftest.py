"""Each case runs on asyncio's own loop, the reference, and on ours."""
import asyncio
import gc
import logging
import os
import warnings

import pytest

try:
    import _asgid
except ImportError:
    raise pytest.UsageError('run me by the pyloop program (see run.sh)')

LOOPS = {'asyncio': asyncio.SelectorEventLoop, 'asgid': _asgid.Loop}


def pytest_collection_finish(session):
    """What exists by now stays: the collections of each case are quick."""
    gc.collect()
    gc.freeze()


def open_fds():
    return set(os.listdir('/proc/self/fd'))


@pytest.fixture(params=LOOPS)
def kind(request):
    return request.param


@pytest.fixture
def loop(kind, caplog):
    """A fresh loop, current while the case runs. What it leaves behind is
    an error: descriptors, handles, unexpected log lines."""
    gc.collect()
    fds = open_fds()
    in_use = _asgid.pool_stats()[2]
    loop = LOOPS[kind]()
    loop.expected_errors = []
    asyncio.set_event_loop(loop)
    with warnings.catch_warnings():
        warnings.simplefilter('error', ResourceWarning)
        yield loop
        if not loop.is_closed():
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        asyncio.set_event_loop(None)
    expected = loop.expected_errors
    del loop
    gc.collect()
    lines = [r.getMessage() for r in caplog.records
             if r.levelno >= logging.WARNING]
    lines = [x for x in lines if not any(e in x for e in expected)]
    assert not lines, lines
    gc.collect()
    assert open_fds() - fds == set()
    caplog.clear()
    gc.collect()
    assert _asgid.pool_stats()[2] <= in_use


@pytest.fixture
def run(loop):
    return loop.run_until_complete
