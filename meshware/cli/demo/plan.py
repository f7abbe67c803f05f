"""The incident: what goes wrong when. Plain data, known to the command only.

No part of the storefront or of meshware reads this. Times are seconds from the start of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

REPLICAS = 3
SERVICES = {"inventory": REPLICAS, "pricing": REPLICAS}
"""The services behind the storefront and how many replicas each has."""

SHORTEST = 45
"""Seconds: in less, the faults would not overlap long enough between a calm start and a calm end."""

HEAD = 5.0
TAIL = 20.0
"""Calm seconds before the first fault and after the last."""


class Kind(Enum):
    """What is wrong with a replica; HEALTHY is nothing."""

    HEALTHY = "healthy"
    KILLED = "killed"
    SLOW = "slow"
    FAILING = "failing"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Fault:
    """One replica's trouble, from `begins` to `ends`."""

    endpoint: str
    kind: Kind
    begins: float
    ends: float

    @property
    def service(self) -> str:
        """The service whose replica it is."""
        return service_of(self.endpoint)


@dataclass(frozen=True, slots=True)
class Step:
    """At `at` the endpoint turns to `kind`."""

    at: float
    endpoint: str
    kind: Kind


def endpoints() -> list[str]:
    """Every replica by name: inventory-1, inventory-2 ..."""
    return [f"{service}-{number}" for service, replicas in SERVICES.items() for number in range(1, replicas + 1)]


def service_of(endpoint: str) -> str:
    """The service of a replica's name."""
    return endpoint.rpartition("-")[0]


def incident(seconds: float, *, head: float = HEAD, tail: float = TAIL) -> tuple[Fault, ...]:
    """The faults of a run of so many seconds.

    Slow and failing overlap for 0.3 of the time between head and tail (6 s in the shortest run), so that
    pricing has one healthy replica of three; the last fault ends `tail` before the end.
    """
    span = seconds - head - tail

    def at(share: float) -> float:
        return head + share * span

    return (
        Fault("inventory-2", Kind.KILLED, at(0), at(0.5)),
        Fault("pricing-2", Kind.SLOW, at(0.25), at(0.85)),
        Fault("pricing-3", Kind.FAILING, at(0.55), at(1)),
    )


def steps(faults: tuple[Fault, ...]) -> list[Step]:
    """What to do, in order of time."""
    begins = [Step(fault.begins, fault.endpoint, fault.kind) for fault in faults]
    ends = [Step(fault.ends, fault.endpoint, Kind.HEALTHY) for fault in faults]
    return sorted(begins + ends, key=lambda step: step.at)
