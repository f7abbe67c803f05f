"""Which faults befall which calls: by what they are for, by chance, and no longer than they are in force."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from world import NAME, START, World, request

from meshware.assembly.services import assemble
from meshware.core.errors import SettingsError
from meshware.core.events import FaultInjected
from meshware.core.fault import Fault, Injection, Ordered
from meshware.routing.faults import Faults
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings

ABORT, DELAY = Fault(abort=503), Fault(delay=0.5)


def draw(*faults, asked=None, now=0.0, counts=False, ordered=None, rng=None, emit=lambda event: None):
    made = Faults(NAME, faults, made_of=None, emit=emit)
    return made.draw(asked or request(), rng or random.Random(1), now, counts=counts, ordered=ordered)


def test_a_fault_befalls_the_calls_that_it_is_for():
    fault = Fault(abort=503, methods=frozenset({"GET"}), path="/items", headers=(("x-beta", "1"), ("x-any", "*")))
    told = {"x-beta": "1", "x-any": "whatever"}
    assert draw(fault, asked=request(headers=told)) == Injection(0.0, fault)
    assert draw(fault, asked=request(headers={"x-beta": b"1", "x-any": b""})) == Injection(0.0, fault)
    assert draw(fault, asked=request("POST", headers=told)) is None
    assert draw(fault, asked=request(path="/other", headers=told)) is None
    assert draw(fault, asked=request(headers={**told, "x-beta": "2"})) is None
    assert draw(fault, asked=request(headers={"x-beta": "1"})) is None


def test_nothing_is_injected_once_the_time_is_over():
    fault = Fault(abort=503, until=10.0)
    assert draw(fault, now=9.9) is not None
    assert draw(fault, now=10.0) is None


def test_delays_add_up_and_what_comes_first_of_the_rest_ends_it():
    assert draw(DELAY, ABORT, DELAY, Fault(reset=True)) == Injection(0.5, ABORT)
    assert draw(DELAY, DELAY) == Injection(1.0, None)
    assert draw() is None


def test_faults_of_attempts_and_of_calls_are_drawn_apart():
    counted = Fault(reset=True, counts=True)
    assert draw(ABORT, counted).end is ABORT
    assert draw(ABORT, counted, counts=True).end is counted
    assert draw(ABORT, counts=True) is None


def test_so_many_of_a_hundred_are_hit_and_the_same_by_the_same_chance():
    rng = random.Random(7)
    hits = [draw(Fault(abort=503, share=0.3), rng=rng) is not None for _ in range(10_000)]
    assert sum(hits) == pytest.approx(3_000, abs=150)  # 3.3 sigma
    rng = random.Random(7)
    assert hits[:100] == [draw(Fault(abort=503, share=0.3), rng=rng) is not None for _ in range(100)]
    assert draw(Fault(abort=503, share=0.0)) is None


def test_an_ordered_fault_is_for_the_service_that_it_names():
    assert draw(ordered=Ordered(NAME, ABORT)) == Injection(0.0, ABORT)
    assert draw(ordered=Ordered("pricing", ABORT)) is None
    assert draw(ordered=Ordered(NAME, ABORT), counts=True) is None


def test_each_fault_is_told_once():
    events = []
    faults = Faults(NAME, [DELAY, ABORT], made_of=None, emit=events.append)
    for now in (1.0, 2.0):
        faults.draw(request(), random.Random(1), now, counts=False)
    assert events == [
        FaultInjected(NAME, 1.0, "delay 0.5 s", DELAY.until),
        FaultInjected(NAME, 1.0, "abort 503", ABORT.until),
    ]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(reset=True), "reset"),
        (Fault(partial_body=10), "body of 10 bytes"),
        (Fault(abort=503, share=0.25), "abort 503, 25 %"),
    ],
)
def test_a_fault_says_what_it_is(fault, text):
    assert str(fault) == text


# From the settings


def settings(*faults, **more):
    return {"services": {NAME: {"endpoints": ["10.0.0.1:80"], "faults": list(faults)}}, **more}


def test_without_faults_there_is_nothing_to_ask():
    assert World().service.faults is None


def test_the_settings_make_them():
    world = World(
        faults=[
            {
                "abort": 500,
                "percentage": 12.5,
                "when": {"methods": ["get"], "path": "/a", "headers": {"x-a": "1"}},
                "until": 60,
                "counts": True,
            }
        ]
    )
    assert world.service.faults.faults == (
        Fault(
            abort=500,
            share=0.125,
            methods=frozenset({"GET"}),
            path="/a",
            headers=(("x-a", "1"),),
            until=START + 60,
            counts=True,
        ),
    )


def test_the_end_may_be_a_moment():
    moment = datetime.now(UTC) + timedelta(seconds=100)
    for until in (moment, moment.isoformat(), moment.isoformat().replace("+00:00", "Z")):
        (fault,) = World(faults=[{"reset": True, "until": until}]).service.faults.faults
        assert fault.until == pytest.approx(START + 100, abs=1.0)


def test_a_reload_that_leaves_the_faults_alone_leaves_their_end():
    def assembled(previous, now, **more):
        source = MeshSettings.model_validate(settings({"reset": True, "until": 60}, **more))
        return assemble(source, previous, rng=random.Random(1), emit=lambda event: None, now=now)

    first = assembled({}, 0.0)
    faults = first[NAME].faults
    assert assembled(first, 50.0)[NAME].faults is faults
    again = assembled(first, 50.0, fault_headers=True)
    assert again[NAME] is first[NAME]
    assert again[NAME].faults.faults[0].until == 110.0


def test_faults_come_and_go_by_reload_and_what_was_learned_stays():
    def assembled(previous, *faults):
        source = MeshSettings.model_validate(settings(*faults))
        return assemble(source, previous, rng=random.Random(1), emit=lambda event: None, now=0.0)[NAME]

    service = assembled({})
    assert assembled({NAME: service}, {"reset": True}) is service
    assert service.faults is not None
    assert assembled({NAME: service}) is service
    assert service.faults is None


def test_a_worker_that_is_forked_later_does_not_begin_again():
    from meshware.mesh import Mesh

    clock = SimpleNamespace(now=1000.0)
    mesh = Mesh(load(settings({"reset": True, "until": 60})), clock=lambda: clock.now)
    clock.now = 2000.0
    mesh._after_fork()
    assert mesh.services[NAME].faults.faults[0].until == 1060.0
    mesh.close()


@pytest.mark.parametrize(
    ("fault", "path", "words"),
    [
        ({}, "", "exactly one of"),
        ({"delay": 1, "reset": True}, "", "exactly one of"),
        ({"delay": 0}, ".delay", "0"),
        ({"abort": 200}, ".abort", "400"),
        ({"partial_body": -1}, ".partial_body", "0"),
        ({"reset": True, "percentage": 101}, ".percentage", "100"),
        ({"reset": True, "until": "soon"}, ".until", "such as 2026-03-01T12:00:00Z"),
        ({"reset": True, "until": "2026-03-01T12:00:00"}, ".until", "which zone"),
        ({"reset": True, "until": 0}, ".until", "more than 0"),
        ({"reset": True, "until": True}, ".until", "number"),
        ({"reset": True, "until": [1]}, ".until", "seconds"),
        ({"reset": True, "when": {"path": "items"}}, ".when.path", "^/"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault, path, words):
    with pytest.raises(SettingsError) as refused:
        load(settings(fault))
    (problem,) = refused.value.problems
    assert problem.path == f"services.{NAME}.faults[0]{path}"
    assert words in str(problem)


def test_no_end_is_no_end():
    assert World(faults=[{"reset": True, "until": None}]).service.faults.faults[0].until == float("inf")
