"""A small world for tests: a clock that is moved by hand, a fixed seed, and a service with the real policies."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from meshware.assembly.services import assemble
from meshware.core.call import Attempt, Call
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.request import Request
from meshware.core.service import Service
from meshware.settings.schema import MeshSettings

START = 1000.0
NAME = "inventory"


class World:
    """One service under a manual clock, with so many endpoints, or these. `events` holds what it emitted."""

    def __init__(self, endpoints: int | Sequence[Any] = 3, *, seed: int = 1, **settings: Any) -> None:
        self.now = START
        self.rng = random.Random(seed)
        self.events: list[Any] = []
        if isinstance(endpoints, int):
            endpoints = [f"10.0.0.{number}:80" for number in range(1, endpoints + 1)]
        if endpoints:
            settings["endpoints"] = endpoints
        source = {"services": {NAME: {"strategy": "round_robin", **settings}}}
        services = assemble(
            MeshSettings.model_validate(source), {}, rng=self.rng, emit=self.events.append, now=self.now
        )
        self.service: Service = services[NAME]
        self.service.refresh(self.now)  # as after its first call

    @property
    def endpoints(self):
        return self.service.endpoints

    def pass_time(self, seconds: float) -> float:
        """Move the clock, and do what the housekeeper would."""
        self.now += seconds
        self.keep_house()
        return self.now

    def keep_house(self) -> None:
        self.service.settle(self.now)
        if self.service.stale(self.now):
            self.service.refresh(self.now)

    def call(self, method: str = "GET", path: str = "/items", *, context=None, headers=None, **facts: Any) -> Call:
        return Call(self.service, request(method, path, headers=headers, **facts), context=context)

    def answer(self, call: Call, attempt: Attempt, status: int = 200, *, after: float = 0.01, **facts: Any):
        """An answer's headers, `after` seconds from now."""
        self.now += after
        return call.answered(attempt, Outcome(elapsed=self.now - attempt.began, status=status, **facts), self.now)

    def fail(self, call: Call, attempt: Attempt, cause: Cause = Cause.RESET, *, after: float = 0.01, **facts: Any):
        """No answer."""
        self.now += after
        facts.setdefault("error", ConnectionError(cause.value))
        return call.answered(attempt, Outcome(elapsed=self.now - attempt.began, cause=cause, **facts), self.now)

    def read(self, call: Call, attempt: Attempt, ending: Ending = Ending.COMPLETE, *, wire: float = 0.01) -> None:
        """The body has ended, and that was settled."""
        call.ended(attempt, ending, wire, self.now)
        self.service.settle(self.now)

    def succeed(self, count: int = 1, *, elapsed: float = 0.01, path: str = "/items") -> None:
        """So many good calls, read to the end."""
        for _ in range(count):
            call = self.call(path=path)
            attempt = call.begin(self.now)
            self.answer(call, attempt, after=elapsed)
            self.read(call, attempt, wire=elapsed)

    def picks(self, count: int) -> Counter[str]:
        """Where so many calls go, each over before the next."""
        seen: Counter[str] = Counter()
        for _ in range(count):
            call = self.call()
            attempt = call.begin(self.now)
            seen[attempt.endpoint.address] += 1
            call.abandon(attempt, self.now)
        return seen

    def in_flight(self) -> int:
        return sum(len(each.open) + len(each.waiting) + len(each.streams) for each in self.endpoints)

    @property
    def tokens(self) -> float:
        budget: Any = self.service.budget
        return budget.tokens


def request(method: str = "GET", path: str = "/items", *, headers: Mapping[str, str] | None = None, **facts: Any):
    return Request(method, NAME, path, headers or {}, **facts)
