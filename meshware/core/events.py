"""Facts apart from calls, handed to observers as they happen. Times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to which service, and when."""

    service: str
    at: float


@dataclass(frozen=True, slots=True)
class EndpointEjected(Event):
    """An endpoint was taken out; `until` is its earliest trial."""

    address: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class EndpointRestored(Event):
    """An ejected endpoint is back, after so many seconds away."""

    address: str
    away: float


@dataclass(frozen=True, slots=True)
class EndpointUnhealthy(Event):
    """An endpoint fails its health checks, and is not picked any more."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class EndpointHealthy(Event):
    """An endpoint passes its health checks again, after so many seconds away."""

    address: str
    away: float


@dataclass(frozen=True, slots=True)
class CircuitOpened(Event):
    """The service's circuit opened: calls are refused until a trial succeeds."""

    until: float


@dataclass(frozen=True, slots=True)
class CircuitClosed(Event):
    """A trial succeeded: calls go out again."""


@dataclass(frozen=True, slots=True)
class GuardTurned(Event):
    """The fleet guard went on (most calls fail everywhere) or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class PanicTurned(Event):
    """Barred endpoints are used again (too few are left), or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class LocalityTurned(Event):
    """Calls go to a farther locality (the nearer ones cannot do all of them), or none do any longer."""

    locality: str
    on: bool


@dataclass(frozen=True, slots=True)
class EndpointsChanged(Event):
    """The service has another set of endpoints."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointsRefused(Event):
    """A source names what are no endpoints: they are left out, the rest is kept. Each is told once."""

    source: str
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PluginFailed(Event):
    """A plugin or policy misbehaved and the stand-in decided instead."""

    plugin: str
    error: str


@dataclass(frozen=True, slots=True)
class FaultInjected(Event):
    """A fault that was asked for has befallen a call for the first time; it is in force until then."""

    fault: str
    until: float


@dataclass(frozen=True, slots=True)
class ShiftChanged(Event):
    """So many percent of the service's calls go `to` another by this shift, which is in this state, and why."""

    shift: str
    to: str
    state: str
    percentage: float
    reason: str


@dataclass(frozen=True, slots=True)
class BoardLost(Event):
    """This worker knows only what it learns itself: it shares nothing with the others of its host."""

    reason: str


@dataclass(frozen=True, slots=True)
class BoardsApart(Event):
    """Workers of the same name run on this host with other settings: these share among themselves only."""

    directory: str


@dataclass(frozen=True, slots=True)
class SettingsReloaded(Event):
    """New settings are in force; what they have changed, in words (see settings/changes.py)."""

    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsRefused(Event):
    """New settings were wrong; the old ones stay."""

    error: str
