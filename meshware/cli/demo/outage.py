"""`meshware demo outage`: one replica fails, then all do, then they heal; and whether that went as it should."""

from __future__ import annotations

import click
from rich.console import Console

from meshware.cli.demo.terminable import terminable
from meshware.cli.demo.verdict import conclude

FAULTS = ("killed", "frozen", "slow", "failing")
"""The faults by name (drill.py has what they are); not imported, so that --help needs no server to be installed."""


@click.command()
@click.option(
    "--fault",
    type=click.Choice(FAULTS),
    default="killed",
    show_default=True,
    help="killed: gone; frozen: accepts and never answers; slow: 20 times slower; failing: 503 in 1 ms.",
)
@click.option(
    "--seconds",
    type=click.IntRange(min=16, max=3600),
    default=25,
    show_default=True,
    help="Length of the drill, without the time that servers need to start.",
)
@click.option(
    "--max-errors", type=click.FloatRange(0, 100), default=1.0, show_default=True, help="Percent, while one fails."
)
@click.option("--max-p99", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds, while one fails.")
@click.option(
    "--max-back",
    type=click.FloatRange(0),
    default=8.0,
    show_default=True,
    help="Seconds from the end of a fault until the endpoint is used again, and until no call fails any more.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the callers' arrival times.")
def outage(
    fault: str, seconds: int, max_errors: float, max_p99: float, max_back: float, as_json: bool, seed: int
) -> None:
    """Drill an outage: one of three replicas fails, then all, then they heal.

    Starts three real servers (uvicorn) on free loopback ports; 30 callers a second go to them by the mesh, with its
    defaults and a timeout of 2 s. Says what the callers saw, when the endpoint was ejected and was back.

    Exits with 1 when a budget is missed. While one replica fails: errors, p99, its share of the attempts, and how soon
    it is ejected if it was killed (for else it is avoided before that). After that: how soon it is used again. When
    all have failed and are healed: how soon no call fails any more.
    """
    from meshware.cli.demo.command import refuse_missing

    refuse_missing(("requests", "starlette", "uvicorn"))
    from meshware.cli.demo.drill import drill
    from meshware.cli.demo.drill_report import Limits, budgets, figures, shown
    from meshware.cli.demo.plan import Kind

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = terminable(drill(Kind(fault), seconds=seconds, seed=seed, tell=lambda stage: status.update(stage)))
    drilled = figures(found)
    limits = Limits(errors=max_errors / 100, p99=max_p99, back=max_back)
    conclude(drilled, shown(drilled), budgets(drilled, limits), as_json=as_json)


if __name__ == "__main__":
    outage()
