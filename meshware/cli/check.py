"""`meshware check`: settings read as a mesh would read them, without starting anything."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshware.cli.source import chosen
from meshware.core.errors import Problem, SettingsError
from meshware.settings.explain import Value, explain
from meshware.settings.load import validated
from meshware.settings.origin import dotted
from meshware.settings.schema import MeshSettings, ServiceSettings

SHOWN = 3
"""Endpoints of a service that the table names; `--json` has all."""

WIDEST = 60
"""Characters of a value that the table shows."""


@click.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, problems, services, values.")
@click.option("--all", "all_values", is_flag=True, help="Show the values that nobody set, too.")
def check(source: str | None, as_json: bool, all_values: bool) -> None:
    """Check the settings at SOURCE and say every error at once.

    Run it before a deployment, or in CI: what it accepts will start. SOURCE is a file whose name ends in .toml,
    .yaml or .yml; a module with a dict named MESHWARE, another name in it after a colon; or an app: Flask's, one
    inside MeshMiddleware, or a function without arguments that makes one. Without SOURCE, MESHWARE_SETTINGS
    says where. MESHWARE__... variables stand above it, as they do in an app. The current directory is
    importable. A module is imported, but nothing is started and nothing is called.

    It shows each value that somebody set, and where: a line of a file, a module, an environment variable.

    \b
    Examples:
      meshware check mesh.toml               a file
      meshware check shop.mesh               shop/mesh.py has MESHWARE = {...}
      meshware check shop.mesh:STAGING       ... or another name
      meshware check shop.app:app --json     the settings of an app
      meshware check shop.app:create_app     ... or of what its factory makes

    Exit codes: 0 the settings are right, 1 they are not (every problem with its path), 2 wrong usage.
    """
    try:
        written = chosen(source)
        settings = validated(written)
    except SettingsError as error:
        _refused(error, as_json)
        raise click.exceptions.Exit(1) from None
    values = list(explain(settings, written))
    if as_json:
        told = {"ok": True, "problems": [], "services": _services(settings), "values": _values(values)}
        click.echo(json.dumps(told, indent=2))
    else:
        _accepted(settings, [each for each in values if all_values or each.source != "default"])


def _refused(error: SettingsError, as_json: bool) -> None:
    if as_json:
        problems = [_problem(each) for each in error.problems]
        click.echo(json.dumps({"ok": False, "problems": problems, "services": {}, "values": {}}, indent=2))
    else:
        click.echo(str(error), err=True)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "value": repr(problem.value),
        "expected": problem.expected,
        "nearest": problem.nearest,
        "where": problem.where,
    }


def _services(settings: MeshSettings) -> dict[str, Any]:
    return {name: service.model_dump(mode="json", fallback=repr) for name, service in settings.services.items()}


def _values(values: list[Value]) -> dict[str, Any]:
    return {each.path: {"value": each.value, "source": each.source, "where": each.where} for each in values}


def _accepted(settings: MeshSettings, values: list[Value]) -> None:
    services = _table("service", "endpoints", "strategy", "timeout", "attempts", "tls")
    for name, service in settings.services.items():
        services.add_row(escape(name), *map(escape, _row(service)))
    console = Console()
    console.print(services)
    if values:
        console.print("", _set(values), sep="\n")
    console.print(f"\n{len(settings.services)} service(s), no problem")


def _set(values: list[Value]) -> Table:
    """Each value with its origin, those of a service under its name."""
    table = _table("service", "setting", "value", "set in")
    named = ""
    for each in values:
        service = str(each.location[1]) if each.location[0] == "services" else ""
        setting = dotted(each.location[2:] if service else each.location)
        table.add_row(*map(escape, (service if service != named else "", setting, _short(each.value), _origin(each))))
        named = service
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _short(value: Any) -> str:
    """A value in its short form, on one line, or the beginning of it."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "address" in value[0]:
        return _addresses([each["address"] for each in value])
    if isinstance(value, list):
        text = ", ".join(_short(each) if isinstance(each, dict) else str(each) for each in value)
    elif isinstance(value, dict) and "name" in value:
        text = f"{value['name']} {json.dumps(value['options'])}".removesuffix(" {}")
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _addresses(addresses: list[str]) -> str:
    more = f", and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    return ", ".join(addresses[:SHOWN]) + more


def _origin(value: Value) -> str:
    if value.source == "defaults":
        return f"defaults, {value.where}" if value.where else "defaults"
    return value.where or value.source


def _row(service: ServiceSettings) -> list[str]:
    return [
        ", ".join(each.name for each in service.discovery) or _addresses([each.address for each in service.endpoints]),
        service.strategy.name,
        f"{service.timeout:g} s",
        str(service.retry.attempts),
        "no" if service.tls is None else "yes",
    ]
