"""What workers tell each other of an endpoint's answers: how many, how long, how many failed.

On a call's path an answer is only put into a row, to be reckoned up at the next sweep. What the others have heard
since the last one is then given to all the endpoint's meters, a user's own too, as if the answers had been ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import exp, isfinite, log

from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Cause, Outcome, Verdict

Answer = tuple[float, bool, bool]
"""Seconds, whether it failed, and whether that was a timeout."""

Tally = tuple[float, float, float, float, float]
"""Good answers, the sum of their seconds' logarithms; bad ones, the sum of the seconds they count; the late ones."""

NONE: Tally = (0.0, 0.0, 0.0, 0.0, 0.0)

RECENT = 5.0
"""Time constant of what is recent, in seconds: what a worker that is new begins with."""

MOST = 24
"""So many answers of the others are told at once at most: more of the same move no meter."""

ROOM = 4096
"""Answers that wait for the next sweep at most."""

LEAST, LONGEST = 1e-6, 1e6
"""Seconds that an answer may be said to have taken."""


class Told:
    """The meter whose readings keep what this worker's answers said until the next sweep. All are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told)

    def __hash__(self) -> int:
        return hash(Told)

    def fleet(self) -> None:
        """Each endpoint stands alone."""

    def reading(self, fleet: None) -> Telling:
        """A fresh reading."""
        return Telling()


class Telling:
    """One endpoint's answers since the last sweep. Thread-safe: a sample is one append."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: deque[Answer] = deque(maxlen=ROOM)

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """One more."""
        late = outcome.cause is Cause.TIMEOUT
        self._pending.append((outcome.elapsed if late else elapsed, failed, late))

    def value(self, now: float) -> float:
        """It is no figure of its own."""
        return 0.0

    def reset(self) -> None:
        """What was heard was heard."""

    def __bool__(self) -> bool:
        return bool(self._pending)

    def drain(self) -> list[Answer]:
        """All of them; afterwards there are none."""
        drained = []
        while self._pending:
            drained.append(self._pending.popleft())
        return drained


def tally(answers: Iterable[Answer]) -> Tally:
    """What they add up to."""
    good = logs = bad = bads = late = 0.0
    for elapsed, failed, cut in answers:
        elapsed = min(max(elapsed, LEAST), LONGEST)
        if failed:
            bad, bads, late = bad + 1, bads + elapsed, late + cut
        else:
            good, logs = good + 1, logs + log(elapsed)
    return good, logs, bad, bads, late


def added(one: Tally, other: Tally, *, sign: int = 1) -> Tally:
    """Both together; with -1 the difference."""
    good, logs, bad, bads, late = (mine + sign * theirs for mine, theirs in zip(one, other, strict=True))
    return good, logs, bad, bads, late


def faded(tally: Tally, seconds: float) -> Tally:
    """What of it is still recent after so long."""
    keep = exp(-seconds / RECENT)
    good, logs, bad, bads, late = (each * keep for each in tally)
    return good, logs, bad, bads, late


def sensible(tally: Tally) -> bool:
    """Whether workers can have said so."""
    good, logs, bad, bads, late = tally
    if not all(map(isfinite, tally)) or min(good, bad, bads, late) < 0 or late > bad + 0.5:
        return False
    return good * log(LEAST) - 1 <= logs <= good * log(LONGEST) + 1 and bads <= bad * LONGEST + 1


def told(endpoint: Endpoint, tally: Tally, now: float) -> Iterable[Exception]:
    """Give the others' answers to the endpoint's meters; what these raised."""
    good, logs, bad, bads, late = tally
    if good >= 0.5:
        took = exp(logs / good)
        outcome = _outcome(took, Verdict.SUCCESS, None)
        for _ in range(min(MOST, round(good))):
            yield from _sampled(endpoint, took, outcome, now)
    if bad >= 0.5:
        took, count = bads / bad, min(MOST, round(bad))
        for number in range(count):
            cause = Cause.TIMEOUT if number < late * count / bad else Cause.RESET
            yield from _sampled(endpoint, took, _outcome(took, Verdict.FAILURE, cause), now)


def _outcome(took: float, verdict: Verdict, cause: Cause | None) -> Outcome:
    outcome = Outcome(elapsed=took, status=200 if cause is None else None, cause=cause)
    outcome.verdict, outcome.found = verdict, None
    return outcome


def _sampled(endpoint: Endpoint, took: float, outcome: Outcome, now: float) -> Iterable[Exception]:
    for reading in endpoint.samplers:
        if not isinstance(reading, Telling):
            try:
                reading.sample(took, outcome.cause is not None, outcome, now)
            except Exception as error:  # a user's meter: told of, and the others go on
                yield error
