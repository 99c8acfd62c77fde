# SPDX-License-Identifier: BSD-3-Clause
"""What is said when an import fails, beyond that it has."""
import os
import re
import subprocess

import pytest

from harness import DEADLINE, program


@pytest.fixture
def site(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "main.py").write_text("import nothing_of_that_name\n")
    return tmp_path


def start(site, *args, script='exec "$@"', **env):
    """The log of a start that fails."""
    clean = {k: v for k, v in os.environ.items()
             if k not in ("VIRTUAL_ENV", "WEB_CONCURRENCY")}
    clean.setdefault("ASAN_OPTIONS", "detect_leaks=0")  # Python's
    r = subprocess.run(
        ["sh", "-c", script, "sh", program(), "--port", "0", "-o",
         "control.socket=", *map(str, args)],
        capture_output=True, text=True, timeout=DEADLINE, cwd=site,
        env={**clean, **env})
    assert r.returncode == 3, r
    return r.stderr


def environment(folder, version):
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("version = %s\n" % version)


LOOKED = (r"Looked for by Python 3\.\d+\.\d+\S* \(/\S+\) without a virtual "
          r"environment, first in %s")


@pytest.mark.parametrize("app, meant", [
    ("pkg/main.py:app", "pkg.main:app"), ("./pkg/main:app", "pkg.main:app"),
    ("main.py:make", "main:make")])
def test_a_file_for_a_module(site, app, meant):
    log = start(site, app)
    assert "Could not import module" in log
    assert re.search("Did you mean %s\\? " % meant + LOOKED % site + "$", log,
                     re.M), log


def test_the_module_is_not_there(site):
    log = start(site, "nope:app", "--app-dir", site / "pkg")
    assert "Did you mean" not in log
    assert re.search(LOOKED % (site / "pkg") + "$", log, re.M), log


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_an_environment_that_is_not_used(site, name):
    """.. is what is missing most often."""
    environment(site / name, own_version(site))
    log = start(site, "pkg.main:app")
    assert "No module named 'nothing_of_that_name'" in log
    assert re.search(LOOKED % site + "; %s is there, but not used: name it "
                     r"with python\.venv \(--venv\)$" % (site / name), log,
                     re.M), log


def own_version(site):
    """Of the Python inside asgid."""
    return re.search(r"by Python (\d+\.\d+\.\d+)", start(site, "a:b"))[1]


def test_an_environment_that_is_used(site):
    environment(site / "venv", own_version(site))
    (site / "venv" / "bin").mkdir()
    log = start(site, "pkg.main:app", "--venv", site / "venv")
    assert re.search(r"Looked for by Python \S+ \(%s/bin/python\) in the "
                     r"virtual environment %s, first in %s$" %
                     (site / "venv", site / "venv", site), log, re.M), log


def test_an_environment_of_another_python(site):
    environment(site / ".venv", "3.2.1")
    log = start(site, "pkg.main:app")
    assert re.search(LOOKED % site + r"; %s is a virtual environment of "
                     r"Python 3\.2, but this asgid embeds" % (site / ".venv"),
                     log, re.M), log


def test_a_lost_working_directory(site):
    (site / "lost").mkdir()
    log = start(site, "main:app",
                script='cd lost && rmdir "$PWD" && exec "$@"')
    assert re.search("; the current directory is gone$", log, re.M), log


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_working_directory_that_the_user_cannot_read(site):
    log = start(site, "main:app", "-o", "user=nobody")
    assert re.search(r"first in %s, which the worker's user \(\d+\) cannot "
                     r"read: Permission denied" % site, log), log
