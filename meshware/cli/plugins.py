"""`meshware plugins`: what stands under each entry-point group, and whose it is."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshware import plugins as installed
from meshware.core.errors import MissingExtra, PluginError


@click.command()
@click.option("--load", is_flag=True, help="Import each one and say what fails.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list: group, name, object, package, ...")
def plugins(load: bool, as_json: bool) -> None:
    """List what is installed under each plugin group, and whose it is.

    Look here when a name in the settings is said to be unknown, or to be used twice: a service takes a
    strategy by its name here, {"strategy": "least_request"}. Only plugins that the settings name are ever
    loaded, built-in ones included.

    \b
    Examples:
      meshware plugins              names, objects, packages
      meshware plugins --load       ... and whether each can be imported
      meshware plugins --json       the same as a list of objects: group, name, object, package,
                                    problem (null when there is none), needs (an extra to install, or null)

    Exit codes: 0, or 1 when a name is used twice or, with --load, when one cannot be imported. One that only
    waits for an extra of meshware to be installed is no problem.
    """
    rows = [_row(group, name, load=load) for group in installed.GROUPS for name in installed.installed(group)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)
    if any(row["problem"] for row in rows):
        raise click.exceptions.Exit(1)


def _row(group: str, name: str, *, load: bool) -> dict[str, Any]:
    points = installed.installed(group)[name]
    problem = needs = None
    try:
        if load or len(points) > 1:
            installed.load(group, name)
    except PluginError as error:
        missing = error.__cause__
        needs = missing.extra if isinstance(missing, MissingExtra) else None
        problem = None if needs else str(error)
    return {
        "group": group,
        "name": name,
        "object": ", ".join(point.value for point in points),
        "package": ", ".join(installed.owner(point) for point in points),
        "problem": problem,
        "needs": needs and f"meshware[{needs}]",
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "name", "object", "package", "problem"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        note = escape(row["problem"] or (f"needs {row['needs']}" if row["needs"] else ""))
        table.add_row(row["group"].removeprefix("meshware."), row["name"], row["object"], row["package"], note)
    Console().print(table)
