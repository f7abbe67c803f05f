"""What the terminal shows: a live view of the run that goes on, then the runs side by side.

Reads Progress and figures only; knows nothing of processes or sockets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from meshware.cli.demo.calibrate import Pace
from meshware.cli.demo.plan import Fault, Kind, service_of
from meshware.cli.demo.run import Progress

COLOURS = {Kind.HEALTHY: "green", Kind.KILLED: "red", Kind.SLOW: "yellow", Kind.FAILING: "magenta", Kind.FROZEN: "blue"}
RECENT = 3.0
"""Seconds over which the live view takes a share."""

LINE = 60
"""Characters of an incident's line."""


class View:
    """The live view; rich calls it for each picture."""

    def __init__(self) -> None:
        self.stage = ""
        self.pace: Pace | None = None
        self.runs: list[Progress] = []

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self._headline(), style="bold")]
        parts += [overview(self.runs)] if self.runs else []
        parts += [replicas(run) for run in self.runs if run.stage == "running"]
        return Group(*parts)

    def _headline(self) -> str:
        if self.pace is None:
            return f"calibrating: {self.stage}"
        return f"the same incident three times, {self.pace.rate:.0f} calls/s"


def overview(runs: Sequence[Progress]) -> Table:
    """A line for each run: how far it is, calls and errors so far."""
    table = Table.grid(padding=(0, 2))
    for run in runs:
        done = run.seconds if run.stage == "done" else min(run.now, run.seconds)
        state = f"{run.now:.0f} of {run.seconds:.0f} s" if run.stage == "running" else run.stage
        errors = Text(f"{run.errors} errors", style="red" if run.errors else "green")
        bar = ProgressBar(total=run.seconds, completed=done, width=30)
        table.add_row(run.variant, bar, state, f"{len(run.called)} calls", errors)
    return table


def replicas(run: Progress) -> Table:
    """A line for each replica: its state, its recent share, its incident with the present moment in it."""
    table = Table(box=None, padding=(0, 2))
    for title in ("replica", "state", f"share of {RECENT:.0f} s", "calls", "incident"):
        table.add_column(title)
    faults = {fault.endpoint: fault for fault in run.faults}
    for name, arrived in run.arrived.items():
        share = recent_share(run, name)
        table.add_row(
            name,
            Text(run.kinds[name].value, style=COLOURS[run.kinds[name]]),
            "" if share is None else f"{share:4.0%} {'#' * round(20 * share)}",
            str(len(arrived)),
            incident_line(run, faults.get(name)),
        )
    return table


def recent_share(run: Progress, endpoint: str) -> float | None:
    """The endpoint's share of its service's latest calls."""
    since = run.now - RECENT
    mates = [name for name in run.arrived if service_of(name) == service_of(endpoint)]
    counts = {name: sum(at >= since for at in run.arrived[name]) for name in mates}
    total = sum(counts.values())
    return counts[endpoint] / total if total else None


def incident_line(run: Progress, fault: Fault | None) -> Text:
    """The run as a line of time: the fault's stretch in its colour, the present as a bar."""
    line = Text("." * LINE, style="dim")
    if fault is not None:
        begin, end = (round(LINE * at / run.seconds) for at in (fault.begins, fault.ends))
        line = Text("." * begin + "=" * (end - begin) + "." * (LINE - end), style="dim")
        line.stylize(COLOURS[fault.kind], begin, end)
    here = min(LINE - 1, int(LINE * run.now / run.seconds))
    return Text.assemble(line[:here], ("|", "bold"), line[here + 1 :])


def side_by_side(results: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """The runs beside each other: what callers saw, then each replica's share before, in and after its fault."""
    return Group(callers(results), Text(), shares(results))


def callers(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Calls, errors and times of each run."""
    table = Table(title="what the storefront's callers saw")
    for title in ("", "calls", "errors", "lost", "p50", "p99", "CPU"):
        table.add_column(title, justify="right" if title else "left")
    for variant, run in results.items():
        lost = run["errors"] / run["calls"] if run["calls"] else 0.0
        row = (f"{run['calls']:,}", f"{run['errors']:,}", f"{lost:.2%}", time(run["p50_ms"]), time(run["p99_ms"]))
        table.add_row(variant, *row, f"{run['cpu_share']:.0%}")
    return table


def shares(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Each replica's share of its service's calls, as it counted them."""
    table = Table(title="share of the service's calls: before / during / after its fault", caption=CAPTION)
    table.add_column("replica")
    table.add_column("fault")
    for variant in results:
        table.add_column(variant, justify="right")
    first = next(iter(results.values()))["endpoints"]
    for name, facts in first.items():
        kind = Kind(facts.get("fault") or Kind.HEALTHY.value)
        rows = [three(run["endpoints"][name]) for run in results.values()]
        table.add_row(name, Text(kind.value, style=COLOURS[kind]), *rows)
    return table


CAPTION = "during: from 1 s after the fault to its end; for healthy ones, while their service had any fault"


def three(facts: Mapping[str, Any]) -> str:
    """The three shares in one cell, and how soon a killed one was back."""
    cell = " / ".join(percent(facts.get(key)) for key in ("share_before", "share_in_fault", "share_after"))
    if "back_after_s" not in facts:
        return cell
    back = facts["back_after_s"]
    return f"{cell}\n{'not back' if back is None else f'back after {back:.1f} s'}"


def percent(share: float | None) -> str:
    """A share for people."""
    return "-" if share is None else f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"


def time(milliseconds: float | None) -> str:
    """A time for people."""
    return "-" if milliseconds is None else f"{milliseconds:,.0f} ms"
