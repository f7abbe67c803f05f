"""Ten plugins that misbehave, each in an installed package: the app is told whose it is, and calls keep working."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress

import pytest
import requests

from meshware import Mesh, SettingsError
from meshware.balancing import timed
from meshware.settings.load import load
from meshware.telemetry.log import EventLog

CALLS = 30

PICKER = """
import time
from meshware.core.endpoint import Endpoint

class Odd:
    def picker(self, endpoints):
        self.endpoints = endpoints
        return self

    def pick(self, call):
        {pick}
"""

SCORER = """
class Odd:
    needs = ()

    def score(self, endpoint, call):
        return float("nan")
"""

MUTATING = """
class Odd:
    def picker(self, endpoints):
        self.endpoints = endpoints
        endpoints.clear()
        return self

    def pick(self, call):
        return self.endpoints.pop()
"""

NO_START = {
    "fails to import": ("import no_such_module", "no_such_module"),
    "raises at construction": ("class Odd:\n    def __init__(self): raise OSError('no licence')", "no licence"),
    "has another API version": ("class Odd:\n    meshware_api = 2\n    needs = ()\n    score = len", "plugin API 2"),
    "has no API version at all": (
        "class Odd:\n    meshware_api = '1'\n    needs = ()\n    score = len",
        "plugin API '1'",
    ),
}

STAND_IN = {
    "raises in pick": (PICKER.format(pick="raise LookupError('no idea')"), "LookupError: no idea"),
    "raises what cannot be printed": (
        PICKER.format(pick="raise type('Mute', (Exception,), {'__str__': lambda self: 1})"),
        "decided: Mute",
    ),
    "returns None": (PICKER.format(pick="return None"), "AttributeError"),
    "mutates the list": (MUTATING, "AttributeError"),
    "scores NaN": (SCORER, "finite"),
    "blocks": (PICKER.format(pick="time.sleep(0.1); return self.endpoints[0]"), "it must not block"),
}


@pytest.fixture
def calling(package, upstreams, session_of, caplog):
    """`calling(source)`: a mesh whose strategy is that package's; `mesh.get()` is a real call, giving its status."""
    made = []

    def make(source):
        package("shop_odd", source, odd="Odd")
        mesh = Mesh(
            load({"services": {"inventory": {"endpoints": [each.address for each in upstreams], "strategy": "odd"}}}),
            observers=[EventLog()],
        )
        made.append(mesh)
        session = session_of(mesh)
        mesh.get = lambda: session.get("http://inventory/ok").status_code
        return mesh

    caplog.set_level(logging.WARNING, logger="meshware")
    yield make
    for mesh in made:
        mesh.close()


@pytest.mark.parametrize(("source", "said"), NO_START.values(), ids=list(NO_START))
def test_one_that_cannot_be_used_is_refused_at_the_start_with_package_and_entry_point(package, source, said):
    package("shop_odd", source, odd="Odd")
    with pytest.raises(SettingsError) as caught:
        load({"services": {"inventory": {"endpoints": ["10.0.0.1:80"], "strategy": "odd"}}})
    (problem,) = caught.value.problems
    assert problem.path == "services.inventory.strategy"
    assert "'odd' (shop_odd:Odd of shop_odd 1.2)" in problem.expected
    assert said in problem.expected


def test_a_name_that_is_taken_is_refused_with_both_packages(package):
    package("shop_odd", SCORER, random="Odd")
    with pytest.raises(SettingsError) as caught:
        load({"services": {"inventory": {"endpoints": ["10.0.0.1:80"], "strategy": "random"}}})
    (problem,) = caught.value.problems
    assert "shop_odd:Odd of shop_odd 1.2" in problem.expected
    assert "meshware.balancing.random:Random of meshware" in problem.expected


@pytest.mark.parametrize(("source", "said"), STAND_IN.values(), ids=list(STAND_IN))
def test_calls_keep_working_and_one_line_says_so(calling, caplog, monkeypatch, source, said):
    monkeypatch.setattr(timed, "SLOW", 0.05)
    mesh = calling(source)
    assert [mesh.get() for _ in range(CALLS)] == [200] * CALLS
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "a stand-in decided" in line] == lines
    assert len(lines) == 1
    assert said in lines[0]
    assert mesh.plugin_failures >= (1 if source is MUTATING else CALLS - 1)  # that one fails off the call path


def test_a_stranger_is_never_called_and_the_stand_in_decides(calling, upstreams):
    mesh = calling(PICKER.format(pick="return Endpoint('127.0.0.1:9')"))
    assert [mesh.get() for _ in range(CALLS)] == [200] * CALLS
    assert set(mesh.status()["inventory"]) == {each.address for each in upstreams}


def test_a_pick_that_blocks_holds_up_those_inside_and_nobody_else(calling, monkeypatch):
    monkeypatch.setattr(timed, "SLOW", 0.05)
    mesh = calling(
        "import threading\ngate = threading.Event()\n" + PICKER.format(pick="gate.wait(60); return endpoints[0]")
    )
    gate = sys.modules["shop_odd"].gate
    first = threading.Thread(target=mesh.get)
    first.start()
    time.sleep(0.2)
    assert [mesh.get() for _ in range(3)] == [200] * 3
    assert first.is_alive()
    gate.set()
    first.join(10.0)


@pytest.mark.soak
def test_a_pick_that_blocks_for_ten_seconds_costs_one_call_a_minute(calling):
    mesh = calling(PICKER.format(pick="time.sleep(10.0); return self.endpoints[0]"))
    with suppress(requests.RequestException):  # its ten seconds are over just now
        mesh.get()
    began = time.monotonic()
    assert [mesh.get() for _ in range(1000)] == [200] * 1000
    assert time.monotonic() - began < 50.0
