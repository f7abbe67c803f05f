"""`meshware plugins`: what stands under each entry-point group, and whose it is."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from meshware import plugins as installed
from meshware.core.errors import PluginError


@click.command()
@click.option("--load", is_flag=True, help="Import each one and say what fails.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list: group, name, object, package, problem.")
def plugins(load: bool, as_json: bool) -> None:
    """List what is installed under each plugin group.

    A service uses a strategy by its name here: {"strategy": "least_request"}. A name that two packages bring
    is an error as soon as the settings name it. Only plugins that are named in the settings are loaded.

    Exit code 0, or 1 when a name is used twice or, with --load, when one cannot be imported.
    """
    rows = [_row(group, name, load=load) for group in installed.GROUPS for name in installed.installed(group)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)
    if any(row["problem"] for row in rows):
        sys.exit(1)


def _row(group: str, name: str, *, load: bool) -> dict[str, Any]:
    points = installed.installed(group)[name]
    problem = None
    try:
        if load or len(points) > 1:
            installed.load(group, name)
    except PluginError as error:
        problem = str(error)
    return {
        "group": group,
        "name": name,
        "object": ", ".join(point.value for point in points),
        "package": ", ".join(installed.owner(point) for point in points),
        "problem": problem,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "name", "object", "package", "problem"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        group = row["group"].removeprefix("meshware.")
        table.add_row(group, row["name"], row["object"], row["package"], row["problem"])
    Console().print(table)
