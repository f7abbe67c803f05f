"""`meshware demo canary` from end to end: a new version that starts failing at 25 % is taken back by itself."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from meshware.cli.demo import canary_drill as drills
from meshware.cli.demo.canary import budgets, figures
from meshware.cli.demo.command import demo
from meshware.cli.demo.load import Called
from meshware.core.events import ShiftChanged

LATE = 4
"""Calls of some 300 that may fail before the new version does, where others keep the machine busy."""


@pytest.mark.untraced
def test_a_canary_that_starts_failing_is_reverted_within_5_s_and_50_failed_calls():
    ran = CliRunner().invoke(demo, ["canary", "--json"])
    drilled = json.loads(ran.stdout)
    assert drilled["failed_before"] <= LATE
    assert ran.exit_code == (drilled["failed_before"] > 0), ran.output
    assert [(each["state"], each["percentage"]) for each in drilled["changes"]] == [
        ("running", 25.0),
        ("reverted", 0.0),
    ]
    assert 0 < drilled["reverted_after_s"] <= 5
    assert 0 < drilled["failed"] <= 50
    assert [each["kept"] for each in drilled["budgets"]] == [True, True, not drilled["failed_before"]]


def changed(at, state):
    return at, ShiftChanged("pricing", at, "v2", "pricing-v2", state, 25.0, "why")


@pytest.mark.parametrize(
    ("changes", "statuses", "kept"),
    [
        ([changed(3.0, "running"), changed(6.0, "reverted")], [200, 503], [True, True, True]),
        ([changed(3.0, "running"), changed(9.5, "reverted")], [200] + 51 * [503], [False, False, True]),
        ([changed(3.0, "running")], [503, 503], [False, True, False]),
    ],
)
def test_the_budgets_are_what_was_asked(changes, statuses, kept):
    found = drills.Canary(failing=4.0, changes=changes)
    found.called = [Called(3.9 + 0.2 * bool(number), 0.01, status) for number, status in enumerate(statuses)]
    assert [each.kept for each in budgets(figures(found), back=5, failed=50)] == kept


def test_the_exit_code_and_the_table_say_when_a_budget_was_missed(monkeypatch):
    async def drilled(*, seed, tell):
        tell("shifting")
        return drills.Canary(changes=[changed(3.0, "running")])

    monkeypatch.setattr(drills, "canary_drill", drilled)
    ran = CliRunner().invoke(demo, ["canary"])
    assert ran.exit_code == 1
    assert "MISSED" in ran.output
    assert "never" in ran.output
