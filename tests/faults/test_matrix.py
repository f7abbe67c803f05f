"""One bad endpoint of three, by each fault, in each framework, through each client: few notice, and it is left."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from contextlib import suppress
from itertools import product

import pytest
from faults.replica import Replica
from faults.shops import load_on
from faults.upstream import in_flight

from meshware.core.policy import Observer
from meshware.mesh import Mesh

pytestmark = pytest.mark.untraced

FAULTS = (
    "refused", "syn-lost", "unaccepted", "frozen", "reset", "eof-headers", "reset-kept", "short", "half-closed",
    "stall-body", "drip-headers", "garbage", "bad-status", "503",
)  # fmt: skip
"""Of an endpoint: rows F01 to F13, and F19."""

UNSENT = ("refused", "syn-lost")
"""After which no request can have been read: a POST is safe."""

HALF_GOOD = ("reset-kept",)
"""Its every second answer is good: it is tried again and again, at no caller's cost."""

FRAMEWORKS = ("flask", "django", "starlette")
LIBRARIES = ("requests", "httpx2", "httpx")
PAIRS = tuple(product(FRAMEWORKS, LIBRARIES))
BUSY = 10
"""Calls that may fail, or meet the bad one in a second, on a machine that has other things to do: without ejection it
would be a third of all, some 40 and 20. The soak tier is strict."""

DEADLINE = 1.0
GENTLE, FULL = 60.0, 110.0
"""Requests a second beside other tests, and alone: half a processor, under coverage most of one."""

BACK = 30.0
"""Seconds within which an endpoint that is well again has its share."""


class Ledger(Observer):
    """When which endpoint was tried."""

    def __init__(self):
        self.tries, self.retried = [], 0

    def on_begin(self, call, attempt, headers, now):
        self.tries.append((now, attempt.endpoint.address))
        self.retried += attempt.number > 1

    def share(self, address, since, until):
        """Tries there, and in all, in a span."""
        tries = sorted(self.tries)
        within = tries[bisect_left(tries, (since,)) : bisect_left(tries, (until,))]
        return sum(where == address for _, where in within), len(within)


class Cell:
    """One shop under load, whose first endpoint can be turned bad and healed."""

    def __init__(self, framework, library, servers, bad, method, rate):
        self.rate = rate
        self.bad, self.ledger, self.served = bad, Ledger(), []
        addresses = [bad.address, *(each.address for each in servers)]
        service = {"endpoints": addresses, "timeout": DEADLINE, "connect_timeout": 0.3}
        settings = {"services": {"inventory": service}}
        self.mesh = Mesh.from_settings(settings, observers=[self.ledger])
        self._over = threading.Event()
        load = load_on(framework, settings, library, self.mesh, method)
        self._thread = threading.Thread(target=self._load, args=(load,))
        self._thread.start()

    def _load(self, load):
        try:
            load.run(self.rate, self._over.is_set, self.served)
        finally:
            load.end()

    def end(self):
        self._over.set()
        self._thread.join()
        self.mesh.close()

    def errors(self, since, until):
        """Of requests that began in this span, after the first fifty: the bad ones, and all."""
        within = sorted(each for each in self.served if since <= each.at < until)[50:]
        return sum(not each.good for each in within), len(within)

    def share_returns(self, within):
        """Whether the endpoint has 80 % of its share in some second, soon enough."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            time.sleep(0.25)
            now = time.monotonic()
            there, tried = self.ledger.share(self.bad.address, now - 1.0, now)
            if tried >= 30 and there >= 0.8 * tried / 3:
                return True
        return False


class Frozen(Replica):
    """A process that a fault freezes."""

    def turn(self, fault):
        self.freeze()

    def heal(self):
        self.thaw()


@pytest.fixture
def cell_of(upstreams):
    """`cell_of(fault, framework, library, method, rate)`: a shop under load."""
    made = []

    def make(fault, framework, library, method="GET", rate=GENTLE):
        bad = Frozen() if fault == "frozen" else upstreams[0]
        made.append(Cell(framework, library, upstreams[1:], bad, method, rate))
        return made[-1]

    yield make
    for cell in made:
        cell.end()
        with suppress(ProcessLookupError):
            if isinstance(cell.bad, Frozen):
                cell.bad.__exit__(None, None, None)


def lived(cell, fault, seconds):
    """Some health, until each endpoint is in use; then the fault; gives when it was there and when it ended."""
    there, tried, until = 0, 0, time.monotonic() + BACK
    while tried < 0.5 * cell.rate or there < 0.1 * tried:
        time.sleep(0.02)
        now = time.monotonic()
        assert now < until
        there, tried = cell.ledger.share(cell.bad.address, now - 1.0, now)
    cell.bad.turn(fault)
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def judge(cell, fault, began, ended, *, grace, few, late):
    """Errors, the time of each, and what the bad one still got; `few` are allowed where there are few in all."""
    bad, every = cell.errors(began, ended - DEADLINE)
    assert bad <= max(0.01 * every, few), f"{bad} of {every} failed"
    assert max(each.elapsed for each in cell.served) <= DEADLINE + late
    since = began + grace
    while fault not in HALF_GOOD and since + 1.0 <= ended:
        there, tried = cell.ledger.share(cell.bad.address, since, since + 1.0)
        assert there <= max(0.05 * tried, few), f"{there} of {tried} from {since - began:.1f} s on"
        since += 0.25


@pytest.mark.parametrize(
    "fault, framework, library", [(fault, *PAIRS[number % len(PAIRS)]) for number, fault in enumerate(FAULTS)]
)
def test_one_bad_endpoint_of_three(cell_of, fault, framework, library):
    cell = cell_of(fault, framework, library)
    began, ended = lived(cell, fault, 4.0)
    cell.bad.heal()
    judge(cell, fault, began, ended, grace=1.5, few=BUSY, late=4.0)


@pytest.mark.parametrize("framework, library", [("flask", "requests"), ("starlette", "httpx2")])
@pytest.mark.parametrize("fault", UNSENT)
def test_a_post_that_cannot_have_been_read_is_as_safe_as_a_get(cell_of, fault, framework, library):
    cell = cell_of(fault, framework, library, "POST")
    began, _ = lived(cell, fault, 2.0)
    while not cell.ledger.retried:  # it may have been out before it was bad, where calls are late
        assert time.monotonic() < began + BACK
        time.sleep(0.02)
    ended = time.monotonic()
    cell.bad.heal()
    assert cell.errors(began, ended)[0] <= BUSY


@pytest.mark.soak
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_endpoint_of_three_to_its_return(cell_of, fault, framework, library):
    cell = cell_of(fault, framework, library, rate=FULL)
    began, ended = lived(cell, fault, 10.0)
    judge(cell, fault, began, ended, grace=1.0, few=0, late=0.1)
    cell.bad.heal()
    assert cell.share_returns(BACK)
    cell.end()
    assert in_flight(cell.mesh) == 0


@pytest.mark.soak
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_post_fails_only_where_it_may_have_been_read(cell_of, fault, framework, library):
    cell = cell_of(fault, framework, library, "POST", FULL)
    began, ended = lived(cell, fault, 10.0)
    bad, every = cell.errors(began, ended - DEADLINE)
    assert bad <= 0.01 * every
    if fault in UNSENT:  # what was under way when it came may have been read
        assert all(each.good for each in cell.served if each.at >= began)
