"""What the cells of several seeds say together: ratios with intervals over the paired seeds, and the verdicts.

A mean over the table holds when its upper 95 % bound does; a single cell is not worse than another when the lower
bound of their ratio is at most 1.10. A ratio of 99th percentiles is averaged by its logarithm.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from math import exp, log
from typing import NamedTuple

from comparing import interval

from fleets.figures import Cell

ORACLE, MESHWARE, ALONE = "oracle", "meshware", "meshware, no board"
PEERS = ("Envoy, careful", "Envoy, plain", "HAProxy", "nginx")
WORKERS = "workers8_"

WORST, MEAN, GOAL, NOT_WORSE, SHARED = 1.5, 1.2, 1.15, 1.10, 1.05
"""Budgets: of one scenario's p99 over the oracle's, of their mean, what the mean should be, of a cell over the best
peer's, of eight processes over one."""

USUAL_MISSES = 0.01
"""Where the oracle itself answers more calls than this too late, goodput is judged, and a refusal is no error."""

GOODPUT = 0.01
"""By so much may goodput be less than the oracle's."""

ENOUGH = 5
"""Paired seeds on which a claim stands; of fewer, an interval says so."""

Cells = Mapping[tuple[str, str, int], Cell]
"""By scenario, contender and seed."""


class Over(NamedTuple):
    """A ratio: the geometric mean over seeds, and its 95 % interval."""

    ratio: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        few = "" if self.seeds >= ENOUGH else f", of {self.seeds} only"
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f}{few})"


class Verdict(NamedTuple):
    """One must, or a goal: what was measured, what should be, and whether it is so; None: it cannot be told."""

    name: str
    measured: str
    should: str
    held: bool | None


class Results:
    """All cells there are."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.scenarios = list(dict.fromkeys(scenario for scenario, _, _ in cells))
        self.contenders = list(dict.fromkeys(contender for _, contender, _ in cells))
        self.seeds = sorted({seed for _, _, seed in cells})

    def seen(self, scenario: str, contender: str) -> list[Cell]:
        """One for each seed."""
        found = (self.cells.get((scenario, contender, seed)) for seed in self.seeds)
        return [each for each in found if each is not None]

    def over(self, scenario: str, contender: str, other: str = ORACLE) -> Over | None:
        """Its p99 over another's in this scenario."""
        return self.mean([scenario], contender, other)

    def mean(self, scenarios: Collection[str], contender: str, other: str = ORACLE) -> Over | None:
        """The geometric mean over these scenarios, of the seeds for which both have run in all of them."""
        return self._paired([(each, contender, each, other) for each in scenarios])

    def processes(self, contender: str) -> Over | None:
        """Its p99 with eight processes over that with one, over the scenarios that there are for both."""
        both = [each for each in self.scenarios if each.removeprefix(WORKERS) in self.scenarios and WORKERS in each]
        one = MESHWARE if contender == ALONE else contender
        return self._paired([(each, contender, each.removeprefix(WORKERS), one) for each in both])

    def _paired(self, pairs: Sequence[tuple[str, str, str, str]]) -> Over | None:
        logs = []
        for seed in self.seeds:
            cells = [(self.cells.get((a, b, seed)), self.cells.get((c, d, seed))) for a, b, c, d in pairs]
            ratios = [log(mine.p99 / other.p99) for mine, other in cells if mine is not None and other is not None]
            if ratios and len(ratios) == len(pairs):
                logs.append(statistics.fmean(ratios))
        if not logs:
            return None
        low, high = interval(logs, statistics.fmean)
        return Over(exp(statistics.fmean(logs)), exp(low), exp(high), len(logs))

    def hard(self, scenario: str) -> bool:
        """Whether the oracle itself answers too many calls too late."""
        cells = self.seen(scenario, ORACLE)
        return bool(cells) and statistics.fmean(each.goodput for each in cells) < 1 - USUAL_MISSES

    def best_peer(self, scenario: str) -> str | None:
        """The proxy with the least p99 there."""
        found = {name: over.ratio for name in PEERS if (over := self.over(scenario, name)) is not None}
        return min(found, key=found.__getitem__, default=None)


def verdicts(results: Results) -> list[Verdict]:
    """The musts of meshware, then what is shown beside them."""
    one = [each for each in results.scenarios if results.seen(each, MESHWARE)]
    if not one:
        return []
    return [
        *_errors(results, one),
        _each(results, one),
        *_means(results, one),
        *_peers(results, one),
        *_processes(results),
    ]


def _errors(results: Results, scenarios: Sequence[str]) -> list[Verdict]:
    lost, calls, where = 0, 0, []
    for scenario in scenarios:
        cells = results.seen(scenario, MESHWARE)
        errors = sum(each.errors + (0 if results.hard(scenario) else each.refused) for each in cells)
        lost, calls = lost + errors, calls + sum(each.calls for each in cells)
        where += [f"{scenario} {errors}"] if errors else []
    told = f"{lost} of {calls}" + (f" ({', '.join(where)})" if where else "")
    return [
        Verdict("errors", told, "0", lost == 0),
        *_goodput(results, [each for each in scenarios if results.hard(each)]),
    ]


def _goodput(results: Results, scenarios: Sequence[str]) -> list[Verdict]:
    found = []
    for scenario in scenarios:
        mine, best = (_mean(results.seen(scenario, name), lambda cell: cell.goodput) for name in (MESHWARE, ORACLE))
        told = f"{100 * mine:.1f} %"
        found.append(
            Verdict(f"goodput in {scenario}", told, f">= {100 * (best - GOODPUT):.1f} %", mine >= best - GOODPUT)
        )
    return found


def _mean(cells: Sequence[Cell], figure: Callable[[Cell], float]) -> float:
    return statistics.fmean(map(figure, cells))


def _each(results: Results, scenarios: Sequence[str]) -> Verdict:
    found = {each: over.ratio for each in scenarios if (over := results.over(each, MESHWARE)) is not None}
    if not found:
        return Verdict("p99 over the oracle's, in each", "no oracle", f"<= {WORST:g}", None)
    worse = [f"{each} {ratio:.2f}" for each, ratio in found.items() if ratio > WORST]
    told = ", ".join(worse) or f"at most {max(found.values()):.2f} ({max(found, key=found.__getitem__)})"
    return Verdict("p99 over the oracle's, in each", told, f"<= {WORST:g}", not worse)


def _means(results: Results, scenarios: Sequence[str]) -> list[Verdict]:
    mean = results.mean(scenarios, MESHWARE)
    if mean is None:
        return []
    name = f"p99 over the oracle's, mean of {len(scenarios)}"
    return [
        Verdict(name, str(mean), f"<= {MEAN:g}", mean.high <= MEAN),
        Verdict(f"{name}: the goal", str(mean), f"<= {GOAL:g}", mean.high <= GOAL),
    ]


def _peers(results: Results, scenarios: Sequence[str]) -> list[Verdict]:
    found = []
    for peer in PEERS:
        both = [each for each in scenarios if results.seen(each, peer)]
        mean = results.mean(both, MESHWARE, peer) if both else None
        if mean is not None:
            name = f"p99 over that of {peer}, mean of {len(both)}"
            found.append(Verdict(name, str(mean), "< 1", mean.high < 1))
    cells = [_beside_best(results, each) for each in scenarios]
    told = [(name, over) for each in cells if each is not None for name, over in [each]]
    if told:
        worse = [f"{name} {over.ratio:.2f}" for name, over in told if over.low > NOT_WORSE]
        measured = ", ".join(worse) or "nowhere"
        found.append(Verdict("worse than the best of the proxies there", measured, "nowhere", not worse))
    return found


def _beside_best(results: Results, scenario: str) -> tuple[str, Over] | None:
    peer = results.best_peer(scenario)
    over = None if peer is None else results.over(scenario, MESHWARE, peer)
    return None if over is None else (f"{scenario} ({peer})", over)


def _processes(results: Results) -> list[Verdict]:
    found = []
    for name in (MESHWARE, ALONE):
        over = results.processes(name)
        if over is not None:
            must = name == MESHWARE
            held = over.high <= SHARED if must else None
            found.append(Verdict(f"p99 of eight processes over one: {name}", str(over), f"<= {SHARED:g}", held))
    return found
