"""A reload that changes a service's policies: what was learned of its endpoints goes on, and what its parts know."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from meshware.core.availability import Bar
from meshware.core.call import Retry
from meshware.core.events import EndpointEjected, EndpointsChanged
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.settings.load import load

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


class Events(Observer):
    """Keeps every event."""

    def __init__(self):
        self.seen = []

    def on_event(self, event):
        self.seen.append(event)

    def of(self, kind):
        return [each for each in self.seen if isinstance(each, kind)]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def settings(*endpoints, **shop):
    return {"services": {"shop": {"endpoints": list(endpoints or (A, B)), "strategy": "round_robin", **shop}}}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def mesh(clock, events):
    made = Mesh(load(settings()), clock=clock, observers=[events])
    made._keeper.start = lambda: None  # the test does what it would
    yield made
    made.close()


def begun(mesh, method="GET"):
    """A call, and its first attempt."""
    call = mesh.call(mesh.services["shop"], Request(method, "shop", "/", {}))
    return call, call.begin(mesh.clock())


def succeed(mesh, count=1, elapsed=0.01):
    for _ in range(count):
        call, attempt = begun(mesh)
        end(mesh, call, attempt, elapsed)


def end(mesh, call, attempt, elapsed=0.01, status=200):
    step = call.answered(attempt, Outcome(elapsed=elapsed, status=status), mesh.clock())
    call.ended(attempt, Ending.COMPLETE, elapsed, mesh.clock())
    call.service.settle(mesh.clock())
    return step


def refuse(mesh):
    """An endpoint that refuses a connection, and so is out until it can be connected to."""
    call, attempt = begun(mesh, "POST")
    call.answered(attempt, Outcome(elapsed=0.1, cause=Cause.REFUSED, sent=True), mesh.clock())
    call.abandon(attempt, mesh.clock())
    return attempt.endpoint


def round(mesh):
    return mesh._keeper.round(mesh.clock())


CHANGES = [
    {"timeout": 3.0},
    {"retry": {"attempts": 3}},
    {"retry": {"budget": {"ratio": 0.1}}},
    {"circuit": {"calls": 5}},
    {"limits": {"enabled": False}},
    {"hedge": {"enabled": False}},
    {"strategy": "adaptive"},
    {"ejection": {"consecutive": 9}},
    {"guard": 0.9},
    {"panic": 0.1},
    {"host": "endpoint"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_endpoints_stay_and_with_them_what_is_in_flight(mesh, events, change):
    call, attempt = begun(mesh)
    service, known = mesh.services["shop"], mesh.services["shop"].endpoints
    mesh.reload(settings(**change))
    now = mesh.services["shop"]
    assert now is not service
    assert now.endpoints == known
    assert sum(len(each.open) for each in now.endpoints) == 1
    end(mesh, call, attempt)
    assert sum(len(each.open) for each in now.endpoints) == 0
    assert len(events.of(EndpointsChanged)) == 1  # that of the start
    assert {begun(mesh)[1].endpoint.address for _ in range(4)} == {A, B}


@pytest.mark.parametrize("change", [{"timeout": 3.0}, {"circuit": {"calls": 5}}], ids=str)
def test_what_strategies_have_measured_stays_while_they_are_the_same(mesh, change):
    mesh.reload(settings(strategy="adaptive"))
    succeed(mesh, 50)
    service = mesh.services["shop"]
    readings = [dict(each.readings) for each in service.endpoints]
    assert all(readings)
    mesh.reload(settings(strategy="adaptive", **change))
    succeed(mesh, 5)
    now = mesh.services["shop"]
    assert [dict(each.readings) for each in now.endpoints] == readings
    assert (now.strategy, now.learner, now.fleet) == (service.strategy, service.learner, service.fleet)


def test_another_strategy_measures_for_itself_and_what_others_measured_costs_nothing_more(mesh):
    for strategy in ("adaptive", "peak_ewma", "response_time", "round_robin") * 3:
        mesh.reload(settings(strategy=strategy))
        succeed(mesh, 3)
    assert [each.readings for each in mesh.services["shop"].endpoints] == [{}, {}]
    mesh.reload(settings(strategy="peak_ewma"))
    succeed(mesh, 3)
    assert [len(each.readings) for each in mesh.services["shop"].endpoints] == [1, 1]
    assert len(mesh.services["shop"].fleet) == 1


@pytest.mark.parametrize("change", [{"timeout": 3.0}, {"strategy": "adaptive"}, {"retry": {"attempts": 3}}], ids=str)
def test_what_is_ejected_stays_out_and_comes_back_by_its_connect(mesh, clock, change):
    out = refuse(mesh)
    mesh.reload(settings(**change))
    now = mesh.services["shop"]
    assert Bar.EJECTED in out.bars
    assert {begun(mesh)[1].endpoint for _ in range(4)} == set(now.endpoints) - {out}
    connects = []
    mesh._keeper._probes.start = lambda endpoint, timeout, done, now: connects.append((endpoint, done))
    clock.now += 2.0
    round(mesh)
    ((endpoint, done),) = connects
    assert endpoint is out
    done(out, True, clock.now)
    clock.now += 20.0
    round(mesh)
    assert not out.bars
    assert not now.ejection.waiting


def test_other_rules_of_ejection_judge_anew(mesh, clock):
    out = refuse(mesh)
    before = mesh.services["shop"]
    late, attempt = begun(mesh, "POST")
    mesh.reload(settings(ejection={"consecutive": 1}))
    now = mesh.services["shop"]
    assert not out.bars
    assert not now.ejection.waiting
    late.answered(attempt, Outcome(elapsed=0.1, status=500), clock.now)  # it was watched by the old rules
    late.ended(attempt, Ending.COMPLETE, 0.1, clock.now)
    before.settle(clock.now)
    assert not now.ejection.waiting
    assert not attempt.endpoint.bars


def test_a_call_under_way_that_ejects_an_endpoint_does_so_for_all(mesh, clock, events):
    call, attempt = begun(mesh, "POST")
    mesh.reload(settings(timeout=3.0))
    call.answered(attempt, Outcome(elapsed=0.1, cause=Cause.REFUSED, sent=True), clock.now)
    assert attempt.endpoint in mesh.services["shop"].ejection.waiting
    assert len(events.of(EndpointEjected)) == 1
    assert mesh.services["shop"].changed
    assert {begun(mesh)[1].endpoint for _ in range(4)} == set(mesh.services["shop"].endpoints) - {attempt.endpoint}


@pytest.mark.parametrize(
    ("change", "new"),
    [
        ({"timeout": 3.0}, []),
        ({"circuit": {"calls": 5}}, ["circuit"]),
        ({"retry": {"budget": {"ratio": 0.1}}}, ["budget"]),
        ({"limits": {"enabled": False}}, ["limiter"]),
        ({"guard": 0.9}, ["guard", "ejection", "circuit"]),
        ({"strategy": "random"}, ["strategy"]),
        ({"tls": {}}, ["strategy"]),
    ],
    ids=str,
)
def test_a_part_is_made_anew_only_if_what_it_is_made_of_has_changed(mesh, change, new):
    succeed(mesh, 3)
    before = mesh.services["shop"]
    parts = ("circuit", "budget", "limiter", "guard", "ejection", "strategy", "operations", "attempt_timeout", "inbox")
    had = {name: getattr(before, name) for name in parts}
    mesh.reload(settings(**change))
    now = mesh.services["shop"]
    assert {name for name in parts if getattr(now, name) is not had[name]} == set(new)


def test_a_fault_that_is_injected_ends_when_it_would_have_ended(mesh, clock):
    faults = [{"abort": 503, "until": 60.0}]
    mesh.reload(settings(faults=faults))
    injected = mesh.services["shop"].faults
    clock.now += 30.0
    mesh.reload(settings(faults=faults, timeout=3.0))
    assert mesh.services["shop"].faults is injected
    mesh.reload(settings(timeout=3.0))
    assert mesh.services["shop"].faults is None


def test_endpoints_may_change_with_the_policies(mesh, events):
    known = mesh.services["shop"].endpoints
    mesh.reload(settings(B, {"address": C, "weight": 2}, timeout=3.0))
    now = mesh.services["shop"]
    assert [each.address for each in now.endpoints] == [B, C]
    assert now.endpoints[0] is known[1]
    assert Bar.REMOVED in known[0].bars
    changed = events.of(EndpointsChanged)[-1]
    assert (changed.added, changed.removed) == ((C,), (A,))


def test_a_call_that_was_given_the_old_service_and_not_begun_goes_where_the_new_ones_go(mesh):
    call = mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {}))
    mesh.reload(settings(C, timeout=3.0, strategy="adaptive"))
    assert call.begin(mesh.clock()).endpoint.address == C


def test_a_call_under_way_is_sent_again_where_the_new_ones_go(mesh):
    call, attempt = begun(mesh)
    mesh.reload(settings(C, timeout=3.0))
    step = call.answered(attempt, Outcome(elapsed=0.1, cause=Cause.RESET, error=OSError()), mesh.clock())
    assert isinstance(step, Retry)
    assert step.attempt.endpoint.address == C
    call.abandon(step.attempt, mesh.clock())


def test_nobody_looks_after_the_old_ones_however_often_it_changes(mesh, clock):
    held, olds = [begun(mesh)], []
    for turn in range(50):
        olds.append(weakref.ref(mesh.services["shop"]))
        mesh.reload(settings(timeout=3.0 + turn))
        succeed(mesh)
        held.append(begun(mesh))
    round(mesh)
    clock.now += 100.0
    assert mesh._attended.services() == [mesh.services["shop"]]
    for call, attempt in held:
        end(mesh, call, attempt)
    assert sum(len(each.open) for each in mesh.services["shop"].endpoints) == 0
    del held, call, attempt
    gc.collect()
    assert [each() for each in olds] == [None] * 50


def test_health_checks_go_on_with_what_they_know(mesh, clock):
    check = {"call": lambda endpoint: None, "interval": 5.0}
    mesh.reload(settings(health_check=check))
    service = mesh.services["shop"]
    round(mesh)
    bad = service.endpoints[0]
    record = service.checks._records[bad]
    for _ in range(3):
        service.checks._failed(bad, record, OSError("ill"), clock.now)
    assert Bar.UNHEALTHY in bad.bars
    mesh.reload(settings(health_check={**check, "interval": 2.0}))
    now = mesh.services["shop"]
    round(mesh)
    assert now.checks._records[bad] is record
    assert Bar.UNHEALTHY in bad.bars
    mesh.reload(settings())
    assert not bad.bars


def test_endpoints_that_were_found_stay_with_what_is_known(mesh, clock, monkeypatch):
    from meshware import plugins
    from meshware.discovery import Endpoints

    class Zone:
        def fetch(self, now):
            return Endpoints((A, B), 1.0)

    monkeypatch.setattr(plugins, "_registered", {})
    plugins.register(plugins.DISCOVERY, "zone", Zone)
    found = {"services": {"shop": {"discovery": "zone", "strategy": "round_robin"}}}
    mesh.reload(found)
    known = mesh.services["shop"].endpoints
    assert [each.address for each in known] == [A, B]
    found["services"]["shop"]["timeout"] = 3.0
    mesh.reload(found)
    assert mesh.services["shop"].endpoints == known


@pytest.mark.parametrize("seconds", [0.3, pytest.param(30.0, marks=pytest.mark.soak)])
def test_threads_call_while_the_policies_change_all_the_while(events, seconds):
    """No call fails, nothing is left in flight, no part of ours is found misbehaving."""
    mesh = Mesh(load(settings(A, B, C)), observers=[events])
    over, failed, done = threading.Event(), [], []

    def work():
        while not over.is_set():
            try:
                call, attempt = begun(mesh)
                end(mesh, call, attempt)
                done.append(1)
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    until, turn = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        turn += 1
        mesh.reload(settings(*((A, B), (B, C), (C, A))[turn % 3], **CHANGES[turn % len(CHANGES)]))
        time.sleep(0.002)
    over.set()
    for thread in threads:
        thread.join(10.0)
    try:
        assert failed == []
        assert done
        assert mesh.plugin_failures == 0
        assert sum(len(each.open) for each in mesh.services["shop"].endpoints) == 0
    finally:
        mesh.close()


def test_an_old_service_makes_no_picker_any_more(mesh):
    succeed(mesh, 1)
    before = mesh.services["shop"]
    mesh.reload(settings(timeout=3.0))
    before.refresh(mesh.clock())
    assert before.picker is None
