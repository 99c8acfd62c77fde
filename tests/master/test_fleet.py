# SPDX-License-Identifier: BSD-3-Clause
"""The workers' lives: start, stop, death, replacement."""
import os
import re
import signal
import time

import pytest

from conftest import ORDINARY, poll, stat_of


def test_start_and_stop(asgid):
    a = asgid().serving()
    assert a.ask() == a.worker()
    worker = a.worker()
    a.stop()
    text = a.log
    order = ["Started asgid [%d]" % a.pid,
             "Started worker process [%d]" % worker,
             "asgid running on http://127.0.0.1:",
             "Received SIGTERM, shutting down",
             "fake: drain",
             "Finished worker process [%d]" % worker,
             "Finished asgid [%d]" % a.pid]
    at = [text.find(line) for line in order]
    assert -1 not in at and at == sorted(at), text
    assert not re.search("^(ERROR|CRITICAL)", text, re.M), text


def test_several_workers(asgid):
    a = asgid("--workers", "3").serving(3)
    pids = a.workers()
    assert len(pids) == 3
    assert a.ask() in pids
    a.stop()
    assert a.log.count("Finished worker process") == 3
    assert not any(map(stat_of, pids))


@pytest.mark.parametrize("words, status", [
    ("fail=3", 3), ("fail=1", 1), ("exit=3", 3), ("exit=1", 1),
    ("exit=0", 3), ("exit=77", 3), ("crash", 3)])
def test_failing_first_start(asgid, words, status):
    a = asgid(fake=words)
    assert a.wait() == status
    assert "failed to start, stopping asgid" in a.log
    assert "running on" not in a.log
    if words.startswith("fail"):
        assert "died" not in a.log
    if words == "crash":
        assert re.search(r"died: killed by SIGABRT after \d+\.\d s$", a.log,
                         re.M)


def test_one_of_several_fails_its_first_start(asgid):
    a = asgid("--workers", "3", fake="only=2 fail=3")
    assert a.wait() == 3
    assert not a.workers()
    assert len(re.findall("Finished worker process", a.log)) == 2, a.log


def test_missing_worker_program(asgid):
    a = asgid(env={"ASGID_WORKER": "/nowhere/asgid-worker"}, **ORDINARY)
    assert a.wait() == 1
    assert "/nowhere/asgid-worker: No such file" in a.log


def test_hang_on_first_start(asgid):
    a = asgid(conf='listen = ({ address = "127.0.0.1:0"; });\n'
              'timeouts = { startup = "200ms"; };', fake="hang")
    assert a.wait() == 3
    assert "is not ready after 200ms (timeouts.startup), killing it" in a.log


def test_stop_while_starting(asgid):
    a = asgid(fake="hang")
    poll(a.workers, "a worker")
    a.stop()
    assert "Finished worker process" in a.log


def test_respawn_after_kill(asgid):
    a = asgid("--workers", "2").serving(2)
    victim, other = a.workers()
    os.kill(victim, signal.SIGKILL)
    a.wait_log(r"fake: go$", 3)
    assert "another worker in" not in a.log     # without a pause
    assert "Worker process [%d] died: killed by SIGKILL after" % victim \
        in a.log
    assert other in a.workers() and len(a.workers()) == 2
    a.stop()


def test_crash_loop_backs_off(asgid):
    began = time.monotonic()
    a = asgid(fake="die")
    a.wait_log("Starting another worker in 4s")
    assert time.monotonic() - began >= 3
    # the first one is replaced at once, then 1 s, 2 s
    log = a.log[:a.log.index("worker in 4s")]
    assert re.findall(r"another worker in (\S+)", log) == ["1s", "2s"]
    assert log.count("Started worker process") == 4
    assert log.count("died: killed by SIGABRT") == 4
    # also a fleet of nobody stops
    a.stop()


def test_failing_respawn_is_retried(asgid):
    a = asgid().serving()
    a.behave("fail=3")
    os.kill(a.worker(), signal.SIGKILL)
    a.wait_log(r"ERROR: +Worker process \[\d+\] failed to start$")
    a.wait_log("another worker in 1s")
    a.behave("")
    a.wait_log("fake: go$", 2)
    assert a.ask() == a.worker()
    assert "stopping asgid" not in a.log
    a.stop()


def test_hanging_respawn_is_killed_and_retried(asgid):
    # the first one must have been quicker than that
    a = asgid(conf='listen = ({ address = "127.0.0.1:0"; });\n'
              'timeouts = { startup = "5s"; };').serving()
    a.behave("hang nodrain")
    os.kill(a.worker(), signal.SIGKILL)
    a.wait_log("is not ready after 5s")
    a.wait_log("another worker in 1s")
    a.behave("")
    a.wait_log("fake: go$", 2)
    a.stop()


def test_recycle_waits_for_the_successor(asgid, tmp):
    a = asgid(fake="recycle=%s/now" % tmp).serving()
    old = a.worker()
    a.behave("until=%s/ready" % tmp)
    (tmp / "now").touch()
    poll(lambda: len(a.workers()) == 2, "two workers")
    # the old one serves until the new one does
    assert all(a.ask() == old for _ in range(50))
    assert a.log.count("fake: go") == 1 and "fake: drain" not in a.log
    (tmp / "ready").touch()
    a.wait_log(r"Finished worker process \[%d\]" % old)
    assert a.ask() == a.worker() != old
    assert a.log.rfind("fake: drain") > a.log.rfind("Started worker")
    assert not re.search("^(ERROR|CRITICAL)", a.log, re.M), a.log
    a.stop()


def test_recycle_with_failing_successor(asgid, tmp):
    a = asgid(fake="recycle=%s/now" % tmp).serving()
    old = a.worker()
    a.behave("fail=3")
    (tmp / "now").touch()
    a.wait_log("another worker in 1s")
    poll(lambda: a.workers() == [old], "the old one alone")
    assert a.ask() == old and "fake: drain" not in a.log
    a.behave("")
    a.wait_log(r"Finished worker process \[%d\]" % old)
    assert a.ask() == a.worker() != old
    a.stop()


def test_recycling_worker_dies_before_its_successor_is_ready(asgid, tmp):
    a = asgid(fake="recycle=%s/now" % tmp).serving()
    old = a.worker()
    a.behave("until=%s/ready" % tmp)
    (tmp / "now").touch()
    poll(lambda: len(a.workers()) == 2, "two workers")
    os.kill(old, signal.SIGKILL)
    a.wait_log(r"Worker process \[%d\] died" % old)
    (tmp / "ready").touch()
    a.wait_log("fake: go$", 2)
    assert len(a.workers()) == 1 and a.ask() == a.worker()
    assert a.log.count("Started worker process") == 2
    a.stop()


def test_worker_that_leaves_is_replaced(asgid, tmp):
    a = asgid(fake="leave=%s/now" % tmp).serving()
    old = a.worker()
    a.behave("")
    (tmp / "now").touch()
    a.wait_log("fake: go$", 2)
    a.wait_log(r"Finished worker process \[%d\]" % old)
    assert a.ask() == a.worker() != old
    a.stop()


def test_worker_without_channel_is_killed(asgid):
    a = asgid(fake="mute").serving()
    old = a.worker()
    a.behave("")
    a.wait_log(r"Worker process \[%d\] does not exit, killing it" % old)
    a.wait_log("fake: go$", 2)
    a.stop()


def test_worker_that_passes_what_lingers_holds_nobody_up(asgid):
    a = asgid(fake="burden").serving()
    a.wait_log("fake: burdened")
    burdened = a.worker()
    a.behave("")
    a.signal(signal.SIGTTIN)
    a.wait_log("fake: go$", 2)
    os.kill(burdened, signal.SIGKILL)
    a.wait_log("fake: go$", 3)
    a.stop()


def test_worker_that_forges_statistics_harms_itself_alone(asgid):
    a = asgid("--workers", "2", conf='listen = ({ address = "127.0.0.1:0"; });'
              '\ntimeouts = { hang = "1s"; };', fake="only=1 forge")
    a.wait_log("hangs for more than 1s", 3)
    killed = re.findall(r"process \[(\d+)\] hangs", a.log)
    assert len(set(killed)) == len(killed), a.log
    # the second of the first two, and still there
    healthy = re.findall(r"Started worker process \[(\d+)\]", a.log)[1]
    assert healthy not in killed and int(healthy) in a.workers(), a.log
    a.behave("")
    a.stop()


def test_worker_without_channel_is_killed_whatever_is_asked_of_it(asgid):
    a = asgid(conf='listen = ({ address = "127.0.0.1:0"; });\n'
              'timeouts = { graceful = 0; };', fake="mute nodrain").serving()
    a.signal()
    assert a.wait() == 0


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_forces(asgid, signo):
    a = asgid(fake="nodrain").serving()
    a.signal(signo)
    a.wait_log("fake: drain")
    a.signal(signo)
    assert a.wait() == 0
    assert "Received %s again, stopping at once" % signo.name in a.log
    assert "fake: stop now" in a.log and "killing" not in a.log


def test_second_signal_kills_who_does_not_listen(asgid):
    a = asgid(fake="nodrain nostop").serving()
    worker = a.worker()
    a.signal()
    a.wait_log("fake: drain")
    began = time.monotonic()
    a.signal(signal.SIGINT)
    a.wait_log("fake: stop now")
    a.signal(signal.SIGINT)
    assert a.wait() == 0
    assert time.monotonic() - began >= 2
    assert "Worker process [%d] does not exit, killing it" % worker in a.log


def test_sigquit_stops_at_once(asgid):
    a = asgid(fake="nodrain").serving()
    a.signal(signal.SIGQUIT)
    assert a.wait() == 0
    assert "fake: stop now" in a.log and "fake: drain" not in a.log


GRACEFUL = ('listen = ({ address = "127.0.0.1:0"; });\n'
            'timeouts = { graceful = "100ms"; shutdown = "%s"; };')


def test_graceful_stop_is_bounded(asgid):
    a = asgid(conf=GRACEFUL % "1h", fake="nodrain").serving()
    worker = a.worker()
    began = time.monotonic()
    a.signal()
    assert a.wait() == 0
    assert time.monotonic() - began >= 2.1
    assert ("Worker process [%d] did not stop within 100ms "
            "(timeouts.graceful), killing it" % worker) in a.log


def test_shutdown_time_is_granted_to_who_takes_part(asgid):
    a = asgid(conf=GRACEFUL % "1ms", fake="says").serving()
    began = time.monotonic()
    a.signal()
    assert a.wait() == 0
    assert time.monotonic() - began >= 5.101


def test_who_says_again_that_it_drains_gets_no_more_time(asgid):
    a = asgid(conf=GRACEFUL % "1ms", fake="chatter").serving()
    a.signal()
    assert a.wait() == 0
    assert "did not stop within 100ms" in a.log


def test_no_orphan_after_kill_of_the_master(asgid):
    a = asgid("--workers", "2").serving(2)
    pids = a.workers()
    a.signal(signal.SIGKILL)
    a.wait()
    poll(lambda: not any(map(stat_of, pids)), "workers end")


def test_no_orphan_while_starting(asgid):
    a = asgid(fake="hang")
    pids = poll(a.workers, "a worker")
    a.signal(signal.SIGKILL)
    a.wait()
    poll(lambda: not any(map(stat_of, pids)), "worker ends")
