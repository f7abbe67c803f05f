"""From settings to services: the only place that knows every policy room."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from meshware import plugins
from meshware.balancing.chooser import as_strategy
from meshware.balancing.localities import Localities, LocalityOptions
from meshware.balancing.timed import Timed
from meshware.breaking.circuit import CircuitOptions, ServiceCircuit
from meshware.breaking.ejection import EjectionOptions, EndpointEjection
from meshware.breaking.guard import FleetGuard
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import GuardTurned
from meshware.core.outcome import StatusClassifier
from meshware.core.policy import Rng, Strategy
from meshware.core.service import Service
from meshware.discovery.arrival import FirstAnswer
from meshware.discovery.source import Source
from meshware.limiting.in_flight import InFlightLimit, InFlightOptions
from meshware.retrying.attempt_timeout import AttemptTimeout, NoAttemptTimeout
from meshware.retrying.budget import BudgetOptions, RetryBudget
from meshware.retrying.policy import Retries, RetryOptions
from meshware.settings.schema import EndpointSettings, MeshSettings, RetrySettings, ServiceSettings

PENALTY = 5.0
"""Seconds that a failed attempt counts at least, when the timeout is not shorter (linkerd2-proxy: 5)."""


def assemble(
    settings: MeshSettings,
    previous: Mapping[str, Service],
    *,
    rng: Rng,
    emit: Callable[[object], None],
    now: float,
    found: Mapping[str, Service] | None = None,
) -> dict[str, Service]:
    """The services of these settings. One whose policies are as before is kept, with all it has learned.

    `found`: services whose discovered endpoints stand until these are discovered anew; `previous` unless given.
    """
    services = {}
    for name, each in settings.services.items():
        service = previous.get(name)
        policies = (each.policies(), settings.locality)
        if service is None or service.policies != policies:
            service = _service(name, each, home=Locality.parse(settings.locality), rng=rng, emit=emit)
            service.policies = policies
        services[name] = service
    sources = {name: _source(services[name], each) for name, each in settings.services.items()}
    known = previous if found is None else found
    for name, each in settings.services.items():  # nothing of the old is touched until all of the new stands
        _supply(services[name], each, sources[name], known.get(name), now)
    return services


def _source(service: Service, settings: ServiceSettings) -> Source | None:
    """Where its endpoints will come from: the source that it has, when that was made of the same settings."""
    choice = settings.discovery
    if choice is None:
        return None
    if isinstance(service.source, Source) and service.source.choice == choice:
        return service.source
    made = plugins.discovery(choice.name, choice.options)
    return Source(choice.name, made, choice=choice, service=service, read=_read)


def _supply(
    service: Service, settings: ServiceSettings, source: Source | None, known: Service | None, now: float
) -> None:
    """Give a service its endpoints, or the source that will find them."""
    if source is not None and source is service.source:
        return
    if service.source is not None:
        service.source.stop()
    service.source = source
    if source is None:
        service.replace([_endpoint(one) for one in settings.endpoints], now)
    elif known is not None and known.endpoints:
        confirmed = known.source.confirmed if isinstance(known.source, Source) else None
        source.recall([_again(each) for each in known.endpoints], confirmed, now)
    else:
        service.arrival = FirstAnswer()


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


def _service(
    name: str, settings: ServiceSettings, *, home: Locality, rng: Rng, emit: Callable[[object], None]
) -> Service:
    service = Service(
        name,
        rng=rng,
        emit=emit,
        timeout=settings.timeout,
        timeout_chosen=settings.timeout_chosen,
        connect_timeout=settings.connect_timeout,
        penalty=min(PENALTY, settings.timeout),
        panic_below=settings.panic,
        host=settings.host,
        tls=settings.tls,
    )

    def turned(on: bool, now: float) -> None:
        for endpoint in service.endpoints:
            for reading in endpoint.samplers:
                reading.reset()
        service.change()
        emit(GuardTurned(name, now, on))

    service.guard = FleetGuard(turned=turned, threshold=settings.guard)
    service.learner = plugins.strategy(settings.strategy.name, settings.strategy.options)
    service.strategy = Localities(
        _strategy(service.learner),
        LocalityOptions(**settings.locality.model_dump()),
        home=home,
        service=name,
        endpoints=lambda: service.endpoints,
        emit=emit,
    )
    service.ejection = EndpointEjection(
        EjectionOptions(**settings.ejection.model_dump(), slow_start=settings.slow_start),
        service=name,
        endpoints=lambda: service.endpoints,
        guard=service.guard,
        rng=rng,
        emit=emit,
        changed=service.change,
    )
    service.circuit = ServiceCircuit(
        CircuitOptions(**settings.circuit.model_dump(exclude={"breaker"})),
        service=name,
        guard=service.guard,
        rng=rng,
        emit=emit,
        breaker=settings.circuit.breaker,
    )
    if settings.limits.enabled:
        service.limiter = InFlightLimit(InFlightOptions(**settings.limits.model_dump(exclude={"enabled"})))
    service.retry = _retries(settings.retry)
    service.budget = RetryBudget(BudgetOptions(**settings.retry.budget.model_dump()))
    limit = settings.attempt_timeout
    service.attempt_timeout = (
        NoAttemptTimeout() if limit is None else AttemptTimeout(None if limit == "adaptive" else limit)
    )
    service.classify = StatusClassifier().classify
    return service


def _strategy(made: Any) -> Strategy:
    """A strategy as it is; a mere scorer under the generic chooser; somebody else's, timed."""
    strategy = as_strategy(made)
    ours = all(type(each).__module__.startswith("meshware.") for each in plugins.whole(made))
    return strategy if ours else Timed(strategy, time.monotonic)


def _retries(settings: RetrySettings) -> Retries:
    return Retries(
        RetryOptions(
            attempts=settings.attempts,
            base=settings.base,
            cap=settings.cap,
            methods=frozenset(settings.methods),
            statuses=frozenset(settings.statuses),
        )
    )


def _endpoint(settings: EndpointSettings) -> Endpoint:
    return Endpoint(
        settings.address,
        weight=settings.weight,
        locality=Locality.parse(settings.locality),
        metadata=settings.metadata,
        priority=settings.priority,
    )
