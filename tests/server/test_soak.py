# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of mixed requests: memory stays flat and, at exit, every object
is accounted for."""
import random
import re

from harness import get
from procfs import rss

MB = 1 << 20


def mix(d, rng, n):
    c = d.connect()
    for _ in range(n):
        if c.eof:
            c = d.connect()
        what = rng.randrange(8)
        if what < 3:
            r = c.request("GET", "/parts" if what else "/progress")
            assert r.status == 200
        elif what == 3:
            k = rng.choice([0, 1, 1000, 30000])
            assert c.request("POST", "/echo", body=b"x" * k).body == b"x" * k
        elif what == 4:
            c.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                   b"chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
            assert c.response().body == b"abcde"
        elif what == 5:
            c.send(get("/parts") * 3)
            for _ in range(3):
                assert c.response().status == 200
        elif what == 6:
            c.send(rng.choice([b"garbage\r\n\r\n", get("/parts")[:30],
                               b"POST /up HTTP/1.1\r\nHost: t\r\n"
                               b"Content-Length: 0, 0\r\n\r\n"]))
            getattr(c, rng.choice(["close", "abort"]))()
            c = d.connect()
        else:
            c.send(rng.choice([get("/parts/slow"), get("/down/3"),
                               get("/whole/3"), get("/lastpart")]))
            if rng.randrange(2):
                c.close()
                c = d.connect()
            else:
                assert c.response().status == 200
    c.close()


def test_soak(asgid):
    d = asgid("streams", "--log-level", "debug", "--no-access-log")
    rng = random.Random(3)
    pid = d.worker
    mix(d, rng, 1500)
    d.check_descriptors()
    before = rss(pid)
    mix(d, rng, 3500)
    d.check_descriptors()
    grown = rss(pid) - before
    assert grown < 2 * MB, grown
    assert d.workers() == [pid]
    assert d.stop() == 0
    leaks = [x for x in d.log if re.search(r"\bleak", x, re.I) and
             not re.search(r"\b(0 leaked|no leaks?|leaked: 0)\b", x)]
    assert not leaks, leaks
