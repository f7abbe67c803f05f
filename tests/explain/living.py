"""A service that lives for some calls under a manual clock: fast, slow and failing endpoints, retries, ejections, the
fleet guard, load reports. With the same seed it lives the same life, whoever watches."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count

from world import World, request

from meshware import plugins
from meshware.core.attempt import Deliver, Lost, Retry
from meshware.core.call import Call
from meshware.core.errors import MeshError
from meshware.core.outcome import Cause, Ending, LoadReport, Outcome
from meshware.sharing.answers import Pending

STRATEGIES = {
    "adaptive": ("adaptive", False),
    "adaptive by weight": ({"adaptive": {"choices": 3}}, True),
    "adaptive of several workers": ("adaptive", False),
    "adaptive that probes ahead": ({"adaptive": {"probe_ahead": True}}, False),
    "contextual": ("contextual", False),
    "least_request": ("least_request", True),
    "least_request of all": ({"least_request": {"full_scan": True, "active_request_bias": 0.5}}, True),
    "peak_ewma": ("peak_ewma", True),
    "c3": ("c3", True),
    "c3 of all": ({"c3": {"select": "argmin", "clients": 3}}, False),
    "response_time": ("response_time", True),
    "latency": ("latency", False),
    "load": ("load", True),
    "load literally": ({"load": {"window": None, "select": "argmin"}}, False),
    "failure_rate": ("failure_rate", False),
    "failure_rate literally": ({"failure_rate": {"window": None, "select": "argmin"}}, False),
    "combined": ("combined", True),
    "combined by sum": ({"combined": {"combine": "sum", "c3": 1.0, "latency": 2.0, "least_request": 1.0}}, False),
    "utilization": ({"utilization": {"blackout": 0}}, True),
    "round_robin": ("round_robin", False),
    "weighted_round_robin": ("weighted_round_robin", True),
    "random": ("random", True),
    "ring_hash": ({"ring_hash": {"key": {"header": "x-user"}}}, True),
    "ring_hash within bounds": ({"ring_hash": {"key": {"header": "x-user"}, "hash_balance_factor": 110}}, False),
    "maglev": ({"maglev": {"key": {"header": "x-user"}, "table_size": 251, "hash_balance_factor": 125}}, True),
    "sticky": ({"sticky": {"key": {"header": "x-user"}, "strategy": "least_request", "ttl": 5.0}}, False),
    "subset": ({"subset": {"size": 4, "strategy": "least_request"}}, False),
    "near": ("least_request", False),
}
"""Every built-in one, as settings name it, and whether its endpoints weigh differently."""

PATHS = ("/items", "/report", "/user")


def world_of(name: str, *, seed: int = 7) -> World:
    """A service by this strategy, of eight endpoints."""
    strategy, uneven = STRATEGIES[name]
    places = [
        {
            "address": f"10.0.0.{number}:80",
            "weight": 1 + uneven * (number % 3),
            **({"locality": f"cloud/region/{'ab'[number % 2]}", "priority": number // 7} if name == "near" else {}),
        }
        for number in range(1, 9)
    ]
    locality = {"mode": "weighted", "weights": {"cloud": 1.0}} if name == "near" else {}
    world = World(places, seed=seed, strategy=strategy, timeout=1.0, locality=locality)
    if name == "adaptive of several workers":
        for endpoint in world.endpoints:
            endpoint.share(cell := [0.0], Both(cell), Pending())
        world.service.refresh(world.now)
    if name == "adaptive that probes ahead":
        world.service.learner.prober = Prober()
        world.service.refresh(world.now)
    parts = tuple(plugins.whole(world.service.learner))
    world.service.on_answer = tuple(each.on_answer for each in parts if hasattr(each, "on_answer"))
    world.service.on_end = tuple(each.on_end for each in parts if hasattr(each, "on_end"))
    return world


class Both:
    """What two workers have in flight at an endpoint: the other one has two there."""

    def __init__(self, own: list[float]) -> None:
        self._own = own

    def __iter__(self):
        return iter((self._own[0], 2.0))


class Prober:
    """Each endpoint that is asked says at once that two wait there."""

    def ask(self, costs, now: float) -> None:
        for cost in costs:
            cost.told(LoadReport(utilization=0.5, rps=10.0, eps=0.0, queue=cost.endpoint.load + 2), now)


class Life:
    """So many calls, each made by `make`; `before` each is told of it. `calls` is where the attempts of each went."""

    def __init__(
        self,
        world: World,
        make: Callable[..., Call],
        *,
        seed: int = 3,
        before: Callable[[int, str, str], None] = lambda number, path, user: None,
    ) -> None:
        self.world = world
        self.calls: list[list[str]] = []
        self._make = make
        self._before = before
        self._chance = random.Random(seed)
        self._order = count()
        self._due: list = []

    def live(self, calls: int) -> list[list[str]]:
        """Where they went."""
        world, chance = self.world, self._chance
        for number in range(calls):
            self._until(world.now + chance.expovariate(400))
            path, user = chance.choice(PATHS), str(chance.randrange(60))
            headers = {"x-user": user, "x-request-id": str(number)} if number % 10 else {}
            self._before(number, path, user)
            made = self._make(world.service, request(path=path, headers=headers))
            went: list[str] = []
            self.calls.append(went)
            try:
                attempt = made.begin(world.now)
            except MeshError:
                continue
            if attempt.hedge_at is not None:
                self._at(attempt.hedge_at, partial(self._hedge, made, went))
            self._send(made, attempt, went)
        self._until(float("inf"))
        return self.calls

    def _until(self, moment: float) -> None:
        world = self.world
        while self._due and self._due[0][0] <= moment:
            at, _, deed = heappop(self._due)
            world.now = max(world.now, at)
            deed()
            world.keep_house()
        if moment < float("inf"):
            world.now = moment
            world.keep_house()

    def _hedge(self, call: Call, went: list[str]) -> None:
        second = call.hedge(self.world.now)
        if second is not None:
            self._send(call, second, went)

    def _send(self, call: Call, attempt, went: list[str]) -> None:
        went.append(attempt.endpoint.address)
        number = int(attempt.endpoint.host.rpartition(".")[2])
        elapsed = self._chance.lognormvariate(-4.5, 0.3) * (8 if number == 2 else 1)
        elapsed *= 20 if call.request.path == "/report" else 1
        trouble = 0.9 if 1000.7 < self.world.now < 1000.8 else 0.02
        failed = self._chance.random() < (0.5 if number == 3 else trouble)
        cut = attempt.began + elapsed > attempt.deadline
        elapsed = attempt.deadline - attempt.began if cut else elapsed / 4 if failed else elapsed
        report = LoadReport(
            utilization=0.1 * number,
            rps=100.0 + number,
            eps=float(number == 3),
            queue=number % 3,
            service_time=elapsed / 2,
        )
        facts = {"cause": Cause.TIMEOUT} if cut else {"status": 503 if failed else 200, "report": report}
        outcome = Outcome(elapsed=elapsed, connect=0.001, first_byte=elapsed, **facts)
        self._at(attempt.began + elapsed, partial(self._answered, call, attempt, outcome, went))

    def _answered(self, call: Call, attempt, outcome: Outcome, went: list[str]) -> None:
        match call.answered(attempt, outcome, self.world.now):
            case Retry(held, _):
                call.ended(attempt, Ending.DROPPED, outcome.elapsed, self.world.now)
                self._send(call, held, went)
            case Deliver(won):
                call.ended(won, Ending.COMPLETE, outcome.elapsed, self.world.now)
                if call.held is not None:
                    call.ended(call.held, Ending.DROPPED, outcome.elapsed, self.world.now)
            case Lost():
                call.ended(attempt, Ending.DROPPED, outcome.elapsed, self.world.now)

    def _at(self, moment: float, deed: Callable[[], None]) -> None:
        heappush(self._due, (moment, next(self._order), deed))
