"""What endpoints report: believed when it makes sense, for a while, and told of when it does not."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.meters_reported import MeanLoad, Reported, ReportedMean
from meshware.core.events import PluginFailed
from meshware.core.outcome import LoadReport, Outcome


def readings(meter, count=1):
    fleet = meter.fleet()
    return [meter.reading(fleet) for _ in range(count)]


def told(report):
    return Outcome(elapsed=0.1, status=200, report=report)


def test_the_latest_report_counts_until_it_expires():
    (reported,) = readings(Reported(180.0))
    assert reported.report(0.0) is None
    reported.sample(0.1, False, told(LoadReport(0.5, rps=10)), 0.0)
    reported.sample(0.1, False, told(LoadReport(0.7, rps=20)), 100.0)
    reported.sample(0.1, False, told(None), 200.0)
    assert reported.report(279.0) == LoadReport(0.7, rps=20)
    assert reported.report(280.0) is None


def test_the_row_of_reports_begins_anew_after_a_gap():
    (reported,) = readings(Reported(180.0))
    assert reported.since(0.0) is None
    for at in (5.0, 100.0, 200.0):
        reported.sample(0.1, False, told(LoadReport(0.5)), at)
    assert reported.since(300.0) == 5.0
    reported.sample(0.1, False, told(LoadReport(0.5)), 500.0)
    assert reported.since(500.0) == 500.0
    reported.reset()
    assert reported.since(500.0) is None


def test_one_that_does_not_report_is_as_busy_as_the_fleet():
    one, other, silent = readings(Reported(180.0), 3)
    assert silent.value(0.0) == 0.0
    one.sample(0.1, False, told(LoadReport(0.2)), 0.0)
    other.sample(0.1, False, told(LoadReport(0.8)), 0.0)
    assert (one.value(0.0), other.value(0.0)) == (0.2, 0.8)
    assert silent.value(0.0) == pytest.approx(0.5)
    assert one.value(180.0) == pytest.approx(0.5)


ABSURD = [
    LoadReport(-0.1),
    LoadReport(float("nan")),
    LoadReport(float("inf")),
    LoadReport(1e9),
    LoadReport(0.5, rps=-1.0),
    LoadReport(0.5, rps=1e12),
    LoadReport(0.5, eps=float("nan")),
    LoadReport(0.5, service_time=-1.0),
    LoadReport(0.5, queue=float("inf")),
]


@pytest.mark.parametrize("report", ABSURD, ids=str)
def test_an_absurd_report_is_refused_and_the_last_one_stands(report):
    (reported,) = readings(Reported(180.0))
    reported.sample(0.1, False, told(LoadReport(0.5)), 0.0)
    with pytest.raises(ValueError, match=r"load report refused: .* must be from 0 to"):
        reported.sample(0.1, False, told(report), 1.0)
    assert reported.report(1.0) == LoadReport(0.5)


def test_an_absurd_report_is_told_of_and_the_call_goes_on():
    world = World(1, strategy="utilization")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt, report=LoadReport(float("nan")))
    world.read(call, attempt)
    (failed,) = (each for each in world.events if isinstance(each, PluginFailed))
    assert failed.plugin == "meter"
    assert "utilization must be from 0 to 1000, not nan" in failed.error


def test_a_reported_mean_is_of_the_reports_that_have_the_field():
    (times,) = readings(ReportedMean(None, "service_time"))
    for report in (LoadReport(0.5, service_time=0.1), LoadReport(0.5), None, LoadReport(0.5, service_time=0.3)):
        times.sample(9.0, False, told(report), 0.0)
    with pytest.raises(ValueError, match="service_time"):
        times.sample(9.0, False, told(LoadReport(0.5, service_time=-1.0)), 0.0)
    assert times.value(0.0) == pytest.approx(0.2)


def test_a_mean_load_is_of_what_it_takes_and_not_of_samples():
    (load,) = readings(MeanLoad())
    load.sample(9.0, False, told(None), 0.0)
    for figure in (1.0, 4.0):
        load.take(figure, 0.0)
    assert load.value(1e6) == 2.5
