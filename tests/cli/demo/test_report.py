"""The figures, from records made by hand."""

from __future__ import annotations

import pytest

from meshware.cli.demo.load import PATIENCE, Called
from meshware.cli.demo.plan import Fault, Kind
from meshware.cli.demo.report import Record, back_after, figures, percentile

NAMES = ("inventory-1", "inventory-2", "inventory-3")


def every(gap, begin, end):
    """Arrivals at a steady gap in [begin, end)."""
    return [begin + gap * n for n in range(round((end - begin) / gap))]


def record(*, called=(), arrived=None, faults=(), seconds=60.0):
    full = {name: every(0.1, 0, seconds) for name in NAMES}
    return Record(seconds, called, {**full, **(arrived or {})}, faults, 0.3)


KILLED = Fault("inventory-2", Kind.KILLED, 10.0, 20.0)


def test_an_error_is_charged_as_three_seconds_however_fast_it_was():
    found = figures(record(called=[Called(0, 0.02, 200)] * 98 + [Called(1, 0.001, 503)] * 2))
    assert (found["calls"], found["errors"], found["p50_ms"]) == (100, 2, 20)
    assert found["p99_ms"] == 1000 * PATIENCE
    assert found["p99_uncharged_ms"] == 20


@pytest.mark.parametrize(("status", "error"), [(200, False), (404, False), (500, True), (503, True), (None, True)])
def test_errors_are_5xx_and_no_answer(status, error):
    assert figures(record(called=[Called(0, 0.02, status)]))["errors"] == error


def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed():
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([], 0.5) is None


def test_the_share_in_a_fault_begins_one_second_after_it():
    reacting = every(0.1, 0, 10.95) + every(0.1, 20, 60)
    found = figures(record(arrived={"inventory-2": reacting}, faults=[KILLED]))["endpoints"]["inventory-2"]
    assert found["fault"] == "killed"
    assert found["share_before"] == pytest.approx(1 / 3, abs=0.01)
    assert found["share_in_fault"] == 0
    assert found["share_after"] == pytest.approx(1 / 3, abs=0.01)


def test_shares_are_of_the_own_service_only():
    found = figures(record(arrived={"pricing-1": every(0.01, 0, 60)}))["endpoints"]
    assert found["pricing-1"]["share"] == 1
    assert found["inventory-1"]["share"] == pytest.approx(1 / 3, abs=0.001)


def test_a_healthy_replica_is_shown_over_the_time_of_its_service_s_faults():
    gone = every(0.1, 0, 10) + every(0.1, 20, 60)
    found = figures(record(arrived={"inventory-2": gone}, faults=[KILLED]))["endpoints"]["inventory-1"]
    assert found["fault"] is None
    assert found["share_in_fault"] == pytest.approx(0.5)
    assert "back_after_s" not in found


def test_a_returned_replica_is_back_when_a_whole_window_had_its_fair_share():
    waiting = record(arrived={"inventory-2": every(0.1, 0, 10) + every(0.1, 25, 60)}, faults=[KILLED])
    assert back_after(waiting, "inventory-2", 20) == pytest.approx(5 + 3, abs=1)
    at_once = record(arrived={"inventory-2": every(0.1, 0, 10) + every(0.1, 20, 60)}, faults=[KILLED])
    assert back_after(at_once, "inventory-2", 20) == 3
    found = figures(waiting)["endpoints"]["inventory-2"]
    assert found["share_15s_after"] == pytest.approx(1 / 3, abs=0.01)


def test_a_replica_that_never_gets_its_share_again_is_not_back():
    found = figures(record(arrived={"inventory-2": every(0.5, 20, 60)}, faults=[KILLED]))["endpoints"]["inventory-2"]
    assert found["back_after_s"] is None
    assert found["share_15s_after"] < 0.1


def test_a_service_that_nobody_called_has_no_shares():
    found = figures(record(arrived={name: [] for name in NAMES}, faults=[KILLED]))["endpoints"]["inventory-2"]
    assert found["share"] is None
    assert found["back_after_s"] is None
