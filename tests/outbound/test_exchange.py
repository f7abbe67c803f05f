"""What every door reads off a request and an answer, and puts on an attempt."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.meters import Latency
from meshware.core.outcome import LoadReport
from meshware.outbound.exchange import answer_of, finite, headers_for


@pytest.mark.parametrize("seconds", [None, 0, -1, float("inf"), float("nan"), "5", object()])
def test_what_limits_nothing_is_no_limit(seconds):
    assert finite(seconds) is None


@pytest.mark.parametrize("seconds", [86_401, 1e10, pytest.param(10**400, id="10**400")])
def test_more_than_a_day_is_a_day(seconds):
    assert finite(seconds) == 86_400.0


def test_seconds_are_taken_as_they_are():
    assert finite(5) == 5.0
    assert finite(0.25) == 0.25


ORCA = "TEXT application_utilization=0.5, named_metrics.svc=0.25"


def answered(asked=True, **headers):
    facts = {"elapsed": 0.3, "connect": None, "endless": False, "asked": asked}
    return answer_of(200, {name.replace("_", "-"): value for name, value in headers.items()}, **facts)


def test_a_report_is_read_where_one_was_asked_for():
    assert answered(endpoint_load_metrics=ORCA).report == LoadReport(0.5, service_time=0.25)
    assert answered(asked=False, endpoint_load_metrics=ORCA).report is None
    assert answered().report is None


def test_server_timing_counts_where_there_is_no_report():
    assert answered(server_timing="total;dur=12.5").report == LoadReport(None, service_time=0.0125)
    assert answered(server_timing="total;dur=12.5", endpoint_load_metrics="garbage").report is None
    assert answered(server_timing="total;dur=12.5", endpoint_load_metrics=ORCA).report.service_time == 0.25


def test_an_attempt_asks_where_a_meter_listens_and_one_is_due():
    world = World(1, strategy="adaptive")
    asked = []
    for wait in (0.0, 0.5, 0.5, 0.1):
        world.now += wait
        call = world.call()
        attempt = call.begin(world.now)
        headers = headers_for(call, attempt, world.now)
        asked.append((headers.get("x-meshware-report"), attempt.asked))
        call.abandon(attempt, world.now)
    assert asked == [("1", True), (None, False), ("1", True), (None, False)]


def test_the_latency_is_less_what_server_timing_says():
    world = World(1, strategy="latency")
    call = world.call()
    attempt = call.begin(world.now)
    headers_for(call, attempt, world.now)
    world.answer(call, attempt, after=0.3, report=answered(server_timing="total;dur=200").report)
    world.read(call, attempt, wire=0.3)
    assert world.endpoints[0].readings[Latency(5.0)].value(world.now) == pytest.approx(0.1)
