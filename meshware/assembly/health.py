"""From settings to health checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from meshware.assembly.parts import forget
from meshware.core.endpoint import Endpoint
from meshware.core.service import Seat, Service

if TYPE_CHECKING:
    from meshware.health.checks import Checks
    from meshware.settings.sections.health import HealthCheckSettings

GRACE = 0.5
"""Seconds that a health check of ours has beside its own limit: to find out where a name leads."""


def checks_of(service: Service, chosen: HealthCheckSettings) -> Checks:
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
        reset=partial(forget, Seat(service)),
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
