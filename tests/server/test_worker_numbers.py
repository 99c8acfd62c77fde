# SPDX-License-Identifier: BSD-3-Clause
"""Workers keep their numbers: who takes over from one has its number, and the
application can read it."""
import json
import os
import re
import signal

import pytest

from harness import application, get, poll
from test_control import Site

# as soon as it is imported, and what children of the application see
NUMBERED = application('BODY', '''
    if scope["path"] == "/hold":
        while not os.path.exists("LET_GO"):
            await asyncio.sleep(0.01)
''', '''import asyncio, json, os, subprocess, sys
CHILD = "import os; print(os.environ.get('ASGID_WORKER_NUMBER'))"
BODY = json.dumps({
    "number": os.environ["ASGID_WORKER_NUMBER"],
    "generation": os.environ["ASGID_GENERATION"],
    "pid": os.getpid(),
    "child": subprocess.check_output([sys.executable, "-c", CHILD],
                                     text=True).strip(),
    "internal": [k for k in os.environ if k == "ASGID_BIRTH"],
}).encode()
''')


@pytest.fixture
def site(asgid, tmp_path):
    return Site(asgid, tmp_path,
                NUMBERED.replace("LET_GO", str(tmp_path / "let go")))


def seats(site):
    """{number: pid} of those that serve."""
    rows = [w for w in site.json("workers") if w["state"] == "serving"]
    found = {w["id"]: w["pid"] for w in rows}
    assert len(found) == len(rows), rows
    return found


def hold(site):
    """A request that keeps its worker; the worker's process."""
    c = site.d.connect()
    c.send(get("/hold"))
    return c, poll(lambda: [w for w in site.json("workers")
                            if w["in_flight"]], "in flight")[0]


def test_environment(site):
    told = json.loads(site.d.get().body)
    assert told == {"number": told["child"], "generation": "1",
                    "internal": [], "child": told["child"],
                    "pid": seats(site)[int(told["number"])]}
    site.done("reload")
    site.done("wait drained")
    told = json.loads(site.d.get().body)
    assert told["generation"] == "2"
    assert told["pid"] == seats(site)[int(told["number"])]


def test_restart_twice(site):
    first = seats(site)
    assert sorted(first) == [1, 2]
    for _ in range(3):
        site.done("restart-worker 1")
        site.done("wait drained")
        now = seats(site)
        assert sorted(now) == [1, 2]
        assert now[1] != first[1] and now[2] == first[2]
        first = now
    for number, pid in first.items():
        site.d.wait_log(r"Started worker process \[%d\] as worker %d$" %
                        (pid, number))
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            assert f.read().split(b"\0")[1:] == [b"%d" % number, b""]


def test_reload(site):
    first = seats(site)
    site.done("reload")
    site.done("wait drained")
    now = seats(site)
    assert sorted(now) == sorted(first) == [1, 2]
    assert not set(now.values()) & set(first.values())


def test_death(site):
    site.d.expect("died: killed by SIGKILL")
    first = seats(site)
    os.kill(first[1], signal.SIGKILL)
    now = poll(lambda: [s for s in [seats(site)]
                        if s.get(1, first[1]) != first[1]], "another one")[0]
    assert sorted(now) == [1, 2] and now[2] == first[2]


def test_scale(site):
    first = seats(site)
    site.done("scale 4")
    assert sorted(seats(site)) == [1, 2, 3, 4]
    four = seats(site)
    assert {n: four[n] for n in (1, 2)} == first
    # the highest go
    site.done("scale 1")
    site.done("wait drained")
    assert seats(site) == {1: first[1]}
    site.done("scale 3")
    assert sorted(seats(site)) == [1, 2, 3]
    assert seats(site)[1] == first[1]


def test_two_in_an_overlap(site, tmp_path):
    """Both are shown, the former one first, and metrics stay valid."""
    c, old = hold(site)
    number = old["id"]
    site.done("restart-worker %d" % number)
    both = [w for w in site.json("workers") if w["id"] == number]
    assert [w["state"] for w in both] == ["draining", "serving"]
    assert both[0]["pid"] == old["pid"]
    # a second time, while the first one is still there
    site.done("restart-worker %d" % number)
    rows = [w["id"] for w in site.json("workers")]
    assert rows == sorted(rows) and rows.count(number) >= 2
    text = site.done("stats --openmetrics").splitlines()
    names = [line.rpartition(" ")[0] for line in text if line[0] != "#"]
    assert len(names) == len(set(names))
    assert site.gauge("asgid_worker_requests_in_flight", worker=number) == 1
    (tmp_path / "let go").touch()
    assert c.response().status == 200
    site.done("wait drained")
    assert sorted(seats(site)) == [1, 2]


def test_number_without_a_process(site, tmp_path):
    """It is told of, and is no unknown one."""
    site.d.allow(".*")
    first = seats(site)
    site.app.write_text("app = (\n")
    os.kill(first[1], signal.SIGKILL)
    rows = poll(lambda: [[w["id"] for w in ws]
                         for ws in [site.json("workers")]
                         if [w for w in ws if "pid" not in w]], "a pause")
    assert rows == [[1, 2]]
    poll(lambda: re.search(r"^ +1 +- +1 +next in ", site.done("workers"),
                           re.M), "its line")
    assert site.ask("restart-worker 1")[0] in (409, 500)    # if it starts
    assert site.ask("restart-worker 3")[0] == 404
