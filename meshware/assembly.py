"""From settings to services: the only place that knows every policy room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshware import plugins
from meshware.balancing.chooser import Chooser
from meshware.breaking.circuit import CircuitOptions, ServiceCircuit
from meshware.breaking.ejection import EjectionOptions, EndpointEjection
from meshware.breaking.guard import FleetGuard
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import GuardTurned
from meshware.core.outcome import StatusClassifier
from meshware.core.policy import Rng, Strategy
from meshware.core.service import Service
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
) -> dict[str, Service]:
    """The services of these settings. One whose policies are as before is kept, with all it has learned."""
    services = {}
    for name, each in settings.services.items():
        service = previous.get(name)
        if service is None or service.policies != each.policies():
            service = _service(name, each, rng=rng, emit=emit)
        services[name] = service
    for name, each in settings.services.items():  # nothing of the old is touched until all of the new stands
        services[name].replace([_endpoint(one) for one in each.endpoints], now)
    return services


def _service(name: str, settings: ServiceSettings, *, rng: Rng, emit: Callable[[object], None]) -> Service:
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
    service.policies = settings.policies()

    def turned(on: bool, now: float) -> None:
        for endpoint in service.endpoints:
            for reading in endpoint.samplers:
                reading.reset()
        service.change()
        emit(GuardTurned(name, now, on))

    service.guard = FleetGuard(turned=turned, threshold=settings.guard)
    service.learner = plugins.strategy(settings.strategy.name, settings.strategy.options)
    service.strategy = _strategy(service.learner)
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
    service.retry = _retries(settings.retry)
    service.budget = RetryBudget(BudgetOptions(**settings.retry.budget.model_dump()))
    limit = settings.attempt_timeout
    service.attempt_timeout = (
        NoAttemptTimeout() if limit is None else AttemptTimeout(None if limit == "adaptive" else limit)
    )
    service.classify = StatusClassifier().classify
    return service


def _strategy(made: Any) -> Strategy:
    """A strategy as it is; a mere scorer under the generic chooser."""
    strategy: Strategy = made if hasattr(made, "picker") else Chooser(made)
    return strategy


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
    )
