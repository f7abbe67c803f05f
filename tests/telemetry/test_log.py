"""The event log: a line to read and fields to search, no flood, and never an error of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf

import pytest

from meshware.core import events
from meshware.mesh import Mesh
from meshware.settings.schema import MeshSettings
from meshware.telemetry.log import _TEXTS, QUIET, EventLog

SETTINGS = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}


class Kept(logging.Handler):
    """Keeps the records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def said():
    """The records on the logger `meshware`, at every level."""
    handler, logger = Kept(), logging.getLogger("meshware")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(level)
    logger.removeHandler(handler)


def failed(at, *, service="inventory", plugin="strategy", error="ValueError: no"):
    return events.PluginFailed(service, at, plugin, error)


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (
            events.EndpointEjected("inventory", 10.0, "10.0.0.1:80", "3 failures in a row", 11.25),
            "WARNING",
            "inventory: 10.0.0.1:80 ejected for 1.2 s: 3 failures in a row",
        ),
        (
            events.EndpointEjected("inventory", 10.0, "10.0.0.1:80", "connection refused", inf),
            "WARNING",
            "inventory: 10.0.0.1:80 ejected until a connect succeeds: connection refused",
        ),
        (
            events.EndpointRestored("inventory", 10.0, "10.0.0.1:80", 4.0),
            "INFO",
            "inventory: 10.0.0.1:80 is back after 4.0 s",
        ),
        (events.CircuitOpened("inventory", 10.0, 12.0), "WARNING", "inventory: circuit open for 2.0 s"),
        (events.CircuitClosed("inventory", 10.0), "INFO", "inventory: circuit closed"),
        (
            events.GuardTurned("inventory", 10.0, True),
            "WARNING",
            "inventory: fleet guard on: most calls fail, whichever endpoint",
        ),
        (events.GuardTurned("inventory", 10.0, False), "INFO", "inventory: fleet guard off: calls succeed again"),
        (
            events.PanicTurned("inventory", 10.0, True),
            "WARNING",
            "inventory: panic: too few endpoints are left, so all are used",
        ),
        (events.PanicTurned("inventory", 10.0, False), "INFO", "inventory: panic is over"),
        (
            events.LocalityTurned("inventory", 10.0, "gcp/eu", True),
            "WARNING",
            "inventory: calls go to gcp/eu as well, or instead",
        ),
        (
            events.LocalityTurned("inventory", 10.0, "gcp/eu", False),
            "INFO",
            "inventory: no calls go to gcp/eu any longer",
        ),
        (
            events.EndpointsChanged("inventory", 10.0, ("a:1", "b:2"), ()),
            "INFO",
            "inventory: endpoints added: a:1, b:2; removed: none",
        ),
        (failed(10.0), "WARNING", "inventory: strategy failed, a stand-in decided: ValueError: no"),
        (events.SettingsReloaded("", 10.0), "INFO", "new settings are in force; changed: none"),
        (
            events.SettingsReloaded("", 10.0, tuple(f"{each}: 1 -> 2" for each in "abcdefg")),
            "INFO",
            "new settings are in force; changed: a: 1 -> 2, b: 1 -> 2, c: 1 -> 2, d: 1 -> 2, e: 1 -> 2 and 2 more",
        ),
        (
            events.SettingsRefused("", 10.0, "1 problem {sic}"),
            "ERROR",
            "new settings refused, the old ones stay: 1 problem {sic}",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, events.Event) else None,
)
def test_each_event_is_one_line_at_its_level(said, event, level, line):
    EventLog().on_event(event)
    assert [(record.levelname, record.getMessage()) for record in said] == [(level, line)]


def test_every_event_that_there_is_has_a_line_of_its_own():
    kinds = [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, events.Event)]
    assert len(kinds) > 5
    assert set(kinds) - {events.Event} == set(_TEXTS)


def test_every_field_is_on_the_record_for_programs(said):
    EventLog().on_event(events.EndpointEjected("inventory", 10.0, "10.0.0.1:80", "refused", 11.0))
    fields = {name: value for name, value in vars(said[0]).items() if name.startswith("mesh_")}
    assert fields == {
        "mesh_event": "EndpointEjected",
        "mesh_service": "inventory",
        "mesh_at": 10.0,
        "mesh_address": "10.0.0.1:80",
        "mesh_reason": "refused",
        "mesh_until": 11.0,
    }


@dataclass(frozen=True, slots=True)
class PriceFetched(events.Event):
    """What a plugin might tell."""

    name: str


def test_an_event_of_somebody_elses_is_told_by_its_repr(said):
    EventLog().on_event(PriceFetched("inventory", 10.0, "apples"))
    assert said[0].levelname == "INFO"
    assert "PriceFetched" in said[0].getMessage()
    assert said[0].mesh_name == "apples"


def test_what_is_no_event_is_left_alone(said):
    log = EventLog()
    log.on_event("a string")
    assert said == []
    assert log.failures == 0


def test_a_long_list_of_endpoints_is_counted_in_the_line_and_whole_in_the_field(said):
    addresses = tuple(f"10.0.0.{number}:80" for number in range(1, 9))
    EventLog().on_event(events.EndpointsChanged("inventory", 10.0, addresses, addresses[:1]))
    assert "10.0.0.5:80 and 3 more; removed: 10.0.0.1:80" in said[0].getMessage()
    assert said[0].mesh_added == addresses


def test_a_plugin_that_keeps_failing_is_said_once_a_minute_with_what_was_left_out(said):
    log = EventLog()
    for at in range(150):
        log.on_event(failed(1000.0 + at))
    assert [record.mesh_at for record in said] == [1000.0, 1000.0 + QUIET, 1000.0 + 2 * QUIET]
    assert [getattr(record, "mesh_left_out", 0) for record in said] == [0, 59, 59]
    assert said[1].getMessage().endswith("(and 59 more since the last line)")


def test_each_plugin_of_each_service_has_its_own_minute(said):
    log = EventLog()
    for _ in range(2):
        log.on_event(failed(0.0))
        log.on_event(failed(0.0, plugin="Cheapest.on_answer"))
        log.on_event(failed(0.0, service="pricing"))
        log.on_event(failed(0.0, error="KeyError: another, same minute"))
    assert len(said) == 3


def test_other_events_are_never_left_out(said):
    log = EventLog()
    for _ in range(5):
        log.on_event(events.CircuitClosed("inventory", 10.0))
    assert len(said) == 5


def test_many_threads_together_write_one_line(said):
    log = EventLog()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log.on_event, [failed(1000.0)] * 400))
        pool.submit(log.on_event, failed(1000.0 + QUIET)).result()
    assert [getattr(record, "mesh_left_out", 0) for record in said] == [0, 399]


def test_what_the_apps_own_logging_throws_is_counted_and_nobody_elses_problem():
    logger = logging.getLogger("meshware.test_log")
    logger.addFilter(lambda record: 1 / 0)
    log = EventLog(logger)
    log.on_event(events.SettingsRefused("", 10.0, "x"))
    assert log.failures == 1


FORKED = """
import os
from meshware.core.events import PluginFailed
from meshware.telemetry import log

with log._counting:
    child = os.fork()
    if child == 0:
        log.EventLog().on_event(PluginFailed("inventory", 0.0, "strategy", "no"))
        os._exit(0)
    raise SystemExit(os.waitpid(child, 0)[1])
"""


def test_a_child_that_was_forked_while_a_thread_counted_can_still_log():
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0
    assert "inventory: strategy failed" in ran.stderr


def test_a_mesh_tells_its_log(said):
    mesh = Mesh(MeshSettings.model_validate(SETTINGS), observers=[EventLog()])
    mesh.reload(SETTINGS)
    with pytest.raises(Exception, match="servces"):
        mesh.reload({"servces": {}})
    assert [record.mesh_event for record in said] == ["EndpointsChanged", "SettingsReloaded", "SettingsRefused"]
