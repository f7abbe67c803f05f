"""From settings to what goes wrong on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from meshware.core.fault import Fault
from meshware.core.service import Service

if TYPE_CHECKING:
    from meshware.routing.faults import Faults
    from meshware.settings.sections.faults import FaultSettings


def endanger(service: Service, settings: tuple[FaultSettings, ...], headers: bool, loaded: float, now: float) -> None:
    """What goes wrong on purpose with a service's calls; while that is as it was, its end stays too."""
    if not settings and not headers:
        service.faults = None
    elif service.faults is None or service.faults.made_of != (settings, headers):
        service.faults = _faults(service, settings, loaded, now, made_of=(settings, headers))


def route_faults(
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
