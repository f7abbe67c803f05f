"""`meshware import`: settings made of what another mesh is configured by."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from meshware.cli.refused import refused
from meshware.core.errors import SettingsError
from meshware.files.contents import contents
from meshware.importing.istio import Imported, import_istio

PARTLY = 3
"""The exit code where something was left out."""


@click.group(name="import")
def importing() -> None:
    """Make settings of what another mesh is configured by; whatever has no equivalent is named."""


@importing.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write the settings there; else they are printed."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, problems, settings, left.")
def istio(files: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Make settings of Istio's VirtualServices, DestinationRules and ServiceEntries, and of HTTPRoutes.

    FILES are YAML, several documents in each if need be; - is the standard input. Name all that belong together:
    the subsets that a VirtualService leads to are in a DestinationRule, their endpoints in a ServiceEntry. HTTPRoutes
    are those of the Gateway API whose parents are Services. The settings have the profile `istio`.

    Each field without equivalent is named on the standard error and at the beginning of the file, with its place and
    the reason. See docs/istio.md for what becomes of which field.

    \b
    Examples:
      meshware import istio reviews.yaml > mesh.yaml
      meshware import istio *.yaml -o mesh.yaml && meshware check mesh.yaml
      kubectl get vs,dr,se -o yaml | meshware import istio -

    Exit codes: 0 all was taken over, 3 the settings are there and something was left out, 1 a file is wrong (every
    problem with its place, and nothing is written), 2 wrong usage.
    """
    try:
        made = import_istio(files, contents=_contents)
    except SettingsError as error:
        raise refused(error, as_json=as_json, also={"settings": {}, "left": []}) from None
    text = json.dumps(_told(made), indent=2) if as_json else made.yaml()
    if output is None:
        click.echo(text)
    else:
        Path(output).write_text(text + "\n")
    for each in made.left:
        click.echo(str(each), err=True)
    if made.left:
        raise click.exceptions.Exit(PARTLY)


def _contents(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else contents(name)


def _told(made: Imported) -> dict[str, object]:
    return {"ok": True, "problems": [], "settings": made.settings, "left": [asdict(each) for each in made.left]}
