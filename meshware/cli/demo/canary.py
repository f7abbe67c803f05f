"""`meshware demo canary`: a new version gets more and more calls, starts failing, and is taken back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from meshware.cli.demo.terminable import terminable
from meshware.cli.demo.verdict import Budget, conclude

if TYPE_CHECKING:
    from meshware.cli.demo.canary_drill import Canary


@click.command()
@click.option(
    "--max-back", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds until it is taken back."
)
@click.option("--max-failed", type=click.IntRange(0), default=50, show_default=True, help="Calls that fail until then.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the callers' arrival times.")
def canary(max_back: float, max_failed: int, as_json: bool, seed: int) -> None:
    """Drill a canary: calls are shifted to a new version, which starts failing at 25 %.

    Starts three real servers (uvicorn) on free loopback ports, two of the old version and one of the new; 60 callers a
    second go to them by the mesh. The shift takes 10, 25, 50 and 100 %, 3 s each, with the guard's defaults but for a
    minimum of 10 calls. Once a quarter of the calls go to the new version it answers 503 to all of them.

    Exits with 1 when it was not taken back in time, or more calls failed. Takes about 10 s.
    """
    from meshware.cli.demo.command import refuse_missing

    refuse_missing(("requests", "starlette", "uvicorn"))
    from meshware.cli.demo.canary_drill import canary_drill

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = terminable(canary_drill(seed=seed, tell=lambda stage: status.update(stage)))
    drilled = figures(found)
    conclude(drilled, shown(drilled), budgets(drilled, back=max_back, failed=max_failed), as_json=as_json)


def figures(found: Canary) -> dict[str, Any]:
    """The drill as plain data."""
    failing, reverted = found.failing, found.reverted
    took = None if failing is None or reverted is None else round(reverted - failing, 2)
    return {
        "calls": len(found.called),
        "failed_before": sum(each.error for each in found.called if failing is None or each.at < failing),
        "failed": None if failing is None else sum(each.error for each in found.called if each.at >= failing),
        "reverted_after_s": took,
        "changes": [
            {"at_s": round(at, 2), "state": event.state, "percentage": event.percentage, "reason": event.reason}
            for at, event in found.changes
        ],
    }


def budgets(drilled: dict[str, Any], *, back: float, failed: int) -> list[Budget]:
    """What was asked, and what was found."""
    return [
        Budget("taken back after, s", back, drilled["reverted_after_s"]),
        Budget("calls that failed since it began to fail", failed, drilled["failed"]),
        Budget("calls that failed before", 0, drilled["failed_before"]),
    ]


def shown(drilled: dict[str, Any]) -> Table:
    """What became of the shift, for people."""
    changes = Table("at", "the shift is", "%", "why", title="what became of the shift")
    for each in drilled["changes"]:
        changes.add_row(f"{each['at_s']:.1f} s", each["state"], f"{each['percentage']:g}", each["reason"])
    return changes
