"""Contenders over time in a picture: who was asked, and how long it took. By matplotlib, imported when first used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from meshware.core.errors import MissingExtra, Problem
from meshware.testing.simulation.file import InputError
from meshware.testing.simulation.looks import BLUE, DARK, GREY, SKY, VERMILION, YELLOW, looks, spans
from meshware.testing.simulation.run import ORACLE, address
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import SLICE, Tally, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")

WIDTH, ROW, DOTS = 12.0, 2.2, 100
"""Inches, and dots in each: 1200 wide."""

POINTS = 60
"""Of a line, about."""


def check(path: str) -> None:
    """Raises MissingExtra where matplotlib is not installed, InputError where no picture can be written."""
    _figure()
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError("--picture", [Problem("picture", path, f"a file whose name ends in {', '.join(SUFFIXES)}")])
    if not Path(path).absolute().parent.is_dir():
        raise InputError("--picture", [Problem("picture", path, "a file in a directory that is there")])


def save(path: str, scenario: Scenario, tallies: Mapping[str, Tally]) -> None:
    """Write it, a row for each contender by its name; one must be the oracle. Raises MissingExtra, OSError."""
    figure = _figure()(figsize=(WIDTH, 1.4 + ROW * len(tallies)), dpi=DOTS, layout="constrained")
    figure.suptitle(scenario.title, fontsize=13)
    rows = figure.subplots(len(tallies), 2, squeeze=False, sharex=True, sharey="col")
    for (left, right), (name, tally) in zip(rows, tallies.items(), strict=True):
        left.set_title(name if len(name) <= 60 else f"{name[:57]}...", loc="left", fontsize=11, fontweight="bold")
        right.set_title(_summary(tally), loc="right", fontsize=10, color=DARK)
        _shares(left, scenario, tally)
        _times(right, scenario, tally, tallies[ORACLE])
    _frame(figure, scenario)
    still = {"Date": None} if Path(path).suffix.lower() == ".svg" else None  # the same picture is the same file
    figure.savefig(path, metadata=still)


def _figure() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("matplotlib", "simulate") from error
    return Figure


class _Point(NamedTuple):
    """Some slices of a timeline together: their middle, the attempts, the calls."""

    at: float
    asked: Counter[str]
    times: list[float]


def _points(scenario: Scenario, tally: Tally) -> list[_Point]:
    width = max(1, round(scenario.duration / SLICE / POINTS))
    found: dict[int, _Point] = {}
    for number, part in sorted(tally.slices.items()):
        first = number - number % width
        point = found.setdefault(first, _Point((first + width / 2) * SLICE, Counter(), []))
        point.asked.update(part.asked)
        point.times.extend(part.times)
    return list(found.values())


def _shares(axes: Axes, scenario: Scenario, tally: Tally) -> None:
    """A line for each replica: its share of the attempts in percent."""
    points = [each for each in _points(scenario, tally) if each.asked]
    for number, look in enumerate(looks(scenario)):
        line = [100 * each.asked[address(number)] / each.asked.total() for each in points]
        width, above = (1.8, 3) if look.struck else (0.8, 2)
        axes.plot([each.at for each in points], line, color=look.colour, label=look.label, lw=width, zorder=above)


def _times(axes: Axes, scenario: Scenario, tally: Tally, oracle: Tally) -> None:
    """Quantiles of the calls that arrived at each moment, in milliseconds, and when some were lost."""
    if tally is not oracle:
        _quantile(axes, _points(scenario, oracle), 0.99, colour=GREY, label="p99 of the oracle")
    points = _points(scenario, tally)
    _quantile(axes, points, 0.5, colour=SKY, label="p50")
    _quantile(axes, points, 0.99, colour=BLUE, label="p99")
    lost = [(number + 0.5) * SLICE for number, part in tally.slices.items() if part.lost]
    if lost:
        low = axes.get_xaxis_transform()
        axes.plot(lost, [0.06] * len(lost), "|", transform=low, color=VERMILION, ms=9, label="calls lost then")


def _quantile(axes: Axes, points: list[_Point], share: float, *, colour: str, label: str) -> None:
    told = [each for each in points if each.times]
    line = [1000 * quantile(each.times, share) for each in told]
    axes.plot([each.at for each in told], line, color=colour, label=label, lw=1.4)


def _summary(tally: Tally) -> str:
    p50, p99 = (f"{1000 * tally.quantile(share):.1f}" for share in (0.5, 0.99))
    return f"p50 {p50} ms   p99 {p99} ms   lost {100 * tally.lost_share:.2g} %"


def _frame(figure: Figure, scenario: Scenario) -> None:
    """What all rows share: the times at which something is wrong, axes, a legend."""
    for axes in figure.axes:
        axes.axvspan(0, scenario.begin, color="black", alpha=0.06, lw=0, label="not counted")
        for span in spans(scenario):
            axes.axvspan(span.start, span.end, color=YELLOW, alpha=0.3, lw=0)
        axes.grid(axis="y", color="black", alpha=0.12)
        axes.set_xlim(0, scenario.duration)
        axes.spines[["top", "right"]].set_visible(False)
    _headings(figure)
    _name_spans(figure, scenario)
    legends = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in figure.axes]
    shown = {label: line for legend in legends for line, label in legend}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=9)


def _headings(figure: Figure) -> None:
    """What the axes are, told once; milliseconds as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    left, right = figure.axes[:2]
    left.set_title("share of the attempts (%), a line for each replica", loc="right", fontsize=10)
    left.set_ylim(bottom=0)
    right.set_title("response time (ms)", loc="left", fontsize=10)
    for axes in figure.axes[1::2]:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    for axes in figure.axes[-2:]:
        axes.set_xlabel("seconds")


def _name_spans(figure: Figure, scenario: Scenario) -> None:
    """What is wrong at a time, in the first row; each word once, in lines below each other."""
    starts: dict[str, float] = {}
    for span in spans(scenario):
        starts.setdefault(span.label, span.start)
    for axes in figure.axes[:2]:
        for line, (label, start) in enumerate(starts.items()):
            low = axes.get_xaxis_transform()
            axes.text(start, 0.98 - 0.1 * line, f" {label}", transform=low, va="top", fontsize=9, clip_on=True)
