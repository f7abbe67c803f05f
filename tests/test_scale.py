"""Many services, many endpoints: what is not used costs next to nothing, what has not changed is not touched."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections import Counter
from random import Random
from typing import ClassVar

import pytest

from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.request import Request
from meshware.core.service import FEW, PARTS, SLICE, Service
from meshware.housekeeper import ATTENDED, Attended, Housekeeper
from meshware.mesh import Mesh
from meshware.settings.load import load

SERVICES = 500


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class CountingStrategy:
    """Counts the pickers that are made, by the addresses that they are made for."""

    made: ClassVar = Counter()

    def picker(self, endpoints):
        self.made[tuple(each.address for each in endpoints)] += 1
        return Picker(endpoints)


class Picker:
    def __init__(self, endpoints):
        self.endpoints = endpoints

    def pick(self, call):
        return self.endpoints[int(call.rng.random() * len(self.endpoints))]


def settings(services=SERVICES, endpoints=3, **policies):
    """So many services of so many endpoints."""
    written = {}
    for number in range(services):
        addresses = [
            f"10.{number // 250}.{number % 250}.{each // 250}:{8000 + each % 250}" for each in range(endpoints)
        ]
        written[f"service-{number}"] = {"endpoints": addresses, **policies}
    return load({"services": written})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    def mesh(loaded, **facts):
        made = Mesh(loaded, rng=Random(1), clock=clock, **facts)
        made._keeper.running = True  # rounds are made by hand
        return made

    return mesh


@pytest.fixture
def counted(monkeypatch):
    """How many pickers were made since."""
    monkeypatch.setattr("meshware.plugins._registered", {})
    monkeypatch.setattr(CountingStrategy, "made", Counter())
    Mesh.register("counting", CountingStrategy)
    return CountingStrategy.made


def call(mesh, name, clock):
    """One good call, read to its end."""
    service = mesh.services[name]
    made = mesh.call(service, Request("GET", name, "/", {}))
    attempt = made.begin(clock.now)
    made.answered(attempt, Outcome(elapsed=0.001, status=200), clock.now)
    made.ended(attempt, Ending.COMPLETE, 0.001, clock.now)
    return attempt.endpoint


def used_by(make):
    """Bytes, deterministic enough for a generous bound."""
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        del made


# Memory


def test_an_idle_service_of_three_endpoints_takes_at_most_4_kib(make):
    loaded = settings()
    make(settings(2))
    assert used_by(lambda: make(loaded)) / SERVICES <= 4096


def test_an_idle_endpoint_takes_at_most_1_kib(make):
    loaded = settings(1, 5000)
    make(settings(2))
    assert used_by(lambda: make(loaded)) / 5000 <= 1024


def test_a_service_that_was_never_called_has_no_parts(make, clock):
    mesh = make(settings(3))
    call(mesh, "service-1", clock)
    mesh.status()
    mesh.reload(settings(3, 2))
    for name in ("service-0", "service-2"):
        assert not [part for part in PARTS if has(mesh.services[name], part)]
    assert has(mesh.services["service-1"], "budget")


def has(service, part):
    try:
        return bool(object.__getattribute__(service, part)) or True
    except AttributeError:
        return False


def test_a_part_is_made_once_whoever_comes_first(make):
    service = make(settings(1)).services["service-0"]
    assert service.budget is service.budget
    assert service.ejection is service.ejection
    with pytest.raises(AttributeError, match="no 'colour'"):
        _ = service.colour


# Reloads


def test_a_reload_that_changes_one_service_touches_one(make, clock, counted):
    mesh = make(settings(20, strategy="counting"))
    for name in mesh.services:
        call(mesh, name, clock)
    before = dict(mesh.services)
    known = {name: (each.endpoints, each.picker) for name, each in before.items()}
    counted.clear()
    loaded = settings(20, strategy="counting").services
    mesh.reload({"services": {name: written(each) for name, each in loaded.items()} | {"service-7": changed()}})
    assert mesh.services == before
    assert [name for name, each in before.items() if (each.endpoints, each.picker) != known[name]] == ["service-7"]
    assert sum(counted.values()) == 1


def written(each):
    return {"strategy": "counting", "endpoints": [endpoint.address for endpoint in each.endpoints]}


def changed():
    return {"strategy": "counting", "endpoints": ["10.9.9.9:80"]}


def test_other_policies_make_one_service_anew(make):
    mesh = make(settings(20))
    before = dict(mesh.services)
    loaded = {name: {"endpoints": each.endpoints} for name, each in settings(20).services.items()}
    loaded["service-3"]["timeout"] = 2.0
    mesh.reload({"services": loaded})
    assert [name for name, each in mesh.services.items() if each is not before[name]] == ["service-3"]


def test_the_picker_of_a_small_service_is_made_by_its_first_call_and_once(make, clock, counted):
    mesh = make(settings(2, strategy="counting"))
    assert not counted
    for _ in range(3):
        call(mesh, "service-0", clock)
    assert sum(counted.values()) == 1


def test_the_picker_of_a_large_service_is_there_before_its_first_call(make, counted):
    make(settings(1, FEW + 1, strategy="counting"))
    assert sum(counted.values()) == 1


# The housekeeper


def visited(mesh, clock):
    """The names of the services that a round looks at now."""
    return [each.name for each in mesh._attended.services()]


def test_an_idle_round_looks_at_no_service(make, clock):
    mesh = make(settings())
    assert visited(mesh, clock) == []


def test_a_service_is_looked_after_from_its_call_until_nothing_is_to_come(make, clock):
    mesh = make(settings(5))
    keeper = Housekeeper(mesh._attended.services, clock=clock)
    call(mesh, "service-2", clock)
    assert visited(mesh, clock) == ["service-2"]
    assert mesh.services["service-2"].inbox
    keeper.round(clock.now)
    assert not mesh.services["service-2"].inbox
    clock.now += ATTENDED - 1
    assert visited(mesh, clock) == ["service-2"]
    clock.now += 1
    assert visited(mesh, clock) == []
    call(mesh, "service-2", clock)
    assert visited(mesh, clock) == ["service-2"]
    keeper.stop()


def test_a_busy_service_is_added_once_a_round(make, clock, monkeypatch):
    added = []
    mesh = make(settings(5))
    add = Attended.add
    monkeypatch.setattr(Attended, "add", lambda self, service: (added.append(service), add(self, service)))
    for _ in range(10):
        call(mesh, "service-2", clock)
    visited(mesh, clock)
    call(mesh, "service-2", clock)
    assert len(added) == 2


def test_what_is_in_flight_is_looked_after_however_long_it_takes(make, clock):
    mesh = make(settings(5))
    service = mesh.services["service-4"]
    made = mesh.call(service, Request("GET", service.name, "/", {}))
    attempt = made.begin(clock.now)
    clock.now += 100
    assert visited(mesh, clock) == ["service-4"]
    made.abandon(attempt, clock.now)
    assert visited(mesh, clock) == ["service-4"]
    service.settle(clock.now)
    assert visited(mesh, clock) == []


def test_a_bar_that_will_fall_is_looked_after_and_one_for_ever_is_not(make, clock):
    mesh = make(settings(5))
    call(mesh, "service-4", clock)
    service = mesh.services["service-4"]
    service.settle(clock.now)
    service.endpoints[0].availability.bar(Bar.HELD)
    service.endpoints[1].availability.bar(Bar.OVERLOADED, clock.now + 60)
    clock.now += 50
    assert visited(mesh, clock) == ["service-4"]
    clock.now += 11
    service.refresh(clock.now)
    assert visited(mesh, clock) == []


def test_a_change_by_hand_is_seen_to_in_the_next_round(make, clock):
    mesh = make(settings(5))
    call(mesh, "service-1", clock)
    service = mesh.services["service-1"]
    clock.now += 100
    service.settle(clock.now)
    assert visited(mesh, clock) == []
    service.change()
    Housekeeper(mesh._attended.services, clock=clock).round(clock.now)
    assert not service.changed


def test_a_service_that_a_reload_has_put_away_is_left_when_its_calls_are_over(make, clock, monkeypatch):
    mesh = make(settings(2))
    keeper = Housekeeper(mesh._attended.services, clock=clock)
    connects = []
    monkeypatch.setattr(keeper._probes, "start", lambda endpoint, *_: connects.append(endpoint))
    service = mesh.services["service-1"]
    under_way = mesh.call(service, Request("GET", service.name, "/", {}))
    attempt = under_way.begin(clock.now)
    failed = mesh.call(service, Request("POST", service.name, "/", {}))
    refused = Outcome(elapsed=0.1, cause=Cause.REFUSED, sent=False)
    failed.abandon(failed.answered(failed.begin(clock.now), refused, clock.now).attempt, clock.now)
    assert service.ejection.waiting
    mesh.reload(settings(1))
    clock.now += 100
    assert visited(mesh, clock) == ["service-1"]
    keeper.round(clock.now)
    assert connects == []
    under_way.abandon(attempt, clock.now)
    keeper.round(clock.now)
    assert visited(mesh, clock) == []
    keeper.stop()


# One of many endpoints


def test_replacing_one_of_many_endpoints_makes_one_new_reading(make, monkeypatch):
    mesh = make(settings(1, 2 * FEW))
    service: Service = mesh.services["service-0"]
    readings = []
    meter = service.learner.meter
    fresh = type(meter).reading
    monkeypatch.setattr(type(meter), "reading", lambda self, fleet: readings.append(1) or fresh(self, fleet))
    before = service.endpoints
    service.replace([*(Endpoint(each.address) for each in before[1:]), Endpoint("10.99.0.1:80")], 2000.0)
    assert service.endpoints[:-1] == before[1:]
    assert len(readings) == 1


def test_other_threads_run_while_many_endpoints_are_replaced(make, monkeypatch):
    breaths, here, sleep = [], threading.get_ident(), time.sleep
    monkeypatch.setattr(
        "time.sleep", lambda seconds: breaths.append(seconds) if threading.get_ident() == here else sleep(seconds)
    )
    make(settings(1, 3 * SLICE))
    assert breaths == [0] * 3
