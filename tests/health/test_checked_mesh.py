"""Health checks of a whole mesh: real servers, the housekeeper's own thread, and nobody who calls."""

from __future__ import annotations

import threading
import time

import pytest
from faults.behaviours import _then, answer

from meshware.core.events import EndpointHealthy, EndpointUnhealthy
from meshware.core.policy import Observer
from meshware.mesh import Mesh
from meshware.settings.load import load

WELL = _then(answer(200, b"well"))
NOT_WELL = _then(answer(503, b"not well"))


class Ear(Observer):
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)

    def of(self, kind):
        return [each.address for each in self.events if isinstance(each, kind)]


def until(true, seconds=20.0):
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


@pytest.fixture
def checked():
    made = []

    def make(upstreams, health_check, **settings):
        inventory = {"endpoints": [each.address for each in upstreams], "health_check": health_check, **settings}
        ear = Ear()
        made.append(Mesh(load({"services": {"inventory": inventory}}), observers=[ear]))
        made[-1].keep()
        return made[-1], ear

    yield make
    for mesh in made:
        mesh.close()


def states(mesh):
    return [each["state"].partition(" ")[0] for each in mesh.status()["inventory"].values()]


def test_who_says_he_is_not_well_is_out_until_he_is(checked, upstreams):
    for each in upstreams:
        each.answers["health"] = WELL
    upstreams[0].answers["health"] = NOT_WELL
    mesh, ear = checked(upstreams, {"http": {"path": "/health"}, "interval": 0.2, "timeout": 0.2}, slow_start=0.0)
    until(lambda: states(mesh) == ["unhealthy", "available", "available"])
    first = mesh.status()["inventory"][upstreams[0].address]
    assert first["state"] == "unhealthy (it answers 503)"
    assert first["health"]["said"] == "it answers 503"
    assert 0 <= first["health"]["age"] < 20
    upstreams[0].answers["health"] = WELL
    until(lambda: states(mesh) == ["available"] * 3)
    assert ear.of(EndpointUnhealthy) == ear.of(EndpointHealthy) == [upstreams[0].address]
    assert upstreams[0].requests[0].headers["host"] == "inventory"


def test_who_takes_no_connection_is_out(checked, upstreams):
    mesh, _ = checked(upstreams, {"tcp": True, "interval": 0.2, "timeout": 0.2, "unhealthy": 2})
    upstreams[0].stop()
    until(lambda: states(mesh)[0] == "unhealthy")
    assert states(mesh)[1:] == ["available", "available"]


def test_a_function_that_raises_or_hangs_says_no_and_the_others_are_asked_all_the_same(checked, upstreams):
    first, second, third = (each.address for each in upstreams)
    free = threading.Event()

    def check(endpoint):
        if endpoint.address == first:
            free.wait(30)
        if endpoint.address == second:
            raise RuntimeError("no idea")
        return True

    mesh, _ = checked(upstreams, {"call": check, "interval": 0.2, "timeout": 0.1, "unhealthy": 2})
    try:
        until(lambda: states(mesh) == ["unhealthy", "unhealthy", "available"])
        health = {address: each["health"]["said"] for address, each in mesh.status()["inventory"].items()}
        assert "no answer in 0.1 s" in health[first] or "still hangs" in health[first]
        assert (health[second], health[third]) == ("RuntimeError: no idea", "healthy")
    finally:
        free.set()


def test_a_service_with_tls_is_checked_by_its_identity(checked, tls_upstream, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    right, wrong = tls_upstream("inventory"), tls_upstream("billing")
    tls = {"ca": str(tmp_path / "ca.pem")}
    check = {"http": {"path": "/ok"}, "interval": 0.5, "timeout": 0.5, "unhealthy": 1}
    mesh, _ = checked([right, wrong], check, tls=tls)
    until(lambda: states(mesh) == ["available", "unhealthy"])
    until(lambda: right.requests)
    assert right.requests[0].server_name == "inventory"


def test_other_settings_end_the_checks_of_before(checked, upstreams):
    mesh, _ = checked(upstreams, {"http": {"path": "/ok"}, "interval": 0.2, "timeout": 0.2})
    old = mesh.services["inventory"]
    until(lambda: upstreams[0].requests)
    mesh.reload({"services": {"inventory": {"endpoints": [upstreams[0].address]}}})
    assert old.checks is None
    assert mesh.services["inventory"].checks is None
    assert "health" not in mesh.status()["inventory"][upstreams[0].address]
