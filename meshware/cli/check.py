"""`meshware check`: settings read as a mesh would read them, without starting anything."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from meshware.core.errors import Problem, SettingsError
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings, ServiceSettings


@click.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, problems, services.")
def check(source: str, as_json: bool) -> None:
    """Check the settings at SOURCE and say every error at once.

    SOURCE is a module with a dict named MESHWARE, another name in it after a colon, or a Flask app whose
    config has MESHWARE. The current directory is importable. Nothing is started and nothing is called.

    \b
    Examples:
      meshware check shop.settings           shop/settings.py has MESHWARE = {...}
      meshware check shop.settings:MESH      ... or another name
      meshware check shop.app:app --json     the Flask app's own settings

    Exit code 0 when the settings are right, 1 when they are not.
    """
    sys.path.insert(0, os.getcwd())
    try:
        settings = load(source)
    except SettingsError as error:
        _refused(error, as_json)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"ok": True, "problems": [], "services": _services(settings)}, indent=2))
    else:
        _accepted(settings)


def _refused(error: SettingsError, as_json: bool) -> None:
    if as_json:
        problems = [_problem(each) for each in error.problems]
        click.echo(json.dumps({"ok": False, "problems": problems, "services": {}}, indent=2))
    else:
        click.echo(str(error), err=True)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "value": repr(problem.value),
        "expected": problem.expected,
        "nearest": problem.nearest,
    }


def _services(settings: MeshSettings) -> dict[str, Any]:
    return {name: service.model_dump(mode="json") for name, service in settings.services.items()}


def _accepted(settings: MeshSettings) -> None:
    table = Table("service", "endpoints", "strategy", "timeout", "attempts", "tls", box=None, pad_edge=False)
    for name, service in settings.services.items():
        table.add_row(name, *_row(service))
    console = Console()
    console.print(table)
    console.print(f"{len(settings.services)} service(s), no problem")


def _row(service: ServiceSettings) -> list[str]:
    return [
        ", ".join(each.address for each in service.endpoints),
        service.strategy.name,
        f"{service.timeout:g} s",
        str(service.retry.attempts),
        "yes" if service.tls is not None else "no",
    ]
