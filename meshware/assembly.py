"""From settings to services: the only place that knows every policy room.

Rooms that most settings do not name are imported where a setting names them (docs/decisions/0023-lean-workers.md).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from math import inf
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.assembly_policies import hedging_of, rate_of, retries_of
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
from meshware.core.criticality import Criticality
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import GuardTurned
from meshware.core.fault import Fault
from meshware.core.lateness import PUNCTUAL, Lateness
from meshware.core.operations import Operations
from meshware.core.outcome import Outcome, StatusClassifier, Verdict
from meshware.core.policy import Arrival, Circuit, Limiter, PoolStrategy, Rng, Strategy
from meshware.core.request import Request
from meshware.core.service import HOOKS, Seat, Service
from meshware.limiting.admission import Admission, AdmissionOptions, Rate
from meshware.limiting.combined import CombinedLimiter
from meshware.limiting.concurrency import LimitOptions
from meshware.limiting.in_flight import InFlightLimit, InFlightOptions
from meshware.limiting.queue_age import QueueOptions
from meshware.limiting.rate import RateOptions
from meshware.limiting.throttle import ThrottleOptions
from meshware.retrying.attempt_timeout import AttemptTimeout, NoAttemptTimeout
from meshware.retrying.budget import BudgetOptions, RetryBudget
from meshware.retrying.hedging import Hedging
from meshware.retrying.policy import Retries
from meshware.settings.model import PluginChoice
from meshware.settings.schema import MeshSettings, ServiceSettings
from meshware.settings.sections.endpoints import EndpointSettings
from meshware.settings.sections.retrying import HedgeSettings

if TYPE_CHECKING:
    from meshware.assembly_routing import Learners
    from meshware.breaking.classifiers import Judge
    from meshware.core.subset import Subset
    from meshware.discovery.sources import Sources
    from meshware.fallback.fallback import Fallback
    from meshware.fallback.last_good import LastGood
    from meshware.health.checks import Checks
    from meshware.health.load import Load
    from meshware.routing.faults import Faults
    from meshware.routing.recent import Counts
    from meshware.routing.router import Routes
    from meshware.routing.shift import Shift
    from meshware.settings.sections.fallback import FallbackSettings, LastGoodSettings
    from meshware.settings.sections.faults import FaultSettings
    from meshware.settings.sections.health import HealthCheckSettings
    from meshware.sharing.board import Board
    from meshware.sharing.shifts import Ledger
    from meshware.shifting import Shifting

PENALTY = 5.0
"""Seconds that a failed attempt counts at least, when the timeout is not shorter (linkerd2-proxy: 5)."""

GRACE = 0.5
"""Seconds that a health check of ours has beside its own limit: to find out where a name leads."""

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


def assemble(
    settings: MeshSettings,
    previous: Mapping[str, Service],
    *,
    rng: Rng,
    emit: Callable[[object], None],
    now: float,
    loaded: float | None = None,
    found: Mapping[str, Service] | None = None,
    hooks: Callable[[Service, str], tuple[Callable[..., None], ...]] = lambda service, name: (),
    wake: Callable[[Service], None] = lambda service: None,
    breathe: Callable[[], None] = lambda: None,
    lateness: Lateness = PUNCTUAL,
) -> dict[str, Service]:
    """The services of these settings. One whose policies are as before is kept, with all it has learned.

    `found`: services whose discovered endpoints stand until these are discovered anew; `previous` unless given.
    `loaded`: when the settings came into force, `now` unless given. `hooks` gives the observers' methods of one name
    for a service; `wake` is told that a service has changed, `breathe` called in the midst of long work.
    """
    parts = ServiceParts(
        home=Locality.parse(settings.locality),
        rng=rng,
        emit=emit,
        hooks=hooks,
        wake=wake,
        breathe=breathe,
        lateness=lateness,
    )
    subsets = {name: service.subsets for name, service in previous.items()}
    services, anew = {}, []
    for name, each in settings.services.items():
        service = previous.get(name)
        if service is not None and parts.fit(service) and service.settings == each:
            services[name] = service
            continue
        if service is None or not parts.fit(service) or service.settings.policies() != each.policies():
            service = _service(name, each, parts)
        services[name] = service
        anew.append((service, each, _source(service, each)))
    picking = _learners(settings, subsets)
    known = previous if found is None else found
    for service, each, source in anew:  # nothing of the old is touched until all of the new stands
        before = previous.get(service.name)
        heir = before is not None and before is not service
        if before is not None and heir:
            _hand_on(before, service)
        service.settings = each
        if source is None or source is not service.source:
            _supply(service, source, known.get(service.name), now, waiting=_waited_for(before))
        if before is not None and heir:
            before.leave_to(service)
    loaded = now if loaded is None else loaded
    for name, service in services.items():
        _endanger(service, settings.services[name].faults, settings.fault_headers, loaded, now)
    routes = [service.routes for service in previous.values() if service.routes is not None]
    if settings.routes or settings.shifts or routes:
        _route(settings, services, parts, picking, routes, subsets, loaded, now)
    return services


def _learners(settings: MeshSettings, subsets: Mapping[str, tuple[Subset, ...]]) -> Learners:
    """The strategies of routes."""
    if not settings.routes:
        return {}
    from meshware.assembly_routing import learners

    return learners(settings, subsets, _learner)


def _route(
    settings: MeshSettings,
    services: Mapping[str, Service],
    parts: ServiceParts,
    learners: Learners,
    before: Sequence[Routes],
    subsets: Mapping[str, tuple[Subset, ...]],
    loaded: float,
    now: float,
) -> None:
    """Put these routes in place of those that were there before, of which what is the same goes on."""
    from meshware.assembly_routing import Makers, put_routes

    make = Makers(
        strategy=parts.strategy_over,
        faults=partial(_route_faults, [each for one in before for each in one.faults], loaded=loaded, now=now),
        fallback=_fallback,
    )
    put_routes(settings, services, make=make, learners=learners, before=before, subsets=subsets, now=now)


def _hand_on(old: Service, new: Service) -> None:
    """What another service of this name goes on with: endpoints, and each part that is made of what has not changed."""
    made_of = dict(MADE_OF)
    if not new.parts.fit(old):  # it is seen from another place now
        del made_of["strategy"]
    same = {part for part, gets in made_of.items() if all(get(old.settings) == get(new.settings) for get in gets)}
    new.take_over(old, same)
    if old.checks is not None:
        if new.checks is not None:
            new.checks.take_over(old.checks)
        else:
            old.checks.drop()


def _endanger(service: Service, settings: tuple[FaultSettings, ...], headers: bool, loaded: float, now: float) -> None:
    """What goes wrong on purpose with a service's calls; while that is as it was, its end stays too."""
    if not settings and not headers:
        service.faults = None
    elif service.faults is None or service.faults.made_of != (settings, headers):
        service.faults = _faults(service, settings, loaded, now, made_of=(settings, headers))


def _route_faults(
    before: Sequence[Faults], service: Service, settings: tuple[FaultSettings, ...], *, loaded: float, now: float
) -> Faults:
    """What goes wrong on purpose with a route's calls; while that is as it was before, its end stays too."""
    for faults in before:
        if faults.service == service.name and faults.made_of == settings:
            return faults
    return _faults(service, settings, loaded, now, made_of=settings)


def _faults(service: Service, settings: Sequence[FaultSettings], loaded: float, now: float, *, made_of: Any) -> Faults:
    from meshware.routing.faults import Faults

    faults = [fault_of(each, loaded, now) for each in settings]
    return Faults(service.name, faults, made_of=made_of, emit=service.emit)


def fault_of(settings: FaultSettings, loaded: float, now: float) -> Fault:
    """One fault of the settings, which came into force at `loaded`; `now` is the same clock's."""
    until, when = settings.until, settings.when
    if isinstance(until, datetime):
        end = now + until.timestamp() - time.time()
    else:
        end = inf if until is None else loaded + until
    return Fault(
        delay=settings.delay,
        abort=settings.abort,
        reset=settings.reset,
        partial_body=settings.partial_body,
        share=settings.percentage / 100,
        methods=None if when.methods is None else frozenset(when.methods),
        path=when.path,
        headers=tuple(when.headers.items()),
        until=end,
        counts=settings.counts,
    )


def admission(settings: MeshSettings, *, rng: Rng) -> Admission | None:
    """Which requests are taken on; None: all."""
    inbound = settings.inbound
    kind, queue = inbound.limit.kind, inbound.queue
    options = AdmissionOptions(
        kind=None if kind == "off" else kind,
        limit=LimitOptions(**inbound.limit.model_dump(exclude={"kind"})),
        queue=QueueOptions(queue.target, queue.interval) if queue.enabled else None,
        feasible=inbound.feasible,
        rates=tuple(
            Rate(RateOptions(each.rate, each.burst), each.prefix, each.by == "caller") for each in inbound.rate_limits
        ),
        prefixes={prefix: Criticality(each) for prefix, each in inbound.criticality.items()},
        exempt=inbound.exempt,
    )
    return None if options == AdmissionOptions(feasible=False, exempt=inbound.exempt) else Admission(options, rng=rng)


def board(
    settings: MeshSettings,
    *,
    services: Callable[[], Iterable[Service]],
    shifts: Callable[[], Iterable[Shift]],
    serves: Load,
    emit: Callable[[object], None],
) -> Board | None:
    """What the workers of this host that have these settings share; None: nothing. Joined at the first call."""
    if not settings.service or not settings.board.enabled:
        return None
    try:
        from meshware.sharing.board import Board
    except ImportError:  # a system without record locks
        return None
    return Board(
        service=settings.service,
        environment=settings.environment,
        fingerprint=settings.in_full,
        chosen=settings.board.directory,
        services=services,
        shifts=shifts,
        serves=serves,
        emit=emit,
    )


def shifting(
    settings: MeshSettings,
    services: Mapping[str, Service],
    *,
    clock: Callable[[], float],
    failed: Callable[[Exception], None],
) -> Shifting | None:
    """What keeps the shifts of these services going; None where there are none."""
    shifts = [shift for each in services.values() if each.routes is not None for shift in each.routes.shifts]
    if not shifts:
        return None
    from meshware.shifting import Shifting

    return Shifting(shifts, ledger=ledger(settings), clock=clock, failed=failed)


def ledger(settings: MeshSettings) -> Ledger | None:
    """Where the workers of this host write down where their shifts stand; None: nowhere."""
    if not settings.service or not settings.board.enabled:
        return None
    try:
        from meshware.sharing.shifts import Ledger
    except ImportError:  # a system without record locks
        return None
    return Ledger(settings.service, settings.environment, settings.board.directory)


def shift_counts(settings: MeshSettings, epochs: Mapping[str, str]) -> dict[str, Counts]:
    """What the workers of this host that have these settings have counted of shifts in these epochs; none: no board."""
    from meshware.routing.recent import Counts
    from meshware.sharing.directory import board
    from meshware.sharing.watch import counted

    named = settings.service, settings.environment
    path, identity = board(*named, settings.in_full(), settings.board.directory)
    return {name: Counts(*each) for name, each in counted(path, identity, epochs).items()}


def _source(service: Service, settings: ServiceSettings) -> Sources | None:
    """Where its endpoints will come from: the sources that it has, when those were made of the same settings."""
    choice = settings.discovery
    if not choice:
        return None
    from meshware.discovery.sources import Sources

    if isinstance(service.source, Sources) and service.source.choice == choice:
        return service.source
    made = [(each.name, plugins.discovery(each.name, each.options)) for each in choice]
    return Sources(made, choice=choice, service=service, read=_read)


def _supply(
    service: Service, source: Sources | None, known: Service | None, now: float, *, waiting: Arrival | None
) -> None:
    """Give a service its endpoints, or the source that will find them; for which somebody may be waiting."""
    before = None if known is None else known.source
    if service.source is not None:
        service.source.stop()
    service.source = source
    if source is None:
        service.replace([_endpoint(one) for one in service.settings.endpoints], now)
    elif known is not None and known.endpoints:
        source.recall([_again(each) for each in known.endpoints], before, now)
    else:
        from meshware.discovery.arrival import FirstAnswer

        service.arrival = waiting or FirstAnswer()
        return
    service.arrival = None
    if waiting is not None:
        waiting.come()


def _waited_for(service: Service | None) -> Arrival | None:
    """What calls of a service are waiting for: they go on waiting, for what takes its source's place."""
    if service is None:
        return None
    if service.source is not None:
        service.source.yield_waiting()
    return service.arrival


def _read(entry: Any) -> Endpoint:
    return _endpoint(EndpointSettings.read(entry))


def _again(known: Endpoint) -> Endpoint:
    """An endpoint of what is known of another, and nothing of what was learned."""
    return Endpoint(
        known.address,
        weight=known.weight,
        locality=known.locality,
        metadata=known.metadata,
        priority=known.priority,
    )


def _service(name: str, settings: ServiceSettings, parts: ServiceParts) -> Service:
    service = Service(
        name,
        parts=parts,
        settings=settings,
        learner=_learner(settings.strategy, settings),
        rng=parts.rng,
        emit=parts.emit,
        timeout=settings.timeout,
        timeout_chosen=settings.timeout_chosen,
        lateness=parts.lateness,
        feasible=settings.limits.feasible,
        connect_timeout=settings.connect_timeout,
        penalty=min(PENALTY, settings.timeout),
        panic_below=settings.panic,
        host=settings.host,
        tls=settings.tls,
    )
    service.judge = _judge(service, settings.classify)
    if settings.health_check is not None:
        service.checks = _checks(service, settings.health_check)
    if settings.fallback is not None:
        service.fallback = _fallback(settings.fallback)  # now: a call is no time to import a room
    return service


def _learner(chosen: PluginChoice, settings: ServiceSettings) -> Any:
    """A strategy as its author wrote it, for a service of these settings."""
    learner = plugins.strategy(chosen.name, chosen.options)
    for part in plugins.whole(learner) if settings.tls is None else ():  # a question in plain text is none for TLS
        if getattr(part, "probes", False) is True:
            from meshware.health.prober import Prober
            from meshware.security.orca import read_report
            from meshware.security.trust import LOAD

            part.prober = Prober(read_report, header=LOAD)
    return learner


def _checks(service: Service, chosen: HealthCheckSettings) -> Checks:
    """Its health checks; for its own ways of asking there is some time beside their own limit."""
    from meshware.health.checks import CheckOptions, Checks

    return Checks(
        CheckOptions(
            interval=chosen.interval,
            healthy=chosen.healthy,
            unhealthy=chosen.unhealthy,
            slow_start=service.settings.slow_start,
        ),
        service=service,
        ask=_ask(service, chosen),
        limit=chosen.timeout if chosen.call is not None else chosen.timeout + GRACE,
        passed=lambda endpoint, now: service.ejection.connected(endpoint, True, now) if service.used else None,
        reset=partial(_reset, Seat(service)),
    )


def _ask(service: Service, chosen: HealthCheckSettings) -> Callable[[Endpoint], None]:
    from meshware.health.asking import Called, Http, HttpOptions, Tcp
    from meshware.security.tls import Tls, TlsOptions

    if chosen.call is not None:
        return Called(chosen.call)
    tls = None if service.tls is None else Tls(TlsOptions.of(service.name, service.tls))
    if chosen.http is None:
        return Tcp(timeout=chosen.timeout, tls=tls)
    http, host = chosen.http, chosen.http.host or service.host
    options = HttpOptions(
        host=service.name if host == "logical" else host,
        path=http.path,
        method=http.method,
        expected=http.expected,
        headers=http.headers,
    )
    return Http(options, timeout=chosen.timeout, tls=tls)


def _judge(service: Service, chosen: Any) -> Judge | None:
    """The classifier of these settings, a built-in one by its name; None: the status is enough."""
    if chosen is None:
        return None
    from meshware.breaking.classifiers import CLASSIFIERS, Judge

    classifier = CLASSIFIERS[chosen]() if isinstance(chosen, str) else chosen
    return Judge(classifier, failed=lambda error: service.failed("classifier", error, time.monotonic()))


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
                _reset(seat, endpoint, now)
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
            reset=partial(_reset, seat),
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
        return None if settings is None else _fallback(settings)

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


def _fallback(settings: FallbackSettings) -> Fallback | None:
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


def _reset(seat: Seat, endpoint: Endpoint, now: float) -> None:
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


def _endpoint(settings: EndpointSettings) -> Endpoint:
    return Endpoint(
        settings.address,
        weight=settings.weight,
        locality=Locality.parse(settings.locality),
        metadata=settings.metadata,
        priority=settings.priority,
    )
