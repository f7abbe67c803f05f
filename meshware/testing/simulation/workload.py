"""What arrives, drawn once and given to every contender: common random numbers, so that only the policies differ."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import inf
from random import Random
from typing import NamedTuple

from meshware.testing.simulation.scenario import Scenario


class Arrival(NamedTuple):
    """One request: when, at which client, what for, how much work at speed 1, at a second attempt `again` so much;
    `draw` decides a random failure."""

    at: float
    client: int
    operation: str
    work: float
    draw: float
    again: float


def workload(scenario: Scenario, seed: int) -> list[Arrival]:
    """Poisson arrivals at the load of each moment (by thinning, Lewis and Shedler 1979)."""
    rng = Random(seed)
    operations = [each.share for each in scenario.operations]
    clients = [each.share for each in scenario.callers()]
    most = scenario.heaviest()
    rate = most * scenario.capacity / scenario.mean_work
    arrivals = []
    time = rng.expovariate(rate) if rate > 0 else inf
    sums, callers = list(accumulate(operations)), list(accumulate(clients))
    while time < scenario.duration:
        if rng.random() * most < scenario.load_at(time):
            operation = scenario.operations[place(sums, rng.random())]
            work = operation.draw(rng.random(), rng.gauss(0.0, 1.0))
            client, draw = place(callers, rng.random()), rng.random()
            again = operation.draw(rng.random(), rng.gauss(0.0, 1.0)) if operation.fresh else work
            arrivals.append(Arrival(time, client, operation.path, work, draw, again))
        time += rng.expovariate(rate)
    return arrivals


def place(sums: list[float], uniform: float) -> int:
    """Which of some things, by their accumulated shares and a uniform random number."""
    return bisect_right(sums, uniform * sums[-1])
