"""Discovery as an app has it: named in the settings, asked in the background, waited for by the first call only."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import ClassVar

import pytest

from meshware import Mesh, NoEndpoint, SettingsError
from meshware.core.call import Call
from meshware.core.errors import DeadlineExceeded
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.discovery import Endpoints
from meshware.outbound.drive import drive, drive_async
from meshware.settings.load import load

A, B = "10.0.0.1:80", "10.0.0.2:80"
PATIENCE = 5.0


class Zone:
    """Endpoints that the test sets, after as long as it says."""

    made: ClassVar[list] = []

    def __init__(self, *, name="shop.internal", port=80):
        if not name:
            raise ValueError("name is needed")
        self.name, self.port = name, port
        self.answer = Endpoints([A], 1.0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0
        Zone.made.append(self)

    def fetch(self, now):
        self.asked += 1
        assert self.go_on.wait(PATIENCE)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def mesh_of_zone(registered):
    """`mesh_of_zone(timeout=1)`: a mesh whose service `shop` is found by a Zone, and that zone; nothing has begun."""
    registered(Zone, "zone")
    made = []

    def make(**settings):
        mesh = Mesh(load(settings_of(**settings)))
        made.append(mesh)
        return mesh, Zone.made[-1]

    yield make
    for mesh in made:
        mesh.close()
    for zone in Zone.made:
        zone.go_on.set()
    Zone.made.clear()


def settings_of(**settings):
    return {"services": {"shop": {"discovery": {"zone": {"port": 80}}, **settings}}}


def call_of(mesh) -> Call:
    return mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {}))


def send(attempt):
    return Outcome(elapsed=0.001, status=200)


def called(mesh):
    """A call by the sync driver; where it went."""
    call = call_of(mesh)
    won = drive(call, send, lambda attempt: None)
    call.ended(won, Ending.COMPLETE, 0.001, time.monotonic())
    return won.endpoint.address


async def called_async(mesh):
    async def send_async(attempt):
        return send(attempt)

    call = call_of(mesh)
    won = await drive_async(call, send_async, send_async)
    call.ended(won, Ending.COMPLETE, 0.001, time.monotonic())
    return won.endpoint.address


# Settings


@pytest.mark.parametrize(
    ("service", "path", "said"),
    [
        ({}, "services.shop.endpoints", "`discovery` in their place"),
        ({"discovery": None}, "services.shop.endpoints", "`discovery` in their place"),
        ({"endpoints": [A], "discovery": "zone"}, "services.shop.endpoints", "not both"),
        ({"discovery": "zon"}, "services.shop.discovery", "did you mean 'zone'"),
        ({"discovery": {"zone": {"prot": 80}}}, "services.shop.discovery", "zone takes name, port, not 'prot'"),
        ({"discovery": {"zone": {"name": ""}}}, "services.shop.discovery", "name is needed"),
        ({"discovery": {"nothing": {}}}, "services.shop.discovery", "neither `fetch` nor `watch`"),
        ({"discovery": 5}, "services.shop.discovery", "a dict is needed"),
        ({"discovery": {"zone": {}, "other": {}}}, "services.shop.discovery", "unknown key"),
    ],
)
def test_a_service_lists_its_endpoints_or_says_how_they_are_found(registered, service, path, said):
    registered(Zone, "zone")
    registered(dict, "nothing")
    with pytest.raises(SettingsError, match=f"{path}.*{said}"):
        load({"services": {"shop": service}})


@pytest.mark.parametrize("discovery", ["zone", {"zone": {}}, {"zone": None}, {"name": "zone"}])
def test_a_discovery_is_named_as_a_strategy_is(registered, discovery):
    registered(Zone, "zone")
    made = load({"services": {"shop": {"discovery": discovery}}}).services["shop"]
    (chosen,) = made.discovery
    assert (chosen.name, chosen.options, made.endpoints) == ("zone", {}, ())


# The first call


def test_nothing_is_asked_before_the_first_call(mesh_of_zone):
    mesh, zone = mesh_of_zone()
    assert (zone.asked, mesh.status(), mesh.sources()["shop"]["age"]) == (0, {"shop": {}}, None)
    assert called(mesh) == A
    assert zone.asked == 1


def test_the_first_calls_wait_for_the_first_answer_and_later_ones_for_nothing(mesh_of_zone):
    mesh, zone = mesh_of_zone()
    zone.go_on.clear()
    went = []
    threads = [threading.Thread(target=lambda: went.append(called(mesh))) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    assert went == []
    zone.go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert went == [A, A, A]
    assert mesh.services["shop"].arrival is None


def test_the_wait_is_part_of_the_calls_time(mesh_of_zone):
    mesh, zone = mesh_of_zone(timeout=0.05)
    zone.go_on.clear()
    with pytest.raises(DeadlineExceeded, match=r"0\.050 s exceeded, nothing was sent"):
        called(mesh)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(called_async(mesh))


@pytest.mark.parametrize("answer", [OSError("no route"), Endpoints([])], ids=["failed", "empty"])
def test_a_first_answer_without_endpoints_is_no_reason_to_wait(mesh_of_zone, answer):
    mesh, zone = mesh_of_zone(timeout=60.0)
    zone.answer = answer
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(NoEndpoint, match=r"zone: (OSError: no route|found none)"):
            called(mesh)
    assert time.monotonic() - began < 30.0


def test_tasks_wait_without_their_loop_standing_still(mesh_of_zone):
    mesh, zone = mesh_of_zone()
    zone.go_on.clear()

    async def main():
        tasks = [asyncio.create_task(called_async(mesh)) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not any(task.done() for task in tasks)
        tasks[0].cancel()
        zone.go_on.set()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)

    cancelled, *went = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert went == [A, A]
    assert mesh.status()["shop"][A]["in_flight"] == 0


# Later


def until(fine):
    end = time.monotonic() + PATIENCE
    while not fine():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_changes_is_seen_and_the_age_is_shown(mesh_of_zone):
    mesh, zone = mesh_of_zone()
    called(mesh)
    zone.answer = Endpoints([B], 1.0)
    until(lambda: called(mesh) == B)
    state = mesh.status()["shop"][B]
    assert (state["state"], state["weight"]) == ("available", 1.0)
    assert 0 <= state["age"] < PATIENCE
    assert mesh.sources()["shop"]["name"] == "zone"


def test_a_reload_keeps_the_source_while_its_settings_stay(mesh_of_zone):
    mesh, _ = mesh_of_zone()
    called(mesh)
    service, source = mesh.services["shop"], mesh.services["shop"].source
    mesh.reload({"request_timeout": 5.0, **settings_of()})
    assert mesh.services["shop"] is service
    assert service.source is source


@pytest.mark.parametrize(
    "changed", [{"discovery": {"zone": {"port": 81}}}, {"timeout": 3.0}], ids=["source", "policies"]
)
def test_a_reload_that_changes_source_or_policies_keeps_what_was_found_until_the_new_answer(mesh_of_zone, changed):
    mesh, zone = mesh_of_zone()
    called(mesh)
    old = mesh.services["shop"].source
    mesh.reload(settings_of(**changed))
    new = Zone.made[-1]
    new.answer = Endpoints([B], 1.0)
    assert mesh.services["shop"].source is not old
    assert mesh.services["shop"].arrival is None
    assert list(mesh.status()["shop"]) == [A]
    until(lambda: called(mesh) == B)
    asked = zone.asked
    time.sleep(0.05)
    assert zone.asked == asked


def test_a_reload_may_list_what_was_found_before_and_the_other_way_round(mesh_of_zone):
    mesh, _ = mesh_of_zone()
    called(mesh)
    mesh.reload({"services": {"shop": {"endpoints": [B]}}})
    assert (mesh.services["shop"].source, list(mesh.status()["shop"]), called(mesh)) == (None, [B], B)
    mesh.reload(settings_of())
    assert list(mesh.status()["shop"]) == [B]
    until(lambda: called(mesh) == A)


def test_who_waits_when_the_mesh_is_closed_goes_on(mesh_of_zone):
    mesh, zone = mesh_of_zone(timeout=60.0)
    zone.go_on.clear()
    errors = []

    def wait():
        try:
            called(mesh)
        except NoEndpoint as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: zone.asked)
    mesh.close()
    thread.join(PATIENCE)
    assert "no answer yet" in str(errors[0])


@pytest.mark.parametrize(
    "changed",
    [{"discovery": {"zone": {"port": 81}}}, {"timeout": 30.0}, {"discovery": None, "endpoints": [B]}],
    ids=["source", "policies", "listed"],
)
@pytest.mark.parametrize("wait", [called, lambda mesh: asyncio.run(called_async(mesh))], ids=["sync", "async"])
def test_who_waits_for_the_first_answer_waits_on_over_a_reload(mesh_of_zone, changed, wait):
    mesh, zone = mesh_of_zone(timeout=60.0)
    zone.go_on.clear()
    went = []
    thread = threading.Thread(target=lambda: went.append(wait(mesh)))
    thread.start()
    until(lambda: zone.asked)
    mesh.reload(settings_of(**changed))
    thread.join(PATIENCE)
    assert went == [B if "endpoints" in changed else A]


def test_a_service_that_is_gone_has_its_source_stopped(mesh_of_zone):
    mesh, _ = mesh_of_zone()
    called(mesh)
    source = mesh.services["shop"].source
    mesh.reload({"services": {"other": {"endpoints": [B]}}})
    assert source.each[0]._stop.is_set()


FORKED = """
import os, sys, threading
from meshware import Mesh, plugins
from meshware.core.request import Request
from meshware.discovery import Endpoints
from meshware.settings.load import load

parent = os.getpid()
asked = threading.Event()

class Zone:
    def fetch(self, now):
        if os.getpid() != parent:
            asked.set()
        return Endpoints(["10.0.0.1:80"], 1.0)

plugins.register("meshware.discovery", "zone", Zone)
mesh = Mesh(load({"services": {"shop": {"discovery": "zone"}}}))

def begun():
    service = mesh.services["shop"]
    call = mesh.call(service, Request("GET", "shop", "/", {}))
    if service.arrival is not None:
        service.arrival.wait(5.0)
    return call.begin(mesh.clock()).endpoint

first = begun()
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert mesh.services["shop"].arrival is None
assert begun().address == first.address
assert mesh.status()["shop"][first.address]["age"] >= 0
assert asked.wait(5.0)
assert not first.open or begun() is not first
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_with_what_was_found_and_asks_for_itself():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(FORKED)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


# By real clients


@pytest.fixture
def serving(mesh_of_zone, upstreams):
    """A mesh whose endpoints are three real servers, found by a zone that has not answered yet."""
    mesh, zone = mesh_of_zone()
    zone.answer = Endpoints([each.address for each in upstreams])
    zone.go_on.clear()
    threading.Timer(0.1, zone.go_on.set).start()
    return mesh


def test_the_first_calls_of_requests_wait_and_arrive(serving, session_of):
    session = session_of(serving)
    assert [session.get("http://shop/ok").status_code for _ in range(5)] == [200] * 5


def test_the_first_calls_of_httpx_wait_and_arrive(serving, face_of):
    face = face_of(serving)
    assert [face.get("http://shop/ok").status_code for _ in range(5)] == [200] * 5


def test_a_reload_to_listed_endpoints_is_not_undone_by_an_answer_that_is_just_put_in_force(mesh_of_zone):
    mesh, zone = mesh_of_zone()
    zone.answer = Endpoints([f"10.1.{number // 250}.{number % 250}:80" for number in range(3000)], 1.0)
    reload = threading.Thread(target=mesh.reload, args=({"services": {"shop": {"endpoints": [B]}}},))

    def breathe():
        if threading.current_thread().name == "meshware-housekeeper" and reload.ident is None:
            reload.start()
            reload.join(0.2)  # it waits

    mesh.services["shop"].parts.breathe = breathe
    called(mesh)
    reload.join(PATIENCE)
    assert [each.address for each in mesh.services["shop"].endpoints] == [B]
    assert mesh.services["shop"].source is None
