"""Events as log records, on the logger `meshware`: a line to read, and every field as `extra` under `mesh_...`.

`mesh_event` is the event's class. Its times are monotonic, so the line says spans instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from math import isinf
from threading import Lock
from typing import Any

from meshware.core import events
from meshware.core.policy import Observer

LOGGER = logging.getLogger("meshware")

QUIET = 60.0
"""Seconds after a plugin's failure in which its further ones are only counted."""

SHOWN = 5
"""Addresses that a line names; `extra` has all of them."""

_TEXTS: dict[type[object], tuple[int, str]] = {
    events.EndpointEjected: (logging.WARNING, "{service}: {address} ejected {wait}: {reason}"),
    events.EndpointRestored: (logging.INFO, "{service}: {address} is back after {away:.1f} s"),
    events.EndpointUnhealthy: (logging.WARNING, "{service}: {address} fails its health checks: {reason}"),
    events.EndpointHealthy: (logging.INFO, "{service}: {address} is healthy again after {away:.1f} s"),
    events.CircuitOpened: (logging.WARNING, "{service}: circuit open {wait}"),
    events.CircuitClosed: (logging.INFO, "{service}: circuit closed"),
    events.GuardTurned: (logging.WARNING, "{service}: fleet guard on: most calls fail, whichever endpoint"),
    events.PanicTurned: (logging.WARNING, "{service}: panic: too few endpoints are left, so all are used"),
    events.LocalityTurned: (logging.WARNING, "{service}: calls go to {locality} as well, or instead"),
    events.EndpointsChanged: (logging.INFO, "{service}: endpoints added: {added}; removed: {removed}"),
    events.EndpointsRefused: (logging.WARNING, "{service}: {source} names what are no endpoints, left out: {refused}"),
    events.PluginFailed: (logging.WARNING, "{service}: {plugin} failed, a stand-in decided: {error}"),
    events.FaultInjected: (logging.WARNING, "{service}: faults are injected, as asked for: {fault}"),
    events.ShiftChanged: (
        logging.WARNING,
        "{service}: shift {shift} to {to} is {state} at {percentage:g} %: {reason}",
    ),
    events.BoardLost: (logging.WARNING, "nothing is shared with other workers of this host: {reason}"),
    events.BoardsApart: (
        logging.WARNING,
        "workers named {service!r} run here with other settings, and share nothing with these (see {directory})",
    ),
    events.SettingsReloaded: (logging.INFO, "new settings are in force; changed: {changes}"),
    events.SettingsRefused: (logging.ERROR, "new settings refused, the old ones stay: {error}"),
}

_OFF: dict[type[object], tuple[int, str]] = {
    events.GuardTurned: (logging.INFO, "{service}: fleet guard off: calls succeed again"),
    events.PanicTurned: (logging.INFO, "{service}: panic is over"),
    events.LocalityTurned: (logging.INFO, "{service}: no calls go to {locality} any longer"),
}
"""What is said instead when `on` is False."""


class EventLog(Observer):
    """An observer that logs every event; the same plugin's failures once a minute. Thread-safe.

    `failures` counts the events that could not be logged.
    """

    def __init__(self, logger: logging.Logger = LOGGER) -> None:
        self.failures = 0
        self._logger = logger
        self._failed: dict[tuple[str, str], tuple[float, int]] = {}

    def on_event(self, event: object) -> None:
        """One fact, at its level. Never raises: what the logging of the app throws is counted in `failures`."""
        try:
            self._log(event)
        except Exception:
            self.failures += 1

    def _log(self, event: object) -> None:
        if not isinstance(event, events.Event):
            return
        left_out = self._left_out(event) if isinstance(event, events.PluginFailed) else 0
        if left_out is None:
            return
        level, line = _line(event)
        extra: dict[str, Any] = {f"mesh_{name}": value for name, value in asdict(event).items()}
        extra["mesh_event"] = type(event).__name__
        if left_out:
            line += f" (and {left_out} more since the last line)"
            extra["mesh_left_out"] = left_out
        self._logger.log(level, "%s", line, extra=extra)

    def _left_out(self, event: events.PluginFailed) -> int | None:
        """How many were left out since the last line; None when this one is left out as well."""
        key = (event.service, event.plugin)
        with _counting:
            logged, left_out = self._failed.get(key, (event.at - QUIET, 0))
            if event.at - logged < QUIET:
                self._failed[key] = (logged, left_out + 1)
                return None
            self._failed[key] = (event.at, 0)
            return left_out


def _line(event: events.Event) -> tuple[int, str]:
    """Its level and its words."""
    known = _OFF if getattr(event, "on", True) is False else _TEXTS
    level, text = known.get(type(event), (logging.INFO, "{event}"))
    words = {name: _some(value) if isinstance(value, tuple) else value for name, value in asdict(event).items()}
    return level, text.format(**words, event=event, wait=_wait(event))


def _wait(event: events.Event) -> str:
    """For how long something is out; an endpoint that refused connections has a condition instead of a time."""
    until = getattr(event, "until", event.at)
    return "until a connect succeeds" if isinf(until) else f"for {until - event.at:.1f} s"


def _some(addresses: Sequence[str]) -> str:
    more = f" and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    return ", ".join(addresses[:SHOWN]) + more if addresses else "none"


_counting = Lock()


def _after_fork() -> None:
    """Another thread may have held the lock when this child was made."""
    global _counting
    _counting = Lock()


os.register_at_fork(after_in_child=_after_fork)
