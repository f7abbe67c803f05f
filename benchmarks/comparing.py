"""Comparing contenders: interleaved rounds in one process, paired ratios, a table and JSON.

Whatever else the machine does hits all alike; figures are medians of paired ratios with a bootstrap interval.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")

Run = Callable[[int], float]
"""`run(count)`: seconds that so many calls took."""


@dataclass(frozen=True)
class Ratio:
    """One contender over another: the median of paired ratios, its 95 % interval, and the budget."""

    name: str
    over: str
    ratio: float
    low: float
    high: float
    microseconds: float
    budget: float | None = None


def timed(call: Callable[[], Any]) -> Run:
    """Runs it so often and tells the seconds."""

    def run(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        return time.perf_counter() - began

    return run


def timed_async(call: Callable[[], Any]) -> Run:
    """The same for a coroutine function, on one loop."""

    async def repeat(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            await call()
        return time.perf_counter() - began

    return lambda count: asyncio.run(repeat(count))


@contextmanager
def apart(begin: Callable[[ExitStack], Callable[[int], T]]) -> Iterator[Callable[[int], T]]:
    """What `begin` makes, in a process of its own: in one with others, Python adapts the code that they share to all.

    What it puts on the stack ends with the process.
    """
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_working, args=(begin, its), daemon=True)
    process.start()
    its.close()  # else its death would not be told

    def run(count: int) -> T:
        mine.send(count)
        done: T = mine.recv()
        return done

    try:
        yield run
    finally:
        with suppress(BrokenPipeError):  # it has ended already
            mine.send(0)
        process.join()


def _working(begin: Callable[[ExitStack], Callable[[int], Any]], pipe: Connection) -> None:
    """Run whenever told to, until told that there will be nothing more."""
    with ExitStack() as stack:
        run = begin(stack)
        while count := pipe.recv():
            pipe.send(run(count))


def interleaved(runs: dict[str, Run], *, rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds per call of each, round by round, in random order within a round."""
    chance = random.Random(1)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(count)
    for _ in range(rounds):
        for name in chance.sample(list(runs), len(runs)):
            seconds[name].append(runs[name](count) / count)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, over: str, budget: float | None = None) -> Ratio:
    """The median of the paired ratios, with a bootstrap interval."""
    paired = [mine / theirs for mine, theirs in zip(seconds[name], seconds[over], strict=True)]
    low, high = interval(paired, statistics.median)
    micro = 1e6 * statistics.median(seconds[name])
    return Ratio(name, over, statistics.median(paired), low, high, micro, budget)


def interval(paired: Sequence[T], figure: Callable[[Sequence[T]], float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of a figure of paired values."""
    chance = random.Random(1)
    found = sorted(figure(chance.choices(paired, k=len(paired))) for _ in range(1000))
    return found[25], found[975]


def asked(doc: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rounds: for trying it out, not for figures")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def show(found: list[Ratio], *, title: str, file: Path | None) -> None:
    """As a table, and as JSON."""
    table = Table("contender", "over", "ratio", "95 % interval", "budget", "µs a call", title=title)
    for each in found:
        budget = "" if each.budget is None else f"<= {each.budget:g}"
        style = None if each.budget is None or each.ratio <= each.budget else "bold red"
        interval = f"{each.low:.2f} to {each.high:.2f}"
        micro = f"{each.microseconds:.1f}"
        table.add_row(each.name, each.over, f"{each.ratio:.2f}", interval, budget, micro, style=style)
    Console(width=110).print(table)
    if file is not None:
        file.write_text(json.dumps([asdict(each) for each in found], indent=2))
