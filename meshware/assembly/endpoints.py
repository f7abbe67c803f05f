"""From settings to endpoints, or to the sources that find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.policy import Arrival
from meshware.core.service import Service
from meshware.settings.schema import ServiceSettings
from meshware.settings.sections.endpoints import EndpointSettings

if TYPE_CHECKING:
    from meshware.discovery.sources import Sources


def source_of(service: Service, settings: ServiceSettings) -> Sources | None:
    """Where its endpoints will come from: the sources that it has, when those were made of the same settings."""
    choice = settings.discovery
    if not choice:
        return None
    from meshware.discovery.sources import Sources

    if isinstance(service.source, Sources) and service.source.choice == choice:
        return service.source
    made = [(each.name, plugins.discovery(each.name, each.options)) for each in choice]
    return Sources(made, choice=choice, service=service, read=_read)


def supply(
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


def waited_for(service: Service | None) -> Arrival | None:
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


def _endpoint(settings: EndpointSettings) -> Endpoint:
    return Endpoint(
        settings.address,
        weight=settings.weight,
        locality=Locality.parse(settings.locality),
        metadata=settings.metadata,
        priority=settings.priority,
    )
