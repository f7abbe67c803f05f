"""`meshware shift`: where the shifts of a service stand on this host, and orders to its workers.

Both go by the file that the workers write down their shifts in (sharing/shifts.py), who look there four times a second;
what they have counted stands on their board.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from meshware.assembly.host import ledger, shift_counts
from meshware.cli.refused import refused
from meshware.cli.source import chosen
from meshware.core.errors import SettingsError
from meshware.routing.recent import Counts
from meshware.routing.shift import DEEDS, REVERTED, Standing
from meshware.settings.load import validated
from meshware.settings.references import nearest
from meshware.sharing.cells import Unusable
from meshware.shifting import standing_of, written

if TYPE_CHECKING:
    from meshware.settings.schema import MeshSettings
    from meshware.settings.sections.shifting import ShiftSettings
    from meshware.sharing.shifts import Entries, Ledger


@click.command()
@click.argument("deed", type=click.Choice(("status", *DEEDS)))
@click.argument("arguments", nargs=-1, metavar="[NAME] [SOURCE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of all shifts, as they stand then.")
def shift(deed: str, arguments: tuple[str, ...], as_json: bool) -> None:
    """Show where shifts stand, or steer the one of this NAME.

    Shown with each: the calls of its new service that this host's workers have seen in this step, and how many of them
    failed or took longer than its p99.

    \b
    pause      stay at this step
    resume     go on; one that was reverted begins anew at its first step
    revert     all calls go where they went at first
    promote    the last step, and stay there

    SOURCE is where the service's settings are, as for `meshware check`; MESHWARE_SETTINGS unless given. The settings
    need a `service`, and the command the user who runs it: its workers on this host look for orders four times a
    second. Until one of them has run, a shift stands at its first step.

    \b
    Examples:
      meshware shift status mesh.toml
      meshware shift revert inventory-v2 mesh.toml
      meshware shift resume inventory-v2 shop.settings:MESHWARE --json

    Exit codes: 0; 1 when settings are wrong, have no such shift, or no place where workers would look.
    """
    steers = deed != "status"
    if len(arguments) > steers + 1 or (steers and not arguments):
        raise click.UsageError(f"{deed} takes {'NAME and perhaps SOURCE' if steers else 'SOURCE at most'}")
    name, *rest = arguments if steers else ("", *arguments)
    try:
        settings = validated(chosen(rest[0] if rest else None))
    except SettingsError as error:
        raise refused(error, as_json=as_json, also={"shifts": []}) from None
    place = ledger(settings)
    if place is None:
        raise click.ClickException("these settings have no `service`, or their board is off: workers stand alone")
    try:
        entries = _steered(place, _named(settings, name), deed) if steers else place.read()
        rows = _rows(settings, entries)
    except (OSError, Unusable) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(rows, indent=2)) if as_json else _show(rows)


def _named(settings: MeshSettings, name: str) -> ShiftSettings:
    known = {each.name: each for each in settings.shifts}
    if name not in known:
        near = nearest(name, known)
        hint = f"; did you mean {near}?" if near else f" (there are {', '.join(known) or 'none'})"
        raise click.ClickException(f"no shift is named {name!r}{hint}")
    return known[name]


def _steered(place: Ledger, settings: ShiftSettings, deed: str) -> Entries:
    def change(entries: Entries) -> Entries:
        standing = _standing(settings, entries).after(deed, time.monotonic(), last=len(settings.steps) - 1)
        return entries | {settings.name: written(standing, settings)}

    return place.change(change)


def _standing(settings: ShiftSettings, entries: Entries) -> Standing:
    now = time.monotonic()
    return standing_of(entries.get(settings.name), settings, now) or Standing(since=now)


def _rows(settings: MeshSettings, entries: Entries) -> list[dict[str, Any]]:
    standings = {each.name: _standing(each, entries) for each in settings.shifts}
    counts = shift_counts(settings, {name: each.epoch for name, each in standings.items()})
    return [_row(each, standings[each.name], counts.get(each.name, Counts())) for each in settings.shifts]


def _row(settings: ShiftSettings, standing: Standing, counts: Counts) -> dict[str, Any]:
    return {
        "shift": settings.name,
        "service": settings.service,
        "to": settings.to,
        "state": standing.state,
        "percentage": 0.0 if standing.state == REVERTED else settings.steps[standing.step],
        "age": round(max(0.0, time.monotonic() - standing.since), 1),
        "reason": standing.reason,
        **counts.plain(),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "shift", "from", "to", "state", "%", "for", "calls", "failed", "slow", "why", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(
            row["shift"], row["service"], row["to"], row["state"], f"{row['percentage']:g}", f"{row['age']:.0f} s",
            *(str(row[each]) for each in ("calls", "failed", "slow")), row["reason"],
        )  # fmt: skip
    Console().print(table)
