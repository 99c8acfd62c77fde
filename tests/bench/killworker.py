#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of one of two workers under load: the other goes on, and a new one
answers within 2 s. Counts the requests that failed: only those on
connections of the dead worker may. Ends with 1 if it is otherwise."""

import argparse
import http.client
import os
import signal
import sys
import threading
import time

import servers


class Client(threading.Thread):
    """Asks and asks; notes (time, pid that answered or None)."""

    def __init__(self, port, stop):
        super().__init__(daemon=True)
        self.port, self.stop, self.seen = port, stop, []

    def run(self):
        while not self.stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                    timeout=10)
            try:
                # a new connection now and then, so that a new worker gets one
                for _ in range(20):
                    connection.request("GET", "/")
                    pid = int(connection.getresponse().read())
                    self.seen.append((time.monotonic(), pid))
                    if self.stop.is_set():
                        break
            except (OSError, http.client.HTTPException, ValueError):
                self.seen.append((time.monotonic(), None))
            finally:
                connection.close()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-c", "--clients", type=int, default=16)
    p.add_argument("-s", "--seconds", type=float, default=5,
                   help="under load after the kill (%(default)s)")
    args = p.parse_args()
    port = servers.free_port()
    command = servers.asgid("bench_app:pid", port, "--workers", "2",
                            "--log-level", "critical")
    stop = threading.Event()
    with servers.running(command, port) as server:
        servers.wait_for(lambda: len(servers.workers(server)) == 2,
                         "two workers")
        clients = [Client(port, stop) for _ in range(args.clients)]
        for c in clients:
            c.start()

        def seen():
            return [s for c in clients for s in list(c.seen)]

        servers.wait_for(lambda: len({p for _, p in seen()} - {None}) == 2,
                         "both workers to answer")
        old = servers.workers(server)
        victim = old[0]
        killed = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        back = None
        while time.monotonic() < killed + args.seconds:
            now = servers.workers(server)
            if back is None and victim not in now and len(now) == 2:
                back = time.monotonic()
            time.sleep(0.01)
        stop.set()
        for c in clients:
            c.join(15)
        answers = sorted(seen(), key=lambda s: s[0])
    later = [(t - killed, pid) for t, pid in answers if t > killed]
    failed = [t for t, pid in answers if pid is None]
    fresh = [t for t, pid in later if pid not in (None, *old)]
    good = [0.0] + [t for t, pid in later if pid is not None]
    gap = max((b - a for a, b in zip(good, good[1:])), default=args.seconds)
    first = f"{fresh[0] * 1e3:.0f} ms" if fresh else "never"
    print(f"{len(answers)} requests, {len(failed)} failed "
          f"({args.clients} connections)\n"
          f"longest time without any answer after the kill: "
          f"{gap * 1e3:.0f} ms\n"
          f"new process after "
          f"{'never' if back is None else f'{(back - killed) * 1e3:.0f} ms'}"
          f", its first answer after {first}")
    ok = fresh and fresh[0] < 2 and gap < 1 and len(failed) <= args.clients
    return not ok


if __name__ == "__main__":
    sys.exit(main())
