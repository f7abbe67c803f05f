"""From settings to services, and from new settings to the same ones where they may stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.assembly.endpoints import source_of, supply, waited_for
from meshware.assembly.faults import endanger, route_faults
from meshware.assembly.parts import MADE_OF, PENALTY, ServiceParts, fallback_of, judge_of
from meshware.core.endpoint import Locality
from meshware.core.lateness import PUNCTUAL, Lateness
from meshware.core.policy import Rng
from meshware.core.service import Service
from meshware.settings.model import PluginChoice
from meshware.settings.schema import MeshSettings, ServiceSettings

if TYPE_CHECKING:
    from meshware.assembly.routing import Routing


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
    loaded = now if loaded is None else loaded
    services: dict[str, Service] = {}
    anew = []
    for name, each in settings.services.items():
        service = previous.get(name)
        if service is not None and parts.fit(service) and service.settings == each:
            services[name] = service
            continue
        if service is None or not parts.fit(service) or service.settings.policies() != each.policies():
            service = _service(name, each, parts)
        services[name] = service
        anew.append((service, each, source_of(service, each)))
    routing = _routing(settings, services, previous, parts, loaded, now)
    known = previous if found is None else found
    for service, each, source in anew:  # nothing of the old is touched until all of the new stands
        before = previous.get(service.name)
        heir = before is not None and before is not service
        if before is not None and heir:
            _hand_on(before, service)
        service.settings = each
        if source is None or source is not service.source:
            supply(service, source, known.get(service.name), now, waiting=waited_for(before))
        if before is not None and heir:
            before.leave_to(service)
    for name, service in services.items():
        endanger(service, settings.services[name].faults, settings.fault_headers, loaded, now)
    if routing is not None:
        routing.put()
    return services


def _routing(
    settings: MeshSettings,
    services: Mapping[str, Service],
    previous: Mapping[str, Service],
    parts: ServiceParts,
    loaded: float,
    now: float,
) -> Routing | None:
    """The routes that are to be put in place of those that are there; None: there are none, nor were."""
    if not (settings.routes or settings.shifts or any(each.routes is not None for each in previous.values())):
        return None
    from meshware.assembly.routing import Makers, Routing

    make = Makers(
        learner=_learner,
        strategy=parts.strategy_over,
        faults=partial(route_faults, loaded=loaded, now=now),
        fallback=fallback_of,
    )
    return Routing(settings, services, previous, make, now)


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
    service.judge = judge_of(service, settings.classify)
    if settings.health_check is not None:
        from meshware.assembly.health import checks_of

        service.checks = checks_of(service, settings.health_check)
    if settings.fallback is not None:
        service.fallback = fallback_of(settings.fallback)  # now: a call is no time to import a room
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
