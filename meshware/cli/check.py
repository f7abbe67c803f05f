"""`meshware check`: settings read as a mesh would read them, without starting anything."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshware.cli.source import find
from meshware.core.errors import Problem, SettingsError
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings, ServiceSettings

SHOWN = 3
"""Endpoints of a service that the table names; `--json` has all."""


@click.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, problems, services.")
def check(source: str, as_json: bool) -> None:
    """Check the settings at SOURCE and say every error at once.

    Run it before a deployment, or in CI: what it accepts will start. SOURCE is a module with a dict named
    MESHWARE, another name in it after a colon, or an app: Flask's, one inside MeshMiddleware, or a function
    without arguments that makes one. The current directory is importable. The module is imported, but
    nothing is started and nothing is called.

    \b
    Examples:
      meshware check shop.mesh               shop/mesh.py has MESHWARE = {...}
      meshware check shop.mesh:STAGING       ... or another name
      meshware check shop.app:app --json     the settings of an app
      meshware check shop.app:create_app     ... or of what its factory makes

    Exit codes: 0 the settings are right, 1 they are not (every problem with its path), 2 wrong usage.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        settings = load(find(source))
    except SettingsError as error:
        _refused(error, as_json)
        raise click.exceptions.Exit(1) from None
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
    return {name: service.model_dump(mode="json", fallback=repr) for name, service in settings.services.items()}


def _accepted(settings: MeshSettings) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "endpoints", "strategy", "timeout", "attempts", "tls"):
        table.add_column(heading, overflow="fold")
    for name, service in settings.services.items():
        table.add_row(escape(name), *map(escape, _row(service)))
    Console().print(table, f"{len(settings.services)} service(s), no problem")


def _row(service: ServiceSettings) -> list[str]:
    addresses = [each.address for each in service.endpoints]
    more = f", and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    return [
        ", ".join(addresses[:SHOWN]) + more,
        service.strategy.name,
        f"{service.timeout:g} s",
        str(service.retry.attempts),
        "no" if service.tls is None else "yes",
    ]
