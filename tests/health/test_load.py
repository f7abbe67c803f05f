"""What a process is busy with: in flight exactly, rates as they fade, and workers' figures added up."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshware.health.load import SPAN, Figures, Load


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def load(clock):
    return Load(clock, slots=4)


def serve(load, clock, *, every=0.1, seconds=0.05, count=1, failed=False):
    """Requests one after the other, each of which takes so long."""
    for _ in range(count):
        served = load.begin()
        clock.now += seconds
        served.failed = failed
        served.end()
        clock.now += every - seconds


def test_a_request_is_in_flight_until_it_ends(load, clock):
    first, second = load.begin(), load.begin()
    assert (load.own(clock.now).in_flight, load.own(clock.now).slots) == (2, 4)
    first.end()
    assert load.own(clock.now).in_flight == 1
    second.end()
    assert load.own(clock.now).in_flight == 0


def test_it_is_given_back_once(load, clock):
    kept, ended = load.begin(), load.begin()
    for _ in range(3):
        ended.end()
    assert load.own(clock.now).in_flight == 1
    assert repr((kept, ended)) == "(<Served in flight>, <Served ended>)"


def test_one_that_nobody_holds_any_more_is_given_back(load, clock):
    served = load.begin()
    del served
    gc.collect()
    assert load.own(clock.now).in_flight == 0


def test_rates_and_the_time_of_a_request_are_those_of_the_last_seconds(load, clock):
    serve(load, clock, count=600)
    figures = load.own(clock.now)
    assert figures.rps == pytest.approx(10.0, rel=0.05)
    assert figures.service_time == pytest.approx(0.05, rel=0.05)
    assert figures.utilization == pytest.approx(0.5 / 4, rel=0.05)
    serve(load, clock, count=600, seconds=0.02, every=0.05)
    figures = load.own(clock.now)
    assert (figures.rps, figures.service_time) == (pytest.approx(20.0, rel=0.05), pytest.approx(0.02, rel=0.05))


def test_a_young_process_tells_its_rate_as_an_old_one_does(load, clock):
    serve(load, clock, count=20)
    figures = load.own(clock.now)
    assert (figures.rps, figures.service_time) == (pytest.approx(10.0, rel=0.1), pytest.approx(0.05, rel=0.1))


def test_the_first_request_is_no_rate(load, clock):
    assert load.own(clock.now) == Figures(slots=4)
    serve(load, clock, every=0.001, seconds=0.001)
    assert load.own(clock.now).rps < 1.2


def test_of_few_requests_it_is_not_told_how_long_one_takes(load, clock):
    serve(load, clock, count=60, every=5.0)
    assert load.own(clock.now).service_time is None


def test_errors_are_a_rate_of_their_own(load, clock):
    for turn in range(200):
        serve(load, clock, failed=turn % 4 == 0)
    assert load.own(clock.now).eps == pytest.approx(2.5, rel=0.1)


def test_a_request_that_hangs_is_seen_before_it_ends(load, clock):
    serve(load, clock, count=300)
    hanging = load.begin()
    serve(load, clock, count=300)
    assert load.own(clock.now).service_time == pytest.approx(0.15, rel=0.05)
    hanging.end()


def test_all_is_forgotten(load, clock):
    serve(load, clock, count=300)
    clock.now += 10 * SPAN
    assert load.own(clock.now).rps < 0.01


def test_the_figures_of_workers_add_up():
    clock = Clock()
    one, other = Load(clock, slots=4), Load(clock, slots=2)
    for _ in range(300):
        serve(one, clock, seconds=0.06, every=0.1)
        clock.now -= 0.1
        serve(other, clock, seconds=0.02, every=0.1)
    one.others = other.own(clock.now)
    both = one.figures(clock.now)
    assert both.slots == 6
    assert both.rps == pytest.approx(20.0, rel=0.05)
    assert both.service_time == pytest.approx(0.04, rel=0.05)
    assert both.utilization == pytest.approx(0.8 / 6, rel=0.05)


def test_a_server_whose_workers_are_not_known_is_this_process(load, clock):
    serve(load, clock, count=100)
    assert load.figures(clock.now) == load.own(clock.now)


def test_many_threads_give_all_back(load, clock):
    def work(_):
        for _ in range(200):
            load.begin().end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert load.own(clock.now).in_flight == 0


def test_a_child_serves_nothing_of_its_parents(load, clock):
    served = load.begin()
    load.after_fork()  # as it is called in the child
    served.end()
    assert load.own(clock.now) == Figures(slots=4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_begins_with_nothing():
    from meshware.mesh import Mesh
    from meshware.settings.schema import MeshSettings

    mesh = Mesh(MeshSettings.model_validate({"slots": 3}))
    served = mesh.load.begin()
    alike, child = False, os.fork()
    if not child:
        try:
            served.end()
            alike = mesh.load.own(mesh.clock()) == Figures(slots=3)
        finally:
            os._exit(0 if alike else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert mesh.load.own(mesh.clock()).in_flight == 1
