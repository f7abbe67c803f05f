"""Operations: the pace of each operation, and the bounds on what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from world import request

from meshware.core.operations import LIMIT, PATHS, Named, Operation, Operations


def fed(operation, count, seconds=0.1, now=0.0):
    for _ in range(count):
        operation.record(seconds, now)
    return operation


def test_a_p95_is_believed_from_twenty_samples_on():
    operation = Operation("x")
    assert fed(operation, 19).p95(0.0) is None
    assert fed(operation, 1).p95(0.0) == pytest.approx(0.1, rel=0.1)


def test_the_last_few_answers_make_the_recent_mean():
    operation = Operation("x")
    assert operation.recent == 0.0
    assert fed(operation, 1).recent == pytest.approx(0.1)
    assert fed(operation, 50, seconds=0.4).recent == pytest.approx(0.4, rel=0.05)


@given(some.lists(some.floats(1e-4, 200.0), min_size=20, max_size=60))
def test_it_is_at_most_a_bucket_off(samples):
    operation = Operation("x")
    for seconds in samples:
        operation.record(seconds, 0.0)
    operation._compute()
    exact = sorted(samples)[-1 - int(len(samples) * 0.05)]
    assert exact * 0.99 <= operation.p95(0.0) <= exact * 1.1


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_times_beyond_the_buckets_go_into_the_nearest(seconds):
    assert fed(Operation("x"), 20, seconds).p95(0.0) > 0


def test_it_follows_the_last_half_minute_to_minute():
    operation = fed(Operation("x"), 100, 1.0, now=0.0)
    fed(operation, 100, 0.1, now=31.0)
    assert operation.p95(31.0) == pytest.approx(1.0, rel=0.1)
    fed(operation, 100, 0.1, now=62.0)
    assert operation.p95(62.0) == pytest.approx(0.1, rel=0.1)


def test_after_a_minute_of_silence_nothing_is_known():
    operation = fed(Operation("x"), 100)
    assert operation.p95(60.0) is None


def test_without_samples_of_its_own_it_uses_the_services_figures():
    total = Operation("all")
    fed(Operation("busy", total), 50)
    assert Operation("rare", total).figures(0.0) == pytest.approx(0.1, rel=0.1)
    assert Operation("alone").figures(0.0) is None


def test_operations_are_named_by_path_or_by_hand():
    operations = Operations()
    assert operations.of(request(path="/items/1")) is operations.of(request(path="/items/2"))
    assert operations.of(request(path="/items/1", name="fetch")).name == "GET fetch"


def test_so_many_operations_a_service_and_the_rest_are_other():
    operations = Operations()
    names = {operations.of(request(path=f"/p{chr(97 + n % 26)}{chr(97 + n // 26)}")).name for n in range(LIMIT + 10)}
    assert len(names) == LIMIT + 1
    assert "other" in names


def test_paths_are_remembered_up_to_a_bound():
    operations = Operations()
    for number in range(3 * PATHS):
        operations.of(request(path=f"/items/{number}"))
    assert len(operations._each._by_path) <= PATHS


def test_an_operation_shows_its_name_and_its_samples():
    assert repr(fed(Operation("GET /items"), 3)) == "<Operation GET /items: 3 samples>"


def test_a_long_path_is_not_kept_but_has_its_operation():
    named = Named(lambda name: [name])
    path = "/items/" + "x" * 1000
    assert named.at("GET", path) is named.at("GET", path) is named.named("GET /items/*")
    assert not named._by_path


def test_a_long_method_has_no_figures_of_its_own():
    named = Named(lambda name: [name])
    assert named.at("X" * 17, "/") is named.at("Y" * 17, "/") == ["other"]
    assert named.known("X" * 17, "/") is None


def test_what_nobody_has_asked_for_is_not_known():
    named = Named(lambda name: [name])
    assert named.known("GET", "/items/1") is None
    made = named.at("GET", "/items/1")
    assert named.known("GET", "/items/1") is named.known("GET", "/items/2") is made
