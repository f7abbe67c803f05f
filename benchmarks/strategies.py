"""What strategies are worth in the simulator: the tables of docs/strategies.md, as Markdown.

    python benchmarks/strategies.py [--quick]

The default strategy in each scenario, each call sent once, and as the mesh sends it; the measured strategies over the
ten that strategies are judged by. Figures are the 99th percentile over that of an oracle who knows every queue,
geometric means over seeds. Nothing here depends on the machine: simulated time is exact.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from statistics import fmean, geometric_mean
from typing import Any, NamedTuple

from meshware.testing.simulation import ORACLE, Scenario, Simulation, Tally, built_in, drawn, workload
from meshware.testing.simulation.library import TEN

SEEDS = range(101, 106)
ONCE = {"retry": {"attempts": 1}, "hedge": {"enabled": False}}
"""Each call is sent once: what second attempts hide shows."""

GONE = ("blackhole", "crash", "zone_loss")
MEASURED: dict[str, Any] = {
    "adaptive": "adaptive",
    "response_time": "response_time",
    "combined, by sum": {"name": "combined", "options": {"combine": "sum"}},
    "combined": "combined",
    "c3": "c3",
    "load": "load",
    "failure_rate": "failure_rate",
    "least_request": "least_request",
    "utilization": "utilization",
}


class Worth(NamedTuple):
    """The p99 over the oracle's, and the percentage that was lost beyond the oracle's."""

    ratio: float
    lost: float


@cache
def oracle(scenario: str, seed: int, clients: int) -> tuple[Scenario, Any, Tally]:
    """The scenario, what arrives in it, and what the oracle makes of that."""
    what = drawn(seed) if scenario == "drawn" else built_in(scenario)
    if scenario != "drawn":
        one = what.clients[0].model_copy(update={"count": clients})
        what = what.model_copy(update={"clients": (one,)})
    arrivals = workload(what, seed)
    return what, arrivals, Simulation(what, strategy=ORACLE, seed=seed, arrivals=arrivals).run()


def worth(strategy: Any, scenario: str, seeds: Sequence[int], settings: Mapping[str, Any], clients: int = 8) -> Worth:
    """Of a strategy in a scenario, over the seeds."""
    ratios, lost = [], []
    for seed in seeds:
        what, arrivals, best = oracle(scenario, seed, clients)
        tally = Simulation(what, strategy=strategy, seed=seed, arrivals=arrivals, settings=settings).run()
        ratios.append(tally.quantile(0.99) / best.quantile(0.99))
        lost.append(100 * (tally.lost_share - best.lost_share))
    return Worth(geometric_mean(ratios), max(0.0, fmean(lost)))


def default(seeds: Sequence[int], scenarios: Sequence[str], gone: Sequence[str]) -> Iterator[str]:
    """The default strategy, scenario by scenario."""
    yield "| | p99 / oracle, sent once | lost | with retries and hedges | lost |"
    yield "|---|---|---|---|---|"
    means: list[tuple[float, float]] = []
    for name in (*scenarios, *gone):
        once, used = (worth("adaptive", name, seeds, settings) for settings in (ONCE, {}))
        yield f"| `{name}` | {once.ratio:.2f} | {percent(once)} | {used.ratio:.2f} | {percent(used)} |"
        means.append((once.ratio, used.ratio))
        if name == scenarios[-1]:
            once_mean, used_mean = map(geometric_mean, zip(*means, strict=True))
            yield f"| **mean of these ten** | **{once_mean:.2f}** | | **{used_mean:.2f}** | |"
    for title, scenario, clients in (("a single client, over the ten", "", 1), ("fleets drawn at random", "drawn", 8)):
        found = [worth("adaptive", each, seeds, ONCE, clients) for each in ([scenario] if scenario else scenarios)]
        yield f"| {title} | {geometric_mean([each.ratio for each in found]):.2f} | | | |"


def measured(seeds: Sequence[int], scenarios: Sequence[str], most: int) -> Iterator[str]:
    """The first so many measured strategies, each over all scenarios."""
    yield "| strategy | p99 / oracle | worst scenario | lost, one fails 30 % |"
    yield "|---|---|---|---|"
    for title, strategy in islice(MEASURED.items(), most):
        found = {name: worth(strategy, name, seeds, {}) for name in scenarios}
        worst = max(found, key=lambda name: found[name].ratio)
        gray = percent(found["gray30"]) if "gray30" in found else ""
        mean = geometric_mean([each.ratio for each in found.values()])
        yield f"| `{title}` | {mean:.2f} | {found[worst].ratio:.2f}, `{worst}` | {gray} |"


def percent(found: Worth) -> str:
    """Nothing where nothing is lost."""
    return f"{found.lost:.2g} %" if found.lost >= 0.0005 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one scenario, one strategy")
    quick = parser.parse_args().quick
    seeds, scenarios = (SEEDS[:1], TEN[:1]) if quick else (SEEDS, TEN)
    for line in default(seeds, scenarios, () if quick else GONE):
        print(line, flush=True)
    print()
    for line in measured(seeds[:2], scenarios, 1 if quick else len(MEASURED)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
