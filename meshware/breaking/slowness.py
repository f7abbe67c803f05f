"""Slow calls: endpoints that answer, but too many of their answers come late (Resilience4j's slowCallRateThreshold).

Late is what takes longer than a set time, or than so many times the p95 of the others: the median of their own p95s,
so that neither a slow endpoint nor a busy one moves it. Times are from send to headers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from meshware.breaking.outliers import Found
from meshware.core.endpoint import Endpoint

KEPT = 128
"""Last calls of an endpoint that are judged at most."""

Times = deque[tuple[float, float]]
"""When each of the last calls was answered, and after how many seconds. Thread-safe: one append."""


@dataclass(frozen=True, slots=True)
class SlowOptions:
    """Either `seconds`, or `p95s`; the share of calls that may be slower; calls that must be known, in what window."""

    seconds: float | None = None
    p95s: float | None = None
    share: float = 0.5
    minimum: int = 20
    window: float = 10.0


def times() -> Times:
    """Of an endpoint that has answered nothing yet."""
    return deque(maxlen=KEPT)


def slow(answers: Iterable[tuple[Endpoint, Times]], options: SlowOptions, now: float) -> list[Found]:
    """Those of these endpoints that are too slow, the slowest first; none when most are: nobody's fault."""
    known = [(each, _recent(kept, now - options.window)) for each, kept in answers]
    known = [(each, took) for each, took in known if len(took) >= options.minimum]
    limits = _limits([took for _, took in known], options)
    found = []
    for (each, took), limit in zip(known, limits, strict=True):
        share = 1 - bisect_left(took, limit) / len(took)
        if share > options.share:
            found.append((share, Found(each, f"{share:.0%} of {len(took)} calls took over {limit:.3f} s", limit)))
    if 2 * len(found) > len(known):
        return []
    return [one for _, one in sorted(found, key=lambda one: -one[0])]


def _recent(kept: Times, since: float) -> list[float]:
    return sorted(took for at, took in tuple(kept) if at > since)


def _limits(known: Sequence[list[float]], options: SlowOptions) -> list[float]:
    """Over how many seconds a call of each is slow."""
    if options.seconds is not None:
        return [options.seconds] * len(known)
    if len(known) < 2 or options.p95s is None:
        return [inf] * len(known)
    p95s = [took[int(0.95 * (len(took) - 1))] for took in known]
    ordered = sorted(p95s)
    middle = (len(ordered) - 2) // 2  # of the others, the lower one of two
    return [options.p95s * ordered[middle + (bisect_left(ordered, one) <= middle)] for one in p95s]
