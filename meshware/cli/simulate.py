"""`meshware simulate`: strategies against the same arrivals in a simulated fleet, beside an oracle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from meshware.core.errors import MissingExtra, Problem
from meshware.testing.simulation import picture
from meshware.testing.simulation.contest import Contender, Figures, contender, figures
from meshware.testing.simulation.file import InputError, lasting
from meshware.testing.simulation.library import TEN, built_in, find, names
from meshware.testing.simulation.run import ORACLE, Simulation, address
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import SLICE, Tally
from meshware.testing.simulation.trace import read_trace
from meshware.testing.simulation.workload import Arrival, workload


@click.command()
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1)
@click.option("--strategy", "strategies", multiple=True, help="A name, or one with options; may be given again.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all that is random.")
@click.option("--duration", type=float, help="Seconds in which requests arrive, in place of the scenario's.")
@click.option("--trace", metavar="FILE", help="CSV of the arrivals, in place of random ones.")
@click.option("--picture", "drawing", metavar="FILE", help="Write shares and times to a .png, .svg or .pdf file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing on the way.")
@click.option("--list", "listing", is_flag=True, help="Say what scenarios there are.")
def simulate(
    scenarios: tuple[str, ...],
    strategies: tuple[str, ...],
    seed: int,
    duration: float | None,
    trace: str | None,
    drawing: str | None,
    as_json: bool,
    listing: bool,
) -> None:
    """Compare strategies in simulated fleets: the production code, but no network and no waiting.

    SCENARIO is a built-in one's name (--list), the path of a .toml file of yours, or drawn:SEED for a random one.
    Without any, it is the ten that strategies are judged by; with --trace, homogeneous. A strategy is written as in
    the settings: a name, or {name: {option: value}} as JSON or as a TOML inline table; adaptive, unless given.

    All contenders get the same requests. The oracle is one of them: it sees every queue, speed and fault, but not
    the future. A lost call counts as its deadline.

    A trace has a header and a row for each request: `at` (seconds, ascending), and if known `work` (seconds),
    `operation` and `client` (a number). What is not in it is drawn from the scenario.

    \b
    Examples:
      meshware simulate slow10x --strategy adaptive --strategy least_request
      meshware simulate shop.toml --strategy '{"least_request": {"choices": 3}}' --picture shop.png
      meshware simulate drawn:17 --strategy peak_ewma --json
      meshware simulate shop.toml --trace monday.csv --seed 2

    Exit codes: 0, 1 no picture can be written, 2 a scenario, a strategy, a trace or the usage is wrong.
    """
    if listing:
        _list(as_json)
        return
    try:
        contenders = _contenders(strategies)
        if drawing is not None:
            picture.check(drawing)
        chosen = [find(each) for each in scenarios or (TEN if trace is None else ("homogeneous",))]
        rounds = [_round(each, seed=seed, duration=duration, trace=trace) for each in chosen]
    except InputError as error:
        click.echo("\n".join(map(str, error.problems)), err=True)
        raise click.exceptions.Exit(2) from None
    except MissingExtra as error:
        raise click.ClickException(str(error)) from None
    results = list(_results(rounds, contenders, seed=seed, drawing=drawing))
    if as_json:
        click.echo(json.dumps({"seed": seed, "scenarios": [_plain(each) for each in results]}, indent=2))
    else:
        _show(results, seed)


class _Round(NamedTuple):
    """A scenario, and what a trace says of its arrivals."""

    scenario: Scenario
    arrivals: list[Arrival] | None


class _Result(NamedTuple):
    """What came of a scenario."""

    scenario: Scenario
    requests: int
    figures: dict[str, Figures]


def _list(as_json: bool) -> None:
    known = {name: built_in(name).about for name in names()}
    if as_json:
        click.echo(json.dumps(known, indent=2))
        return
    table = _table("scenario", "")
    for name, about in known.items():
        table.add_row(name, escape(about))
    Console().print(table)


def _contenders(strategies: Sequence[str]) -> list[Contender]:
    """The oracle and each strategy, once."""
    found = [contender(each) for each in (ORACLE, *(strategies or ("adaptive",)))]
    return list({each.name: each for each in found}.values())


def _round(scenario: Scenario, *, seed: int, duration: float | None, trace: str | None) -> _Round:
    """What is run. A trace is as long as it is, unless a duration is given. Raises InputError."""
    if duration is not None:
        scenario = lasting(scenario, duration)
    if trace is None:
        return _Round(scenario, None)
    arrivals = read_trace(trace, scenario, seed)
    if duration is None:
        return _Round(scenario.model_copy(update={"duration": max(arrivals[-1].at, SLICE)}), arrivals)
    arrivals = [each for each in arrivals if each.at < duration]
    if not arrivals or arrivals[-1].at < scenario.begin:
        raise InputError(
            trace, [Problem("--duration", duration, f"requests from begin, {scenario.begin:g} s, to there")]
        )
    return _Round(scenario, arrivals)


def _results(
    rounds: Sequence[_Round], contenders: Sequence[Contender], *, seed: int, drawing: str | None
) -> Iterator[_Result]:
    """Run them all. The progress is shown where a person looks."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(rounds) * len(contenders))
        for scenario, traced in rounds:
            arrivals = workload(scenario, seed) if traced is None else traced
            tallies = {}
            for name, strategy in contenders:
                progress.update(task, description=escape(f"{scenario.name}: {name}"))
                tallies[name] = Simulation(scenario, strategy=strategy, seed=seed, arrivals=arrivals).run()
                progress.advance(task)
            if drawing is not None:
                _draw(drawing, scenario, tallies, several=len(rounds) > 1)
            yield _Result(scenario, len(arrivals), _figures(scenario, tallies))


def _draw(drawing: str, scenario: Scenario, tallies: Mapping[str, Tally], *, several: bool) -> None:
    """A picture for each scenario, with its name in the file's where there are several."""
    path = Path(drawing)
    name = re.sub(r"[^\w.-]", "_", scenario.name)
    try:
        picture.save(str(path.with_stem(f"{path.stem}-{name}") if several else path), scenario, tallies)
    except OSError as error:
        raise click.ClickException(f"no picture: {error}") from None


def _figures(scenario: Scenario, tallies: Mapping[str, Tally]) -> dict[str, Figures]:
    addresses = [address(number) for number, _ in enumerate(scenario.members())]
    return {name: figures(tally, tallies[ORACLE], addresses) for name, tally in tallies.items()}


def _plain(result: _Result) -> dict[str, Any]:
    return {
        "scenario": result.scenario.name,
        "about": result.scenario.about,
        "requests": result.requests,
        "contenders": {name: each._asdict() for name, each in result.figures.items()},
    }


def _show(results: Sequence[_Result], seed: int) -> None:
    console = Console()
    for scenario, requests, told in results:
        console.print(escape(scenario.title), style="bold", highlight=False)
        replicas = sum(1 for _ in scenario.members())
        console.print(f"seed {seed}, {requests:,} requests, {replicas} replicas", highlight=False)
        table = _table("", "p50 ms", "p99 ms", "p99.9 ms", "x oracle", "lost %", "refused %", "shares %")
        for name, each in told.items():
            table.add_row(escape(name), *_row(each))
        console.print(table, "", sep="\n")
    if len(results) > 1:
        _show_means(results, console)


def _row(told: Figures) -> list[str]:
    over = "" if told.over_oracle is None else f"{told.over_oracle:.2f}"
    shares = f"{told.smallest_share_percent:.1f}-{told.largest_share_percent:.1f}"
    times = [f"{each:.1f}" for each in (told.p50_ms, told.p99_ms, told.p999_ms)]
    return [*times, over, f"{told.lost_percent:.2f}", f"{told.refused_percent:.2f}", shares]


def _show_means(results: Sequence[_Result], console: Console) -> None:
    table = _table(f"all {len(results)}", "mean x oracle", "worst", "most lost %")
    for name in results[0].figures:
        told = [each.figures[name] for each in results]
        ratios = [each.over_oracle or 1.0 for each in told]
        mean = exp(sum(map(log, ratios)) / len(ratios))  # geometric, as of all ratios
        table.add_row(
            escape(name), f"{mean:.2f}", f"{max(ratios):.2f}", f"{max(each.lost_percent for each in told):.2f}"
        )
    console.print(table)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right" if heading else "left")
    return table
