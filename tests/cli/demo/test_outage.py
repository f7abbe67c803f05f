"""`meshware demo outage` from end to end: real replicas, a short drill in the first tier, each fault in soak."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from meshware.cli.demo import drill as drills
from meshware.cli.demo.command import demo
from meshware.cli.demo.drill import DEFAULT, FAULTS, LENGTHS, SHORTEST, VICTIM, drill
from meshware.cli.demo.drill_report import figures
from meshware.cli.demo.outage import FAULTS as OFFERED
from meshware.cli.demo.outage import outage
from meshware.cli.demo.plan import Kind


def test_the_help_says_what_is_drilled():
    shown = CliRunner().invoke(demo, ["outage", "--help"]).output
    for word in ("--fault", "--seconds", "--max-errors", "frozen", "Exits with 1", "25"):
        assert word in shown
    assert "outage" in CliRunner().invoke(demo, ["--help"]).output


def test_the_command_offers_the_faults_and_times_that_there_are():
    assert set(OFFERED) == set(FAULTS)
    (seconds,) = [each for each in outage.params if each.name == "seconds"]
    assert (seconds.default, seconds.type.min) == (DEFAULT, SHORTEST)
    assert DEFAULT < 30


@pytest.mark.parametrize("options", [["--fault", "flooded"], ["--seconds", "15"], ["--max-errors", "101"]])
def test_what_is_no_drill_is_refused(options):
    assert CliRunner().invoke(demo, ["outage", *options]).exit_code == 2


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = CliRunner().invoke(demo, ["outage"])
    assert found.exit_code == 1
    assert "uvicorn is not installed" in found.output


@pytest.mark.parametrize("fault", [Kind.KILLED, Kind.FROZEN])
def test_a_short_drill_has_its_phases_and_sees_its_faults(fault):
    told = []
    found = asyncio.run(drill(fault, seconds=6, seed=1, tell=told.append))
    drilled = figures(found)
    assert told == ["starting the replicas", *LENGTHS]
    assert [each["phase"] for each in drilled["phases"]] == list(LENGTHS)
    assert sum(each["calls"] for each in drilled["phases"]) > 60
    assert drilled["phases"][0]["errors"] == 0
    everybody = drilled["phases"][3]
    assert everybody["errors"] > 0 or everybody["p99_ms"] > 300  # a frozen one may be thawed within a call's time
    assert {name for _, name in found.attempts} == set(drills.NAMES)
    if fault is Kind.KILLED:
        assert any(getattr(each, "address", None) for each in found.events)


def test_the_exit_code_says_whether_the_budgets_were_kept(monkeypatch):
    async def drilled(fault, *, seconds, seed, tell):
        tell("calm")
        found = drills.Drilled(fault)
        found.phases = [drills.Phase(name, 5.0 * at, 5.0 * at + 5.0) for at, name in enumerate(LENGTHS)]
        found.called = [drills.Called(0.1 * at, 0.02, 200) for at in range(250)]
        found.attempts = [(10.5, VICTIM)]
        return found

    monkeypatch.setattr(drills, "drill", drilled)
    kept = CliRunner().invoke(demo, ["outage", "--fault", "slow", "--json"])
    assert kept.exit_code == 0
    assert json.loads(kept.stdout)["victim"]["used_again_after_s"] == 0.5
    missed = CliRunner().invoke(demo, ["outage", "--fault", "slow", "--max-p99", "0.01"])
    assert missed.exit_code == 1
    assert "MISSED" in missed.output


@pytest.mark.soak
@pytest.mark.parametrize("fault", OFFERED)
def test_every_fault_is_survived_within_the_budgets(fault):
    command = [sys.executable, "-m", "meshware.cli.demo.outage", "--fault", fault]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
