"""What the terminal shows, as text."""

from __future__ import annotations

import pytest
from rich.console import Console

from meshware.cli.demo.calibrate import pace_for
from meshware.cli.demo.load import Called
from meshware.cli.demo.plan import Kind, endpoints, incident
from meshware.cli.demo.report import Record, figures
from meshware.cli.demo.run import Progress
from meshware.cli.demo.view import View, recent_share, side_by_side


def shown(what):
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(what)
        return console.export_text()


@pytest.fixture
def running():
    progress = Progress("decorated", 60.0, incident(60))
    progress.stage, progress.now = "running", 20.0
    progress.record(Called(1.0, 0.02, 200))
    progress.record(Called(2.0, 0.02, 503))
    progress.kinds["pricing-2"] = Kind.SLOW
    progress.arrived["pricing-1"] = [5.0, 18.0, 19.0, 19.5]
    progress.arrived["pricing-2"] = [5.0, 18.5]
    return progress


def test_the_live_view_shows_how_far_each_run_is_and_its_errors(running):
    view = View()
    view.stage = "measuring"
    assert "calibrating: measuring" in shown(view)
    view.pace, view.runs = pace_for(50), [running, Progress("with", 60.0, incident(60))]
    text = shown(view)
    assert "50 calls/s" in text
    (line,) = [line for line in text.splitlines() if "decorated" in line]
    assert "20 of 60 s" in line
    assert "2 calls" in line
    assert "1 errors" in line
    assert "waiting" in text


def test_the_live_view_shows_state_share_and_incident_of_each_replica(running):
    view = View()
    view.pace, view.runs = pace_for(50), [running, Progress("with", 60.0, incident(60))]
    lines = {line.split()[0]: line for line in shown(view).splitlines() if line.strip()}
    assert set(endpoints()) <= set(lines)
    assert "slow" in lines["pricing-2"]
    assert "25%" in lines["pricing-2"]
    assert "===" in lines["pricing-2"]
    assert "=" not in lines["pricing-1"]


def test_a_recent_share_is_of_the_last_three_seconds(running):
    assert recent_share(running, "pricing-1") == 0.75
    assert recent_share(running, "inventory-1") is None


def test_the_table_has_all_runs_side_by_side():
    arrived = {name: [n / 10 for n in range(600)] for name in endpoints()}
    one = figures(Record(60.0, [Called(0, 0.02, 200)] * 98 + [Called(1, 1, 503)] * 2, arrived, incident(60), 0.25))
    text = shown(side_by_side({"without": one, "decorated": one, "with": one}))
    for words in ("without", "decorated", "with", "2.00%", "3,000 ms", "20 ms", "25%", "killed", "back after 3.0 s"):
        assert words in text
    (line,) = [line for line in text.splitlines() if "pricing-3" in line]
    assert line.count("33% / 33% / 33%") == 3
