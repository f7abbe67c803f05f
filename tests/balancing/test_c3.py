"""C3: the cube of the queue, whose it may be, and what it is told to take for it."""

from __future__ import annotations

import pytest
from measuring import fed, fill
from world import World

from meshware.balancing.c3 import C3
from meshware.core.outcome import LoadReport, Outcome


def test_a_fast_endpoint_is_kept_busier_by_the_cube_root_only():
    # 8 times as fast: q = 2 there for q = 1 here, whatever the load (q - 1 is in flight)
    fast, slow = fill(fed(World(2, strategy="c3"), 0.010, 0.080), 300)
    assert (fast + 1) / (slow + 1) == pytest.approx(2.0, rel=0.1)


def test_a_reported_queue_keeps_calls_away():
    world = World(2, strategy="c3")
    for endpoint, queue in zip(world.endpoints, (20, 0), strict=True):
        report = LoadReport(0.5, queue=queue)
        endpoint.sample(0.01, False, Outcome(elapsed=0.01, status=200, report=report), world.now)
    assert fill(world, 18) == [0, 18]
    world.now += 5.0
    assert fill(world, 18) == [18, 18]


def test_with_many_clients_own_calls_stand_for_those_of_all():
    assert fill(fed(World(2, strategy="c3"), 0.010, 5.0), 2) == [2, 0]
    assert fill(fed(World(2, strategy={"c3": {"clients": 100}}), 0.010, 5.0), 2) == [1, 1]


@pytest.mark.parametrize("clients", [0, -1, float("nan"), float("inf"), True, "2"])
def test_wrong_numbers_of_clients_are_refused(clients):
    with pytest.raises(ValueError, match="clients must be a number from 1 to 100000"):
        C3(clients=clients)
