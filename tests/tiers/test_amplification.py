"""Flask, Django and Starlette in a row: when the last one fails, retries on the way add next to nothing to its load."""

from __future__ import annotations

import threading
import time

import pytest
from soaking import some_now
from tiers.chain import STARTUP, asked, chain

pytestmark = pytest.mark.untraced

AT_FIRST, AFTERWARDS = 1.2, 1.05
"""What the last tier may be sent, in requests of the edge: for ten seconds, and from then on."""

ATTEMPTS = 2
"""Of one tier for one call, by default."""


class Load:
    """Requests to the edge at a steady pace, on a thread, until the end."""

    def __init__(self, chain, rate, seconds):
        self.statuses = []
        self._thread = threading.Thread(
            target=lambda: self.statuses.extend(asked(chain.edge, rate=rate, seconds=seconds))
        )
        self._thread.start()

    def end(self):
        self._thread.join()


def told(chain, mood, *, rate, healthy, parts):
    """How many requests, and how many connects, the last tier saw in each part (seconds) after it fell ill, over
    those of the edge."""
    load = Load(chain, rate, healthy + sum(parts))
    time.sleep(healthy)
    before = chain.requests, chain.connects
    chain.turn(mood)
    seen = []
    for part in parts:
        time.sleep(part)
        now = chain.requests, chain.connects
        seen.append(tuple((b - a) / (rate * part) for a, b in zip(before, now, strict=True)))
        before = now
    load.end()
    assert load.statuses[: int(rate * healthy / 2)] == [200] * int(rate * healthy / 2)
    return seen


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """One chain for several illnesses."""
    with chain(tmp_path_factory.mktemp("tiers"), stocks=2) as made:
        yield made


def healed(tiers):
    """Well again, and known to be."""
    tiers.turn("ok")
    until = time.monotonic() + STARTUP
    while asked(tiers.edge, rate=20.0, seconds=1.0) != [200] * 20:
        assert time.monotonic() < until


@pytest.mark.parametrize("mood", some_now(["503", "reset", "silent", "refused"], now=["503", "refused"]))
def test_the_retries_of_three_tiers_do_not_multiply(tiers, mood):
    healed(tiers)
    ((requests, connects),) = told(tiers, mood, rate=50, healthy=2.0, parts=[4.0])
    assert requests <= AT_FIRST
    assert connects <= 1 + ATTEMPTS


@pytest.mark.soak
@pytest.mark.parametrize("stocks", [1, 2])
@pytest.mark.parametrize("rate", [50, 5])
@pytest.mark.parametrize("mood", ["503", "reset", "silent"])
def test_they_add_a_fifth_at_first_and_nearly_nothing_later(tmp_path, mood, rate, stocks):
    with chain(tmp_path, stocks) as tiers:
        (at_first, _), (afterwards, _) = told(tiers, mood, rate=rate, healthy=12.0, parts=[10.0, 20.0])
    assert at_first <= AT_FIRST
    assert afterwards <= AFTERWARDS


@pytest.mark.soak
@pytest.mark.parametrize("stocks", [1, 2])
@pytest.mark.parametrize("rate", [50, 5])
def test_nobody_knocks_more_often_at_a_door_that_is_shut(tmp_path, rate, stocks):
    with chain(tmp_path, stocks) as tiers:
        (_, at_first), (_, afterwards) = told(tiers, "refused", rate=rate, healthy=12.0, parts=[10.0, 20.0])
    assert at_first <= 1 + ATTEMPTS
    assert afterwards <= AFTERWARDS
