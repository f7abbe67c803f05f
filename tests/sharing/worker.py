"""One worker of a host, without a network: times are those of the test's clock, so that nothing here waits."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sharing import asked
from sharing.obeying import obey
from world import World

from meshware.core.events import EndpointsChanged
from meshware.core.outcome import Outcome, Verdict
from meshware.health.load import Load
from meshware.routing.shift import Shift, ShiftOptions, Standing
from meshware.sharing.board import Board


class At:
    """A picker that always takes one endpoint."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint

    def pick(self, call: Any) -> Any:
        return self.endpoint


class Worker:
    def __init__(
        self, *, directory: str, name: str = "shop", settings: str = "the same", file_size: int = 0, **service: Any
    ) -> None:
        if file_size:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        service.setdefault("retry", {"attempts": 1})
        self.world = World(service.pop("endpoints", 3), strategy="adaptive", **service)
        self.load = Load(lambda: self.world.now, slots=4)
        self.requests: list[Any] = []
        self.shift = Shift(
            "v2",
            ShiftOptions(steps=(0.1, 0.5), hold=10.0, p99=0.5, minimum=20),
            service="inventory",
            to="inventory-v2",
            made_of=None,
            emit=self.world.events.append,
            now=self.world.now,
        )
        self.board = self._board(directory, name, settings)
        self.held: list[Any] = []

    def _board(self, directory: str, name: str, settings: str) -> Board:
        return Board(
            service=name,
            environment="test",
            fingerprint=lambda: settings,
            chosen=directory,
            services=lambda: [self.world.service],
            shifts=lambda: [self.shift],
            serves=self.load,
            emit=self.world.events.append,
        )

    def _call(self, address: str) -> Any:
        self.world.service.picker = At(next(each for each in self.world.endpoints if each.address == address))
        return self.world.call()

    def serve(self, count: int, now: float) -> None:
        self.world.now = now
        self.requests += [self.load.begin() for _ in range(count)]

    def hold(self, address: str, now: float) -> None:
        self.world.now = now
        call = self._call(address)
        self.held.append((call, call.begin(now)))

    def drop(self, now: float) -> None:
        while self.held:
            call, attempt = self.held.pop()
            call.abandon(attempt, now)

    def answers(self, address: str, now: float, count: int = 1, elapsed: float = 0.01, status: int = 200) -> None:
        self.world.now = now
        for _ in range(count):
            self.world.now = now
            call = self._call(address)
            attempt = call.begin(self.world.now)
            self.world.answer(call, attempt, status, after=elapsed)
            self.world.read(call, attempt, wire=elapsed)

    def shifted(self, now: float, count: int = 1, failed: bool = False, elapsed: float = 0.01) -> None:
        """So many calls of the shift's new service."""
        for _ in range(count):
            outcome = Outcome(elapsed=elapsed, status=200)
            outcome.verdict = Verdict.FAILURE if failed else Verdict.SUCCESS
            self.shift.decided(None, outcome, now)

    def step(self, now: float) -> None:
        """Go a step on if it is time."""
        self.shift.tick(now)

    def stand(self, step: int, version: int, now: float) -> None:
        """Be at this step, as another one is."""
        self.shift.stand(Standing("running", step, now, "all went well", version), now)

    def stands(self, now: float) -> dict[str, Any]:
        status = self.shift.status(now)
        return {each: status[each] for each in ("state", "percentage", "calls", "failed", "slow")}

    def sweep(self, now: float) -> bool:
        return self.board.sweep(now)

    def state(self, now: float) -> dict[str, Any]:
        service = self.world.service
        service.refresh(now)
        meter = service.learner.meter
        return {
            "load": {each.address: each.load for each in service.endpoints},
            "shared": [each.address for each in service.endpoints if each.cells is not None],
            "cost": {each.address: each.attach(meter).value(now) for each in service.endpoints},
            "served": self.load.figures(now)[:2],
            "states": {each.address: each.availability.state() for each in service.endpoints},
            "probes": [each.address for each in service.ejection.probes(now)],
            "trial": service.ejection.trial(True, now) is not None,
            "tokens": service.budget.tokens,
            "affordable": service.budget.affordable(),
            "limit": service.limiter.limit,
            "refused": service.limiter.acquire(self._call(service.endpoints[0].address), now),
            "events": [
                f"{type(each).__name__}: {getattr(each, 'reason', '')}"
                for each in self.world.events
                if not isinstance(each, EndpointsChanged)
            ],
        }

    def check(self, now: float, ailing: list[str]) -> list[str]:
        """Do the health checks that are due, and say who was asked."""
        asked.ailing.clear()
        asked.ailing.update(ailing)
        asked.asked.clear()
        assert self.world.service.checks is not None
        self.world.service.checks.keep(now, asked.AtOnce(now))
        return sorted(asked.asked)

    def rest(self) -> None:
        """As before the first call."""
        self.world.service.used = False

    def withdraw(self, now: float) -> bool:
        return self.world.service.budget.withdraw(now)

    def counts(self) -> Any:
        return {name: each._asdict() for name, each in self.board.counts().items()}

    def status(self) -> Any:
        return self.board.status()

    def close(self, now: float) -> None:
        self.board.close(now)


if __name__ == "__main__":
    obey(Worker)
