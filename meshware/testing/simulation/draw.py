"""Scenarios drawn at random, that nobody has tuned for. What they ask can be done: the oracle loses next to nothing."""

from __future__ import annotations

from math import exp, log
from random import Random
from typing import Any

from meshware.testing.simulation.scenario import Scenario

BEGIN, DURATION = 4.0, 14.0

LEAST, MOST = 30_000, 120_000
"""Requests of one run, about."""

SPEEDS = (0.5, 0.75, 1.0, 1.5, 2.0)
KINDS = ("slow", "stall", "fail", "silent", "crash", "drain")
PATHS = ("/items", "/orders", "/report")


def drawn(seed: int) -> Scenario:
    """4 to 30 replicas, 1 to 16 clients, 1 to 3 operations, at most 2 faults; the same seed draws the same.

    What the faults leave of the fleet is 50 to 85 % loaded.
    """
    rng = Random(f"scenario {seed}")  # not the numbers that arrivals are drawn from
    replicas = _replicas(rng)
    operations = _operations(rng)
    faults, left = _faults(rng, replicas, operations)
    load = round(rng.uniform(0.5, 0.85) * left, 3)
    _fit(operations, load * sum(each["count"] * each["slots"] * each["speed"] for each in replicas))
    slowest = min(each["speed"] for each in replicas)
    found = {
        "name": f"drawn-{seed}",
        "about": f"Drawn by seed {seed}: {', '.join(each['kind'] for each in faults) or 'no fault'}.",
        "begin": BEGIN,
        "duration": DURATION,
        "deadline": round(max(1.0, 60 * max(each["work"] for each in operations) / slowest), 1),
        "load": load,
        "replicas": replicas,
        "clients": [{"count": rng.randint(1, 16)}],
        "operations": operations,
        "faults": faults,
        "reports": rng.random() < 0.5,
    }
    return Scenario.model_validate(found)


def _replicas(rng: Random) -> list[dict[str, Any]]:
    """Alike, or of two or three speeds."""
    size, slots = rng.randint(4, 30), rng.randint(1, 8)
    if rng.random() < 0.5:
        return [{"count": size, "slots": slots, "speed": 1.0}]
    speeds = rng.sample(SPEEDS, rng.randint(2, 3))
    cuts = sorted(rng.sample(range(1, size), len(speeds) - 1))
    counts = [end - start for start, end in zip([0, *cuts], [*cuts, size], strict=True)]
    return [{"count": count, "slots": slots, "speed": speed} for count, speed in zip(counts, speeds, strict=True)]


def _operations(rng: Random) -> list[dict[str, Any]]:
    """The first is asked for most; work from 4 to 50 ms."""
    return [
        {
            "path": path,
            "share": round(rng.uniform(0.3, 1.0) / 3**number, 3),
            "work": round(exp(rng.uniform(log(0.004), log(0.05))), 5),
            "spread": rng.choice(("fixed", "exponential", "exponential", "lognormal")),
        }
        for number, path in enumerate(PATHS[: rng.randint(1, len(PATHS))])
    ]


def _fit(operations: list[dict[str, Any]], arriving: float) -> None:
    """So much work for each request that they are neither too few to judge by nor too many to wait for."""
    total = sum(each["share"] for each in operations)
    mean = sum(each["share"] * each["work"] for each in operations) / total
    requests = arriving / mean * DURATION
    factor = requests / min(max(requests, LEAST), MOST)
    for each in operations:
        each["work"] = round(each["work"] * factor, 6)


def _faults(
    rng: Random, replicas: list[dict[str, Any]], operations: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], float]:
    """No replica has two; and the share of the fleet's capacity that is never struck."""
    speeds = [each["speed"] for each in replicas for _ in range(each["count"])]
    whole = list(range(len(speeds)))
    faults = []
    for _ in range(rng.randint(0, 2)):
        struck = sorted(rng.sample(whole, rng.randint(1, max(1, len(speeds) // 8))))
        whole = [number for number in whole if number not in struck]
        faults.append(_fault(rng, operations) | {"replicas": struck})
    return faults, sum(speeds[number] for number in whole) / sum(speeds)


def _fault(rng: Random, operations: list[dict[str, Any]]) -> dict[str, Any]:
    kind = rng.choice(KINDS)
    found: dict[str, Any] = {
        "kind": kind,
        "at": round(rng.uniform(BEGIN, 7.0), 2),
        "lasts": round(rng.uniform(0.5, 2.0) if kind == "stall" else rng.uniform(2.0, 6.0), 2),
    }
    if kind == "slow":
        found["factor"] = round(exp(rng.uniform(log(2), log(20))), 1)
        if len(operations) > 1 and rng.random() < 0.3:
            found["path"] = rng.choice(operations)["path"]
    elif kind == "fail":
        found["rate"] = round(rng.choice((1.0, rng.uniform(0.1, 0.9))), 2)
    elif kind == "crash" and rng.random() < 0.5:
        found |= {"factor": 3.0, "cold": 1.5}
    return found
