"""C3: the cube of the queue, whose it may be, and what it is told to take for it."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.c3 import C3
from meshware.core.outcome import LoadReport, Outcome


def told(endpoint, now, seconds, **report):
    """The endpoint has answered so, for long."""
    for _ in range(100):
        load = LoadReport(0.5, **report)
        endpoint.sample(seconds, False, Outcome(elapsed=seconds, status=200, report=load), now)


def test_a_fast_endpoint_is_kept_busier_by_the_cube_root_only():
    # 8 times as fast: q = 2 there for q = 1 here, whatever the load (q - 1 is in flight)
    world = World(2, strategy="c3")
    told(world.endpoints[0], world.now, 0.010)
    told(world.endpoints[1], world.now, 0.080)
    for _ in range(300):
        world.call().begin(world.now)
    fast, slow = (1 + each.load for each in world.endpoints)
    assert fast / slow == pytest.approx(2.0, rel=0.1)


def test_a_reported_queue_keeps_calls_away():
    world = World(2, strategy="c3")
    told(world.endpoints[0], world.now, 0.010, queue=20)
    told(world.endpoints[1], world.now, 0.010, queue=0)
    for _ in range(18):
        assert world.call().begin(world.now).endpoint is world.endpoints[1]
    world.now += 5.0
    for _ in range(18):
        world.call().begin(world.now)
    assert [each.load for each in world.endpoints] == [18, 18]


def test_with_many_clients_own_calls_stand_for_those_of_all():
    world = World(2, strategy={"c3": {"clients": 100}})
    told(world.endpoints[0], world.now, 0.010)
    told(world.endpoints[1], world.now, 5.0)
    row = [world.endpoints.index(world.call().begin(world.now).endpoint) for _ in range(2)]
    assert row == [0, 1]


@pytest.mark.parametrize("clients", [0, -1, float("nan"), float("inf"), True, "2"])
def test_wrong_numbers_of_clients_are_refused(clients):
    with pytest.raises(ValueError, match="clients must be a number from 1 to 100000"):
        C3(clients=clients)
