"""The demo from end to end: a short incident in the first tier, the goals at full size in soak."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys

import click
import pytest

from meshware.cli.demo.calibrate import MARGIN, SHARE, USUAL_RATE, affordable, calibrate, pace_for
from meshware.cli.demo.command import VARIANTS, three_runs
from meshware.cli.demo.fleet import machine
from meshware.cli.demo.plan import SERVICES, endpoints, incident
from meshware.cli.demo.replica import SLOTS
from meshware.cli.demo.view import View

KEYS = {"calls", "errors", "p50_ms", "p99_ms", "endpoints"}


def test_a_pace_loads_one_pricing_replica_to_its_share():
    pace = pace_for(50)
    assert pace.rate == pytest.approx(SHARE * SLOTS / pace.service_times["pricing"])
    assert pace.service_times.keys() == SERVICES.keys()


def test_meshware_survives_a_short_incident_that_round_robin_does_not():
    runs = three_runs(
        View(),
        seconds=6,
        faults=incident(6, head=1.5, tail=1.0),
        seed=1,
        variants=("without", "with"),
        pace=pace_for(40),
    )
    found = asyncio.run(runs)
    for run in found.values():
        assert run.keys() >= KEYS
        assert run["calls"] > 180
        assert set(run["endpoints"]) == set(endpoints())
    assert found["without"]["calls"] == found["with"]["calls"]
    assert found["without"]["errors"] > 0.1 * found["without"]["calls"]
    assert found["with"]["errors"] < 0.5 * found["without"]["errors"]
    meshed = found["with"]["endpoints"]
    assert meshed["inventory-2"]["share_in_fault"] == 0
    assert (meshed["pricing-3"]["share_in_fault"] or 0.0) < 0.2  # none: nobody called, on a machine that stands still


def test_the_rate_is_measured_on_this_machine():
    stages = []
    pace = asyncio.run(calibrate("without", 60, stages.append))
    assert 2_000 / 60 < pace.rate <= USUAL_RATE
    work = SHARE * SLOTS / pace.rate
    assert 0.1 * work < pace.service_times["pricing"] <= 1.4 * work  # a busy machine loses time between calls
    assert len(stages) == 3


def test_no_run_needs_more_than_its_share_of_the_machine():
    cost = 0.5 * SHARE * machine() / 50
    assert affordable(50, 60, cost) == 50
    assert affordable(50, 60, 2 * cost) == pytest.approx(50 / MARGIN)
    with pytest.raises(click.ClickException, match="use --seconds 108 or more"):
        affordable(50, 60, 4 * cost)
    assert affordable(50, 108, 4 * cost) == pytest.approx(25 / MARGIN)


def demo(seconds):
    """One demo as a user runs it."""
    command = [sys.executable, "-m", "meshware.cli.demo.command", "--json", "--seconds", str(seconds)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=6 * seconds).stdout)


@pytest.mark.soak
def test_the_demo_shows_what_it_must_in_the_median_of_three():
    demos = [demo(60) for _ in range(3)]

    def median(variant, figure):
        return statistics.median(figure(each[variant]) for each in demos)

    for each in demos:
        assert set(each) == set(VARIANTS)
        for run in each.values():
            assert run["calls"] >= 2_000
            assert run["cpu_share"] <= 0.6
    assert median("with", lambda run: run["errors"] / run["calls"]) <= 0.001
    assert median("without", lambda run: run["errors"] / run["calls"]) >= 0.1
    decorated = median("decorated", lambda run: run["errors"])
    assert median("with", lambda run: run["errors"]) <= max(2, decorated / 10)
    for p99 in ("p99_ms", "p99_uncharged_ms"):  # the second does not count decorated's errors against it
        assert median("with", lambda run, p99=p99: run[p99]) <= 0.7 * median("decorated", lambda run, p99=p99: run[p99])
    for faulty in ("inventory-2", "pricing-2", "pricing-3"):
        assert median("with", lambda run, at=faulty: run["endpoints"][at]["share_in_fault"]) < 0.05
    back = [each["with"]["endpoints"]["inventory-2"]["back_after_s"] for each in demos]
    assert sorted(float("inf") if seconds is None else seconds for seconds in back)[1] <= 15
    assert median("with", lambda run: run["endpoints"]["inventory-2"]["share_15s_after"]) >= 0.8 / 3
