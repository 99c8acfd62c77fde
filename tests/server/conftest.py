# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: `asgid` starts daemons for one test, `shared` for a module."""
import os

import pytest

import harness


def pytest_sessionstart(session):
    if not os.access(harness.program(), os.X_OK):
        raise pytest.UsageError("no asgid at %s: set ASGID_BUILD" %
                                harness.program())


def printable(what):
    """xdist carries text only; names of files are bytes."""
    return str(what).encode("utf-8", "backslashreplace").decode()


class Starter:
    def __init__(self, directory):
        self.directory = directory
        self.daemons = []

    def __call__(self, app=None, *args, **kw):
        d = harness.Daemon(self.directory, app, *args, **kw)
        self.daemons.append(d)
        return d

    def finish(self, failed):
        errors = []
        daemons, self.daemons = self.daemons, []
        for d in daemons:
            try:
                if failed:
                    d.kill_all()
                else:
                    d.check_and_stop()
            except AssertionError as e:
                errors.append(e)
        if errors:
            raise errors[0]


@pytest.hookimpl(hookwrapper=True)  # pytest 7.2, Debian 12's
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        report.longrepr = printable(report.longrepr)
    if report.when == "call":
        item.test_failed = report.failed
        if report.failed:
            starter = item.funcargs.get("asgid")
            daemons = starter.daemons if starter else []
            if "shared" in item.funcargs:
                daemons = daemons + [item.funcargs["shared"]]
            for d in daemons:
                report.sections.append(("asgid error log",
                                        printable(d.stderr[-4000:])))
                report.sections.append(("asgid access log",
                                        printable(d.stdout[-1000:])))


@pytest.fixture
def asgid(tmp_path, request):
    starter = Starter(tmp_path)
    yield starter
    starter.finish(getattr(request.node, "test_failed", False))


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory, request):
    """A daemon for all tests of a module; its SHARED names app and options.
    It must stay whole through all of them."""
    spec = request.module.SHARED
    starter = Starter(tmp_path_factory.mktemp("shared"))
    d = starter(*spec)
    yield d
    starter.finish(False)


@pytest.fixture
def shared(shared_daemon):
    d = shared_daemon
    pids = d.workers()
    yield d
    for c in d.conns:
        c.close()
    d.conns.clear()
    assert d.workers() == pids, "worker died:\n" + d.stderr[-4000:]
    d.check_descriptors()
