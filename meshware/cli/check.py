"""`meshware check`: settings read as a mesh would read them, without starting anything."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshware.cli.difference import difference
from meshware.cli.refused import refused
from meshware.cli.source import chosen
from meshware.core.errors import SettingsError
from meshware.settings.changes import in_short, some
from meshware.settings.explain import Value, explain
from meshware.settings.load import validated
from meshware.settings.origin import dotted
from meshware.settings.schema import MeshSettings, ServiceSettings


@click.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, problems, services, values.")
@click.option("--all", "all_values", is_flag=True, help="Show the values that nobody set, too.")
@click.option("--diff", nargs=2, metavar="OLD NEW", help="Say what NEW would change in a mesh that has OLD.")
def check(source: str | None, as_json: bool, all_values: bool, diff: tuple[str, str] | None) -> None:
    """Check the settings at SOURCE and say every error at once.

    Run it before a deployment, or in CI: what it accepts will start. SOURCE is a file whose name ends in .toml,
    .yaml or .yml; a module with a dict named MESHWARE, another name in it after a colon; or an app: Flask's, one
    inside MeshMiddleware, or a function without arguments that makes one. Without SOURCE, MESHWARE_SETTINGS
    says where. MESHWARE__... variables stand above it, as they do in an app. The current directory is
    importable. A module is imported, but nothing is started and nothing is called.

    It shows each value that somebody set, and where: a line of a file, a module, an environment variable.

    With --diff it says what a reload from OLD to NEW would change: services and endpoints that come and go, and
    each setting by its path, with its old and its new value. What is compared is what is in force, so a changed
    default shows in the services that it reaches. With --json there is a list of changes: path, kind (added,
    removed, changed), name (of a service or endpoint that comes or goes), old, new.

    \b
    Examples:
      meshware check mesh.toml               a file
      meshware check shop.mesh               shop/mesh.py has MESHWARE = {...}
      meshware check shop.mesh:STAGING       ... or another name
      meshware check shop.app:app --json     the settings of an app
      meshware check shop.app:create_app     ... or of what its factory makes
      meshware check --diff mesh.toml new.toml

    Exit codes: 0 the settings are right, 1 they are not (every problem with its path), 2 wrong usage. With --diff
    0 too, whether anything would change or not, and 1 when OLD or NEW is not right.
    """
    if diff is not None:
        if source is not None or all_values:
            raise click.UsageError("--diff compares OLD and NEW, and nothing else")
        difference(*diff, as_json=as_json)
        return
    try:
        written = chosen(source)
        settings = validated(written)
    except SettingsError as error:
        raise refused(error, as_json=as_json, also={"services": {}, "values": {}}) from None
    values = list(explain(settings, written))
    if as_json:
        told = {"ok": True, "problems": [], "services": _services(settings), "values": _values(values)}
        click.echo(json.dumps(told, indent=2))
    else:
        _accepted(settings, [each for each in values if all_values or each.source != "default"])


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
        table.add_row(*map(escape, (service if service != named else "", setting, in_short(each.value), _origin(each))))
        named = service
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _origin(value: Value) -> str:
    if value.source == "defaults":
        return f"defaults, {value.where}" if value.where else "defaults"
    return value.where or value.source


def _row(service: ServiceSettings) -> list[str]:
    return [
        ", ".join(each.name for each in service.discovery) or some([each.address for each in service.endpoints]),
        service.strategy.name,
        f"{service.timeout:g} s",
        str(service.retry.attempts),
        "no" if service.tls is None else "yes",
    ]
