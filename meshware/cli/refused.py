"""Settings that a command was pointed at and that are wrong: every problem, for people or for programs."""

from __future__ import annotations

import json
from typing import Any

import click

from meshware.core.errors import Problem, SettingsError


def refused(error: SettingsError, *, as_json: bool, also: dict[str, Any]) -> click.exceptions.Exit:
    """Say so; what is to be raised then. `also`: the keys that the JSON has when the settings are right, empty."""
    if as_json:
        problems = [_problem(each) for each in error.problems]
        click.echo(json.dumps({"ok": False, "problems": problems, **also}, indent=2))
    else:
        click.echo(str(error), err=True)
    return click.exceptions.Exit(1)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "value": repr(problem.value),
        "expected": problem.expected,
        "nearest": problem.nearest,
        "where": problem.where,
    }
