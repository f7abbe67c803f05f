"""`meshware demo`: calibrates, meets the incident three times, and prints what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live

from meshware.cli.demo.canary import canary
from meshware.cli.demo.outage import outage
from meshware.cli.demo.plan import SHORTEST, Fault, incident
from meshware.cli.demo.terminable import terminable
from meshware.core.errors import MissingExtra

if TYPE_CHECKING:
    from meshware.cli.demo.calibrate import Pace
    from meshware.cli.demo.view import View

VARIANTS = ("without", "decorated", "with")
NEEDS = ("django", "flask", "gunicorn", "requests", "starlette", "tenacity", "uvicorn")
"""What the demo's servers are made of."""


@click.group(invoke_without_command=True)
@click.option(
    "--seconds",
    type=click.IntRange(min=SHORTEST, max=3600),
    default=60,
    show_default=True,
    help="Length of each of the three runs. The last fault ends 20 s before the end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print only the figures, as JSON, when all runs are over.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the callers' arrival times.")
@click.pass_context
def demo(ctx: click.Context, seconds: int, as_json: bool, seed: int) -> None:
    """Watch one incident three times: without meshware, decorated, and with it.

    Starts real servers on free loopback ports: a storefront (Flask under gunicorn, 2 workers x 4 threads)
    that calls inventory (Django under gunicorn) and pricing (Starlette under uvicorn), 3 replicas each, by
    requests. Callers arrive at random, but at the same times in each run, at a rate that this machine is
    found to bear.

    \b
    The incident: an inventory replica is killed and comes back later; one pricing replica
    becomes 20x slower and another answers 503 in 1 ms, for a while both at once.

    \b
    without    round robin, written by hand
    decorated  round robin, timeouts, tenacity (2 tries), a pybreaker per endpoint
    with       meshware, its defaults

    An error is a status of 500 or more or no answer in 3 s, and is charged as 3 s. Shares are counted by
    the replicas themselves. Takes a little over three times --seconds; Ctrl-C ends it and all its servers.
    """
    if ctx.invoked_subcommand is not None:
        return
    refuse_missing(NEEDS)
    results = _watched(seconds, seed, Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(results, indent=2))
        return
    from meshware.cli.demo.view import side_by_side

    Console().print(side_by_side(results))


demo.add_command(outage)
demo.add_command(canary)


def refuse_missing(modules: Sequence[str]) -> None:
    """What the servers are made of must be there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise click.ClickException(str(MissingExtra(missing[0], "demo")))


def _watched(seconds: float, seed: int, console: Console) -> dict[str, Any]:
    """All runs behind a live view; ends them all on Ctrl-C and SIGTERM."""
    from meshware.cli.demo.view import View

    view = View()
    with Live(view, console=console, refresh_per_second=4, transient=True):
        return terminable(three_runs(view, seconds=seconds, faults=incident(seconds), seed=seed))


async def three_runs(
    view: View,
    *,
    seconds: float,
    faults: tuple[Fault, ...],
    seed: int,
    variants: tuple[str, ...] = VARIANTS,
    pace: Pace | None = None,
) -> dict[str, Any]:
    """One run after another, at the calibrated pace unless one is given; the figures by variant."""
    from meshware.cli.demo.calibrate import calibrate
    from meshware.cli.demo.load import arrivals
    from meshware.cli.demo.report import figures
    from meshware.cli.demo.run import Progress, run

    def tell(stage: str) -> None:
        view.stage = stage

    view.pace = pace = pace or await calibrate(variants[-1], seconds, tell)
    schedule = arrivals(pace.rate, seconds, seed)
    view.runs = [Progress(variant, seconds, faults) for variant in variants]
    return {each.variant: figures(await run(each, pace=pace, schedule=schedule)) for each in view.runs}


if __name__ == "__main__":
    demo()
