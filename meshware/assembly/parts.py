"""From settings to the parts of one service, each made when it is first asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.assembly.policies import hedging_of, rate_of, retries_of
from meshware.balancing.chooser import as_strategy
from meshware.balancing.localities import Localities, LocalityOptions
from meshware.balancing.timed import Timed
from meshware.breaking.circuit import CircuitOptions, ServiceCircuit
from meshware.breaking.following import FollowingEjection
from meshware.breaking.guard import FleetGuard
from meshware.breaking.outliers import OutlierOptions
from meshware.breaking.plugged import PluggedCircuit
from meshware.breaking.record import EjectionOptions
from meshware.breaking.slowness import SlowOptions
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import GuardTurned
from meshware.core.lateness import Lateness
from meshware.core.operations import Operations
from meshware.core.outcome import Outcome, StatusClassifier, Verdict
from meshware.core.policy import Circuit, Limiter, PoolStrategy, Rng, Strategy
from meshware.core.request import Request
from meshware.core.service import HOOKS, Seat, Service
from meshware.limiting.combined import CombinedLimiter
from meshware.limiting.in_flight import InFlightLimit, InFlightOptions
from meshware.limiting.throttle import ThrottleOptions
from meshware.retrying.attempt_timeout import AttemptTimeout, NoAttemptTimeout
from meshware.retrying.budget import BudgetOptions, RetryBudget
from meshware.retrying.hedging import Hedging
from meshware.retrying.policy import Retries
from meshware.settings.model import PluginChoice
from meshware.settings.schema import ServiceSettings
from meshware.settings.sections.retrying import HedgeSettings

if TYPE_CHECKING:
    from meshware.breaking.classifiers import Judge
    from meshware.fallback.fallback import Fallback
    from meshware.fallback.last_good import LastGood
    from meshware.settings.sections.fallback import FallbackSettings, LastGoodSettings

PENALTY = 5.0
"""Seconds that a failed attempt counts at least, when the timeout is not shorter (linkerd2-proxy: 5)."""

MADE_OF: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "inbox": (),
    "operations": (),
    "refreshing": (),
    "guard": (attrgetter("guard"),),
    "strategy": (attrgetter("strategy"), attrgetter("locality"), attrgetter("tls")),
    "ejection": (attrgetter("ejection"), attrgetter("slow_start"), attrgetter("guard")),
    "circuit": (attrgetter("circuit"), attrgetter("guard")),
    "limiter": (attrgetter("limits"), attrgetter("rate_limit"), attrgetter("throttle")),
    "budget": (attrgetter("retry.budget"),),
    "hedging": (attrgetter("hedge"),),
    "hedging_wanted": (attrgetter("hedge"),),
    "attempt_timeout": (attrgetter("attempt_timeout"),),
    "fallback": (attrgetter("fallback"),),
}
"""Parts of a service that learn something, and the sections of its settings that they are made of."""


class ServiceParts:
    """Makes each part of a mesh's services of their settings, when it is first needed (see core/service.py)."""

    def __init__(
        self,
        *,
        home: Locality,
        rng: Rng,
        emit: Callable[[object], None],
        hooks: Callable[[Service, str], tuple[Callable[..., None], ...]],
        wake: Callable[[Service], None],
        breathe: Callable[[], None],
        lateness: Lateness,
    ) -> None:
        self.making = RLock()
        self.home = home
        self.rng = rng
        self.emit = emit
        self.breathe = breathe
        self.lateness = lateness
        self._wake = wake
        for name in HOOKS:
            setattr(self, name, lambda service, name=name: hooks(service, name))

    def fit(self, service: Service) -> bool:
        """Whether its parts are as these would make them: seen from the same place."""
        return isinstance(service.parts, ServiceParts) and service.parts.home == self.home

    def strategy(self, service: Service) -> Strategy:
        """What its settings name, within localities."""
        seat = service.seat
        return self.strategy_over(service, service.learner, lambda: seat.service.endpoints)

    def strategy_over(
        self, service: Service, learner: Any, endpoints: Callable[[], Sequence[Endpoint]]
    ) -> PoolStrategy:
        """One as its author wrote it, within localities, over some of a service's endpoints."""
        return Localities(
            _strategy(learner),
            LocalityOptions(**service.settings.locality.model_dump()),
            home=self.home,
            service=service.name,
            endpoints=endpoints,
            emit=self.emit,
        )

    def seat(self, service: Service) -> Seat:
        """Its own, until another takes it."""
        return Seat(service)

    def guard(self, service: Service) -> FleetGuard:
        """Whose turns make every endpoint new."""
        seat = service.seat

        def turned(on: bool, now: float) -> None:
            for endpoint in seat.service.endpoints:
                forget(seat, endpoint, now)
            seat.service.change()
            self.emit(GuardTurned(seat.service.name, now, on))

        return FleetGuard(turned=turned, threshold=service.settings.guard)

    def ejection(self, service: Service) -> FollowingEjection:
        """As set."""
        seat = service.seat
        return FollowingEjection(
            _ejection(service.settings),
            service=service.name,
            endpoints=lambda: seat.service.endpoints,
            guard=service.guard,
            rng=self.rng,
            emit=self.emit,
            changed=lambda: seat.service.change(),
            reset=partial(forget, seat),
        )

    def circuit(self, service: Service) -> Circuit:
        """As set; around the user's own breaker, if there is one; or a plugin's in its place."""
        settings = service.settings.circuit
        if isinstance(settings.breaker, PluginChoice):
            breaker = plugins.breaker(settings.breaker.name, settings.breaker.options)
            return PluggedCircuit(breaker, service=service.name, emit=self.emit)
        return ServiceCircuit(
            CircuitOptions(**settings.model_dump(exclude={"breaker"})),
            service=service.name,
            guard=service.guard,
            rng=self.rng,
            emit=self.emit,
            breaker=settings.breaker,
        )

    def limiter(self, service: Service) -> Limiter | None:
        """As set; in-flight limit alone where nothing else is."""
        settings = service.settings
        limits, rate, throttle = settings.limits, settings.rate_limit, settings.throttle
        in_flight = None
        if limits.enabled:
            in_flight = InFlightLimit(InFlightOptions(**limits.model_dump(exclude={"enabled", "feasible"})))
        if rate is None and not throttle.enabled:
            return in_flight
        return CombinedLimiter(
            in_flight,
            rate_of(rate),
            ThrottleOptions(throttle.k, throttle.window) if throttle.enabled else None,
        )

    def retry(self, service: Service) -> Retries:
        """As set."""
        return retries_of(service.settings.retry)

    def hedging(self, service: Service) -> Hedging | None:
        """Unless it is off."""
        return hedging_of(service.settings.hedge)

    def hedging_wanted(self, service: Service) -> Hedging | None:
        """As set, were it not off."""
        return hedging_of(service.settings.hedge, HedgeSettings(enabled=True))

    def budget(self, service: Service) -> RetryBudget:
        """As set."""
        return RetryBudget(BudgetOptions(**service.settings.retry.budget.model_dump()))

    def attempt_timeout(self, service: Service) -> AttemptTimeout | NoAttemptTimeout:
        """Fixed, adaptive or none."""
        limit = service.settings.attempt_timeout
        return NoAttemptTimeout() if limit is None else AttemptTimeout(None if limit == "adaptive" else limit)

    def fallback(self, service: Service) -> Fallback | None:
        """What is set; None where nothing is."""
        settings = service.settings.fallback
        return None if settings is None else fallback_of(settings)

    def classify(self, service: Service) -> Callable[[Request, Outcome], Verdict]:
        """By status, unless somebody else judges."""
        return StatusClassifier().classify if service.judge is None else service.judge.classify

    def operations(self, service: Service) -> Operations:
        """None known yet."""
        return Operations()

    def inbox(self, service: Service) -> deque[tuple[Any, ...]]:
        """Empty."""
        return deque()

    def refreshing(self, service: Service) -> AbstractContextManager[object]:
        """One picker is made at a time."""
        return RLock()

    def wake(self, service: Service) -> Callable[[], None]:
        """Tells the housekeeper of this service."""
        return partial(self._wake, service)


def judge_of(service: Service, chosen: Any) -> Judge | None:
    """The classifier of these settings, a built-in one by its name; None: the status is enough."""
    if chosen is None:
        return None
    from meshware.breaking.classifiers import CLASSIFIERS, Judge

    classifier = CLASSIFIERS[chosen]() if isinstance(chosen, str) else chosen
    return Judge(classifier, failed=lambda error: service.failed("classifier", error, time.monotonic()))


def fallback_of(settings: FallbackSettings) -> Fallback | None:
    """Of one section, whoever has it; None where it is off."""
    if not settings.enabled:
        return None
    from meshware.fallback.fallback import Fallback, FallbackOptions, reply_of

    static, last_good = settings.static, settings.last_good
    return Fallback(
        FallbackOptions(
            statuses=frozenset(settings.statuses), errors=settings.errors, methods=frozenset(settings.methods)
        ),
        store=None if last_good is None else _last_good(last_good),
        function=settings.callable,
        static=None if static is None else reply_of(static.status, static.headers, static.body, "static"),
    )


def _last_good(settings: LastGoodSettings) -> LastGood:
    from meshware.fallback.last_good import LastGood, LastGoodOptions

    return LastGood(LastGoodOptions(**settings.model_dump()))


def _ejection(settings: ServiceSettings) -> EjectionOptions:
    chosen = settings.ejection
    return EjectionOptions(
        **chosen.model_dump(exclude={"outliers", "slow"}),
        slow_start=settings.slow_start,
        outliers=None if chosen.outliers is None else OutlierOptions(**chosen.outliers.model_dump()),
        slow=None if chosen.slow is None else SlowOptions(**chosen.slow.model_dump()),
    )


def forget(seat: Seat, endpoint: Endpoint, now: float) -> None:
    """Have an endpoint's meters forget; one of them may be a user's own."""
    try:
        endpoint.reset()
    except Exception as error:
        seat.service.failed("meter", error, now)


def _strategy(made: Any) -> Strategy:
    """A strategy as it is; a mere scorer under the generic chooser; somebody else's, timed."""
    strategy = as_strategy(made)
    ours = all(type(each).__module__.startswith("meshware.") for each in plugins.whole(made))
    return strategy if ours else Timed(strategy, time.monotonic)
