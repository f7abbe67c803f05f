"""The results for people: tables, the same as Markdown for the docs, and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import log
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fleets.figures import Cell
from fleets.verdicts import MESHWARE, ORACLE, Results, Verdict, verdicts

Rows = list[list[str]]


def ratios(results: Results) -> tuple[list[str], Rows]:
    """p99 over the oracle's, by scenario and contender, with the lost calls; the oracle's own in ms."""
    others = [each for each in results.contenders if each != ORACLE]
    rows = []
    for scenario in results.scenarios:
        oracle = results.seen(scenario, ORACLE)
        first = f"{1000 * _median(oracle, 'p99'):.0f}" if oracle else ""
        rows.append([scenario, first, *(_ratio(results, scenario, each) for each in others)])
    means = (results.mean([each for each in results.scenarios if results.seen(each, name)], name) for name in others)
    rows.append(["geometric mean", "", *("" if mean is None else f"{mean.ratio:.2f}" for mean in means)])
    return ["scenario", "oracle, ms", *others], rows


def _ratio(results: Results, scenario: str, contender: str) -> str:
    over, cells = results.over(scenario, contender), results.seen(scenario, contender)
    if over is None:
        return ""
    calls = sum(each.calls for each in cells)
    lost = [(sum(each.errors for each in cells), ""), (sum(each.refused for each in cells), " refused")]
    told = [f"{100 * count / calls:.2g}%{what}" for count, what in lost if count]
    return f"{over.ratio:.2f}" + (f" ({', '.join(told)})" if told else "")


def _median(cells: Sequence[Cell], field: str) -> float:
    return statistics.median(getattr(each, field) for each in cells)


def intervals(results: Results) -> tuple[list[str], Rows]:
    """meshware by scenario: its quantiles, the intervals of its ratios, goodput, what it sent."""
    rows = []
    for scenario in results.scenarios:
        mine, oracle = results.seen(scenario, MESHWARE), results.seen(scenario, ORACLE)
        if not mine or not oracle:
            continue
        peer = results.best_peer(scenario)
        beside = results.over(scenario, MESHWARE, peer) if peer is not None else None
        quantiles = [f"{1000 * _median(mine, each):.0f}/{1000 * _median(oracle, each):.0f}" for each in _QUANTILES]
        goodput = f"{100 * _median(mine, 'goodput'):.1f}/{100 * _median(oracle, 'goodput'):.1f}"
        beside_best = "" if beside is None else f"{beside}, {peer}"
        over = str(results.over(scenario, MESHWARE))
        rows.append([scenario, *quantiles, over, beside_best, goodput, f"{_median(mine, 'tries'):.3f}"])
    heads = ["scenario", *(f"{each} ms" for each in ("p50", "p99", "p99.9")), "p99 over the oracle's"]
    return [*heads, "over the best proxy's", "goodput %", "tries a call"], rows


_QUANTILES = ("p50", "p99", "p999")


def judged(found: Sequence[Verdict]) -> tuple[list[str], Rows]:
    """The verdicts."""
    word = {True: "yes", False: "no", None: "shown"}
    return ["what", "measured", "should be", "held"], [[*each[:3], word[each.held]] for each in found]


def noise(results: Results) -> str:
    """What the machine added, in a sentence."""
    cells = list(results.cells.values())
    late, cpu = sorted(1000 * each.late for each in cells), sorted(each.cpu for each in cells)
    disturbed = sum(each > 10 for each in late)
    return (
        f"{len(cells)} cells, seeds {', '.join(map(str, results.seeds))}. The 99th of 100 calls or answers was later "
        f"than planned by {statistics.median(late):.1f} ms (median of the cells; {late[-1]:.1f} ms at most, more than "
        f"10 ms in {disturbed}). A cell kept {statistics.median(cpu):.2f} processors busy ({cpu[-1]:.2f} at most)."
    )


TITLES = (
    ("p99 over the oracle's (lost calls)", ratios),
    ("meshware, beside the oracle (mesh/oracle)", intervals),
    ("verdicts", lambda results: judged(verdicts(results))),
)


def show(results: Results, notes: Sequence[str]) -> None:
    """As tables on the terminal."""
    console = Console(width=180)
    for title, made in TITLES:
        heads, rows = made(results)
        table = Table(*heads, title=title)
        for row in rows:
            table.add_row(*row, style="bold red" if row[-1] == "no" else None)
        console.print(table)
    for note in (noise(results), *notes):
        console.print(note)


def markdown(results: Results, notes: Sequence[str]) -> str:
    """The same as a part of a page."""
    parts = []
    for title, made in TITLES:
        heads, rows = made(results)
        lines = [heads, ["---"] * len(heads), *rows]
        parts.append(f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, noise(results), *notes]) + "\n"


def picture(results: Results, file: Path) -> None:
    """A map of the ratios: a row for each scenario, a column for each contender."""
    from matplotlib.figure import Figure

    others = [each for each in results.contenders if each != ORACLE]
    rows = [*results.scenarios, "geometric mean"]
    figure = Figure(figsize=(3.2 + 1.15 * len(others), 1.8 + 0.34 * len(rows)), dpi=110, layout="constrained")
    axes = figure.subplots()
    over = [[_number(results, row, name) for name in others] for row in rows]
    colours = [[min(log(4), max(0.0, log(each))) if each is not None else float("nan") for each in row] for row in over]
    axes.imshow(colours, aspect="auto", cmap="YlOrRd", vmin=0, vmax=log(4))
    for y, row in enumerate(over):
        for x, each in enumerate(row):
            if each is not None:
                dark = each > 2.5
                axes.text(x, y, f"{each:.2f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set_xticks(range(len(others)), others, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.axhline(len(rows) - 1.5, color="black", lw=1)
    axes.set_title("99th percentile over the oracle's (1 is the best there is)", fontsize=11)
    figure.savefig(file)


def _number(results: Results, row: str, contender: str) -> float | None:
    if row in results.scenarios:
        over = results.over(row, contender)
    else:
        over = results.mean([each for each in results.scenarios if results.seen(each, contender)], contender)
    return None if over is None else over.ratio
