# SPDX-License-Identifier: BSD-3-Clause
"""A module of tests names its application in APP, and may have OPTIONS and
prepare(folder) -> environment. It shares one server, which must be as clean
at the end as it was at the start."""

import httpx
import pytest

import daemon


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def server(request, folder):
    module = request.module
    prepare = getattr(module, "prepare", lambda folder: {})
    server = daemon.Server(module.APP, folder,
                           getattr(module, "OPTIONS", ()), prepare(folder))
    try:
        server.start()
        yield server
        server.check()
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def client(server):
    """A pooled httpx client, closed before the server is looked at."""
    with httpx.Client(base_url=server.url, timeout=120, trust_env=False,
                      headers={"accept-encoding": "identity"},
                      verify=False) as client:
        yield client


@pytest.fixture
def program():
    """program(name, Debian package): its path, or skip the test."""
    def find(name, package):
        path = daemon.program(name, package)
        if path is None:
            pytest.skip(f"{name} is missing: install {package}")
        return path
    return find
