"""What a large mesh costs: memory of what is idle, calls among many services, a reload, one endpoint replaced.

    python benchmarks/scale.py [--quick] [--json FILE]

The budgets are those of docs/architecture.md.
"""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import median
from typing import Any, ClassVar

from comparing import Run, asked, interleaved, ratio, show, timed
from rich.console import Console
from rich.table import Table

from meshware.assembly.services import assemble
from meshware.core.call import Attempt
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.core.service import Service
from meshware.discovery import Endpoints
from meshware.mesh import Mesh
from meshware.outbound.drive import drive
from meshware.plugins import DISCOVERY, register
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings

MANY = 10_000


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its budget."""

    name: str
    value: float
    unit: str
    budget: float | None = None


def settings_of(services: int, endpoints: int = 3) -> MeshSettings:
    """So many services with so many endpoints each, by the defaults."""

    def addresses(service: int) -> list[str]:
        first = service * endpoints
        return [f"10.{each // 60_000}.{each // 250 % 240}.{each % 250}:80" for each in range(first, first + endpoints)]

    return load({"services": {f"service-{number}": {"endpoints": addresses(number)} for number in range(services)}})


def send(mesh: Mesh, service: Service) -> None:
    """A call with all that is in it but I/O."""
    made = mesh.call(service, Request("GET", service.name, "/items", {}))
    attempt = drive(made, lambda attempt: Outcome(elapsed=0.001, status=200), never)
    made.ended(attempt, Ending.COMPLETE, 0.001, time.monotonic())


def never(attempt: Attempt) -> None:
    """Nothing is to be dropped: every call is answered at once."""
    raise AssertionError


# Memory


def kept(make: Callable[[], Any]) -> float:
    """Bytes that are in use because of what was made."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return float(used)


def memory(services: int) -> Iterator[Figure]:
    """Of what is there and not in use; settings are counted apart."""
    yield Figure("settings of a service", kept(lambda: settings_of(services)) / services, "B")
    settings = settings_of(services)
    yield Figure("idle service with 3 endpoints", kept(lambda: Mesh(settings)) / services, "B", 4096)
    yield Figure("the same once called", kept(lambda: called(Mesh(settings))) / services, "B")
    one = settings_of(1, services)
    yield Figure("idle endpoint", kept(lambda: Mesh(one)) / services, "B", 1024)


def called(mesh: Mesh) -> Mesh:
    """Each service was called once."""
    for service in mesh.services.values():
        send(mesh, service)
    mesh.close()
    return mesh


# Calls


def calls(mesh: Mesh, services: Iterable[Service]) -> Run:
    """Calls to these services in turn."""
    turn = cycle(services)
    return timed(lambda: send(mesh, next(turn)))


def call_runs(services: int) -> dict[str, Run]:
    """Calls to ten services, of ten and of many; and to all of the many."""
    small, large = Mesh(settings_of(10)), Mesh(settings_of(services))
    everyone = list(large.services.values())
    return {
        "10 of 10 services": calls(small, small.services.values()),
        f"10 of {services} services": calls(large, everyone[:: services // 10]),
        f"all {services} services": calls(large, everyone),
    }


# Changes


def reload(services: int) -> Iterator[Figure]:
    """One of many has another endpoint."""
    before = settings_of(services)
    mesh = Mesh(before)
    after = load(before)
    changed = after.services["service-7"].model_copy(update={"endpoints": before.services["service-8"].endpoints})
    after = after.model_copy(update={"services": after.services | {"service-7": changed}})
    facts = {"rng": mesh._rng, "emit": lambda event: None, "now": 0.0}
    endpoints = {name: each.endpoints for name, each in mesh.services.items()}
    began = time.thread_time()
    found = assemble(after, mesh.services, **facts)  # type: ignore[arg-type]
    seconds = time.thread_time() - began
    touched = sum(each.endpoints is not endpoints[name] for name, each in found.items())
    yield Figure("services touched by a reload that changes one", touched, "", 1)
    yield Figure("its CPU after the settings were read", 1e3 * seconds, "ms")


def replacing(endpoints: int, rounds: int) -> Iterator[Figure]:
    """One of many discovered endpoints is another one, a different one each time."""
    register(DISCOVERY, "said", Said)
    mesh = Mesh(load({"services": {"many": {"discovery": "said"}}}))
    service, hands = mesh.services["many"], Hands()
    service.parts.breathe = hands.breathe
    mesh._keeper.running = True  # its rounds are made here
    replaced = set()
    for number in range(rounds + 1):
        replaced.add(number * endpoints // (rounds + 1))
        Said.found = [f"10.{each in replaced:d}.{each // 250}.{each % 250}:80" for each in range(endpoints)]
        service.source.keep(86_400.0 * number, hands)
        if number == 0:
            send(mesh, service)
            hands.forget()
    yield Figure(f"an answer of {endpoints} endpoints looked at, one of them new: CPU", median(hands.looking), "ms")
    yield Figure("that one put in force: CPU", median(hands.changing), "ms", 5)
    yield Figure("the longest slice of both", median(hands.longest), "ms", 1)


class Said:
    """A discovery that says what it is told to."""

    found: ClassVar[list[str]] = []

    def fetch(self, now: float) -> Endpoints:
        """All there are."""
        return Endpoints(self.found, 1.0)


class Hands:
    """The housekeeper's, at work at once. Notes the milliseconds of CPU of each job, and of its longest slice."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """What was noted so far."""
        self.looking: list[float] = []
        self.changing: list[float] = []
        self.longest: list[float] = []

    def give(self, key: object, work: Callable[[], Any], *, limit: float, done: Callable[..., None]) -> bool:
        """Ask, and put in force what is found."""
        self._began = began = milliseconds()
        self.longest.append(0.0)
        found = work()
        changed = milliseconds()
        self.breathe()
        done(found, None, time.monotonic())
        self.breathe()
        self.looking.append(changed - began)
        self.changing.append(milliseconds() - changed)
        return True

    def breathe(self) -> None:
        """Other threads run now."""
        now = milliseconds()
        self.longest[-1] = max(self.longest[-1], now - self._began)
        self._began = now


def milliseconds() -> float:
    """Of this thread's CPU."""
    return 1e3 * time.thread_time()


def table(figures: Iterable[Figure]) -> None:
    """For people."""
    shown = Table("what", "measured", "budget", title="what a large mesh costs")
    for each in figures:
        budget = "" if each.budget is None else f"<= {each.budget:g} {each.unit}"
        style = None if each.budget is None or each.value <= each.budget else "bold red"
        shown.add_row(each.name, f"{each.value:.4g} {each.unit}", budget, style=style)
    Console(width=110).print(shown)


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    options = asked(__doc__, arguments)
    many, rounds, count = (200, 3, 200) if options.quick else (MANY, 41, 1000)
    figures = [*memory(many), *reload(many), *replacing(many, rounds)]
    table(figures)
    runs = call_runs(many)
    seconds = interleaved(runs, rounds=rounds, count=count)
    few, some, everyone = runs
    found = [ratio(seconds, some, few, 1.1), ratio(seconds, everyone, few)]
    show(found, title="a call among many services", file=None)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in (*figures, *found)], indent=2))


if __name__ == "__main__":
    main()
