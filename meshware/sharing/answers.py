"""What workers tell each other of an endpoint's answers: how many, how long, how many failed.

On a call's path an answer is only put into a row, to be reckoned up at the next sweep. What the others have heard
since the last one is then given to all the endpoint's meters, a user's own too, as if the answers had been ours.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import exp, isfinite, log, sqrt
from operator import add, mul, sub
from typing import NamedTuple, TypeVar

from meshware.core.endpoint import CROWD, Endpoint
from meshware.core.outcome import Cause, Outcome, Verdict

Drained = TypeVar("Drained", "array[float]", "list[Bad]")

Bad = tuple[float, bool, bool]
"""Seconds that it counts, whether that was a timeout, and one that is no failure of the endpoint, or in doubt
(core/outcome.py: `late`, `doubtful`)."""


class Heard(NamedTuple):
    """The seconds of good answers and of bad ones, sorted; what the good ones found in flight together, and how many of
    the bad were `cut`, and `late`, as in a tally.
    """

    good: Sequence[float] = ()
    bad: Sequence[float] = ()
    found: float = 0.0
    cut: int = 0
    late: int = 0


class Tally(NamedTuple):
    """Good answers, the sums of their seconds' logarithms, of the squares of these, and of what they found in flight.

    Bad ones, the sum of the seconds that they count, and how many of them were `cut`, and `late`.
    """

    good: float = 0.0
    logs: float = 0.0
    squares: float = 0.0
    found: float = 0.0
    bad: float = 0.0
    bads: float = 0.0
    cut: float = 0.0
    late: float = 0.0


NONE = Tally()

RECENT = 5.0
"""Time constant of what is recent, in seconds: what a worker that is new begins with."""

MOST = 24
"""So many answers of the others are told at once at most: more of the same move no meter."""

ROOM = 4096
"""Answers that wait for the next sweep at most."""

LEAST, LONGEST = 1e-6, 1e6
"""Seconds that an answer may be said to have taken."""

LOGS = log(LEAST), log(LONGEST)

NEARLY = -1e-6
"""No less than nothing, as differences of sums have it."""


class Pending:
    """One endpoint's answers since the last sweep. Thread-safe: each is appended, and no more than appended."""

    __slots__ = ("_bad", "_found", "_seconds")

    def __init__(self) -> None:
        self._seconds, self._found = array("d"), array("d")
        self._bad: list[Bad] = []

    def sample(self, elapsed: float, failed: bool, outcome: Outcome) -> None:
        """One more; `elapsed`: what it counts, if that is no timeout."""
        if not failed:
            if len(self._seconds) < ROOM:
                self._seconds.append(elapsed)
                self._found.append(outcome.found or 0.0)
        elif len(self._bad) < ROOM:
            cut = outcome.cause is Cause.TIMEOUT
            self._bad.append((outcome.elapsed if cut else elapsed, cut, outcome.late or outcome.doubtful))

    def __bool__(self) -> bool:
        return bool(self._found or self._bad)

    def drain(self) -> Heard:
        """Those that are there; only one thread may take them."""
        whole = len(self._found)  # the seconds of as many are there: they are put there before
        good, found, bad = _taken(self._seconds, whole), _taken(self._found, whole), _taken(self._bad, len(self._bad))
        seconds, cut, late = zip(*bad, strict=True) if bad else ((), (), ())
        return Heard(sorted(good), sorted(seconds), sum(found), sum(cut), sum(late))


def _taken(pending: Drained, count: int) -> Drained:
    taken = pending[:count]
    del pending[:count]
    return taken


def tally(heard: Heard) -> Tally:
    """What they add up to."""
    logs = list(map(log, _possible(heard.good)))
    return Tally(
        good=len(logs),
        logs=sum(logs),
        squares=sum(map(mul, logs, logs)),
        found=heard.found,
        bad=len(heard.bad),
        bads=sum(_possible(heard.bad)),
        cut=heard.cut,
        late=heard.late,
    )


def _possible(seconds: Sequence[float]) -> Sequence[float]:
    """Sorted as they are."""
    if seconds and seconds[0] >= LEAST and seconds[-1] <= LONGEST:
        return seconds
    return [min(max(each, LEAST), LONGEST) for each in seconds]


def added(one: Tally, other: Tally) -> Tally:
    """Both together."""
    return Tally(*map(add, one, other))


def since(before: Tally, now: Tally) -> Tally:
    """What has come since."""
    return Tally(*map(sub, now, before))


def faded(tally: Tally, seconds: float) -> Tally:
    """What of it is still recent after so long."""
    keep = exp(-seconds / RECENT)
    return Tally(*(each * keep for each in tally))


def sensible(tally: Tally) -> bool:
    """Whether workers can have said so."""
    good, logs, squares, found, bad, bads, cut, late = tally
    if not all(map(isfinite, tally)) or min(tally[:1] + tally[2:]) < NEARLY:
        return False
    if not late <= cut + 0.5 <= bad + 1 or found > good * CROWD + 1:
        return False
    least, most = LOGS
    return good * least - 1 <= logs <= good * most + 1 and squares <= good * least**2 + 1 and bads <= bad * LONGEST + 1


def told(endpoint: Endpoint, tally: Tally, now: float) -> Iterable[Exception]:
    """Give the others' answers to the endpoint's meters; what these raised."""
    good, logs, squares, found, bad, bads, cut, late = tally
    if good >= 0.5:
        mean = logs / good
        spread = sqrt(max(0.0, squares / good - mean * mean))
        count = min(MOST, round(good))
        for number in range(count):  # as far apart as they were, else a mean would seem surer than it is
            took = exp(mean + (0.0 if number == count - 1 and count % 2 else spread * (-1) ** number))
            outcome = Outcome(elapsed=took, status=200)
            outcome.verdict, outcome.found, outcome.told = Verdict.SUCCESS, found / good, True
            yield from _sampled(endpoint, outcome, now)
    if bad >= 0.5:
        count = min(MOST, round(bad))
        for number in range(count):
            cause = Cause.TIMEOUT if number < cut * count / bad else Cause.RESET
            outcome = Outcome(elapsed=bads / bad, cause=cause)
            outcome.verdict, outcome.late, outcome.told = Verdict.FAILURE, number < late * count / bad, True
            yield from _sampled(endpoint, outcome, now)


def _sampled(endpoint: Endpoint, outcome: Outcome, now: float) -> Iterable[Exception]:
    for reading in endpoint.samplers:
        try:
            reading.sample(outcome.elapsed, outcome.cause is not None, outcome, now)
        except Exception as error:  # a user's meter: told of, and the others go on
            yield error
