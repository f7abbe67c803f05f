"""POSTs under faults that change all the while: none is read twice, whatever the client was told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.upstream import in_flight

URL = "http://inventory"
FAULTS = (
    "refused", "syn-lost", "unaccepted", "hole", "reset-unread", "reset", "eof-headers", "reset-kept", "closed-idle",
    "short", "reset-body", "half-closed", "stall-body", "drip-headers", "garbage", "503",
)  # fmt: skip
SETTINGS = {
    "timeout": 0.4,
    "connect_timeout": 0.1,
    "ejection": {"base": 0.1, "cap": 0.2, "probe_interval": 0.1},
    "circuit": {"enabled": False},
    "limits": {"enabled": False},
}


class Weather:
    """Turns one endpoint after another bad, and heals it, until told to stop."""

    def __init__(self, servers):
        self._servers, self._over, self._rng = servers, threading.Event(), random.Random(1)
        self.seen = Counter()
        self._thread = threading.Thread(target=self._blow)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _blow(self):
        while not self._over.wait(0.05):
            server = self._rng.choice(self._servers)
            if server.fault is None:
                server.turn(self._rng.choice(FAULTS))
                self.seen[server.fault] += 1
            else:
                server.heal()


@pytest.mark.row("F26")
@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.soak)])
def test_no_post_is_read_twice(mesh_of, caller_of, upstreams, count):
    mesh = mesh_of(SETTINGS, inventory=upstreams)
    callers, told = [caller_of(mesh) for _ in range(8)], Counter()

    def post(number):
        caller = callers[number % len(callers)]
        try:
            told[caller.ask("POST", f"{URL}/order/{number}", b"x" * (number % 3000)).status_code] += 1
        except caller.error as error:
            told[type(error).__name__] += 1

    def posts(first):
        for number in range(first, count, len(callers)):
            post(number)

    with Weather(upstreams) as weather, ThreadPoolExecutor(len(callers)) as pool:
        list(pool.map(posts, range(len(callers))))
    read = Counter(each.path for server in upstreams for each in server.requests)
    assert [path for path, times in read.items() if times > 1] == []
    assert told[200] > 0
    assert sum(told.values()) == count
    assert weather.seen
    until = time.monotonic() + 2.0
    while in_flight(mesh) and time.monotonic() < until:
        time.sleep(0.01)
    assert in_flight(mesh) == 0
