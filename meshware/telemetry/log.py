"""Events as log records, on the logger `meshware`, with their fields as `extra` under `mesh_...`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from threading import Lock

from meshware.core import events
from meshware.core.policy import Observer

LOGGER = logging.getLogger("meshware")

QUIET = 60.0
"""Seconds after a plugin's failure in which its further ones are only counted."""

_TEXTS: dict[type[object], tuple[int, str]] = {
    events.EndpointEjected: (logging.WARNING, "{service}: {address} ejected for {wait:.1f} s: {reason}"),
    events.EndpointRestored: (logging.INFO, "{service}: {address} is back after {away:.1f} s"),
    events.CircuitOpened: (logging.WARNING, "{service}: circuit open, next trial in {wait:.1f} s"),
    events.CircuitClosed: (logging.INFO, "{service}: circuit closed"),
    events.GuardTurned: (logging.WARNING, "{service}: fleet guard {turned}: most calls fail, whichever endpoint"),
    events.PanicTurned: (logging.WARNING, "{service}: panic {turned}: too few endpoints are left"),
    events.EndpointsChanged: (logging.INFO, "{service}: endpoints added {added}, removed {removed}"),
    events.PluginFailed: (logging.WARNING, "{service}: {plugin} failed, a stand-in decided: {error}"),
    events.SettingsReloaded: (logging.INFO, "new settings are in force"),
    events.SettingsRefused: (logging.ERROR, "new settings refused, the old ones stay: {error}"),
}


class EventLog(Observer):
    """An observer that logs every event; one that repeats every call is logged once a minute. Thread-safe."""

    def __init__(self, logger: logging.Logger = LOGGER) -> None:
        self._logger = logger
        self._lock = Lock()
        self._failures: dict[tuple[str, str], tuple[float, int]] = {}

    def on_event(self, event: object) -> None:
        """One fact, at its level."""
        if not isinstance(event, events.Event):
            return
        level, text = _TEXTS.get(type(event), (logging.INFO, "{service}: {event}"))
        suffix = ""
        if isinstance(event, events.PluginFailed):
            left_out = self._left_out(event)
            if left_out is None:
                return
            suffix = f" (and {left_out} more since)" if left_out else ""
        facts = asdict(event)
        words = facts | {
            "event": event,
            "wait": facts.get("until", event.at) - event.at,
            "turned": "on" if facts.get("on") else "off",
        }
        extra = {"mesh_event": type(event).__name__, **{f"mesh_{name}": value for name, value in facts.items()}}
        self._logger.log(level, "%s", text.format(**words) + suffix, extra=extra)

    def _left_out(self, event: events.PluginFailed) -> int | None:
        """How many were left out since the last line; None when this one is left out as well."""
        key = (event.service, event.plugin)
        with self._lock:
            logged, left_out = self._failures.get(key, (-QUIET, 0))
            if event.at - logged < QUIET:
                self._failures[key] = (logged, left_out + 1)
                return None
            self._failures[key] = (event.at, 0)
            return left_out
