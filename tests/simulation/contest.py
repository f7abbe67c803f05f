"""Contenders in one scenario, with the oracle: they share arrivals, work and faults."""

from __future__ import annotations

from math import exp, log

from meshware.testing.simulation import ORACLE, Simulation, built_in, workload
from meshware.testing.simulation.library import TEN as TEN

ONCE = {"retry": {"attempts": 1}, "hedge": {"enabled": False}}
"""Each call is sent once: what second attempts hide shows."""

BARE = ONCE | {
    "ejection": {"enabled": False}, "circuit": {"enabled": False}, "limits": {"enabled": False}, "guard": 1.0,
    "attempt_timeout": None,
}  # fmt: skip
"""A strategy alone, with nothing around it."""

REPORTED = range(101, 106)
"""The seeds that figures are told of. Whatever is tuned is tuned by others."""


def scenario(name, *, clients=8, **changes):
    """A built-in one with so many clients."""
    found = built_in(name)
    return found.model_copy(update={"clients": (found.clients[0].model_copy(update={"count": clients}),), **changes})


def contest(what, *strategies, seed=1, settings=ONCE):
    """What the callers of each saw, the oracle's first."""
    arrivals = workload(what, seed)
    oracle = Simulation(what, strategy=ORACLE, seed=seed, arrivals=arrivals).run()
    return oracle, *(
        Simulation(what, strategy=each, seed=seed, arrivals=arrivals, settings=settings).run() for each in strategies
    )


def ratio(oracle, tally):
    """The 99th percentile beside the oracle's."""
    return tally.quantile(0.99) / oracle.quantile(0.99)


def geometric_mean(values):
    """Of ratios."""
    values = list(values)
    return exp(sum(map(log, values)) / len(values))
