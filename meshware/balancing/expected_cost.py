"""What a request may be expected to cost at an endpoint: its time there, and the price of failing there.

Both are judged beside the fleet, at the moment of each answer, so that what befalls all alike moves nothing. A
difference in latency counts by its significance: noise moves nothing either, and a slow endpoint is left after
a few answers. A failure rate counts by what it exceeds the fleet's.
What endpoints report of themselves is where their judgement begins (hearsay.py); where nobody reports it costs nothing.
What one more in flight costs is learned too: a replica may have one slot or a hundred. All is forgotten
exponentially, so that who was bad is tried again. Statistical: single assignments, no lock.

Measured against an all-knowing oracle in simulation (docs/strategies.md). The shrinkage follows James and
Stein (1961), the overdue age and the price of failure are what a timeout and an ejection would tell later.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from typing import Any, ClassVar, NamedTuple

from meshware.balancing.hearsay import DREAD, FleetHearsay, Hearsay
from meshware.core.attempt import Attempt
from meshware.core.endpoint import Endpoint, same_ends
from meshware.core.outcome import Cause, LoadReport, Outcome

LATENCY_SPAN = 10.0
"""Time constant by which samples of latency lose weight (seconds): Finagle's decay. Failures: half of it."""

MOST, MEMORY = 24.0, 0.3
"""An endpoint's average is of so many samples, or of those of so many seconds, whichever are more."""

DOUBT = 2.0
"""Significance (a squared z-score) up to which a difference is none, and twice which half of it is believed."""

PRIOR = 2.0
"""Samples' worth of belief that an endpoint is like the others: one slow first answer says little."""

NOISE = 0.1
"""The fleet's variance is never taken for less: answers that never vary would make any difference significant."""

GRAIN = 0.001
"""Seconds: a smaller difference is none, however sure it is. Nobody feels it, and the slower would get no calls."""

LAPSE = 0.05
"""Seconds in which nothing worth reckoning is forgotten."""

SILENCE, HASTE = 3.0, 2.0
"""After so many seconds without an answer what is known of an endpoint is forgotten with that time constant."""

FAILURE_PRICE, TRIFLE = 300.0, 0.05
"""What a certain failure costs, in the fleet's usual times; and the price that is none: it fades, and never ends."""

DRIFT, SPREAD_DRIFT, QUEUE_DRIFT = 0.02, 0.01, 0.01
"""Weights of one sample in the fleet's mean and variance, once there are many, and in the price of a queue."""

LEAST = 1e-5
"""Seconds under which no answer is believed to be."""

FRESH, NEVER = 0.2, -inf
"""Seconds for which a cost stands while no answer comes; and what `due` says where one has."""

SURE = 12.0
"""Samples from which on one more moves little: the fleet is told of every second, and a cost reckoned again."""

ASKING = 1.0
"""Seconds between two questions to an endpoint how it is."""

TAIL = 2.3
"""Standard deviations above the mean log-latency: about the 99th percentile."""

QUEUE = (0.4, 0.5, 2.0)
"""What one more in flight costs, in paces: at least, before it is known, at most."""


class Queue:
    """What one more in flight costs: the slope of time over what was found in flight, by running moments."""

    __slots__ = ("_both", "_found", "_spread", "_time", "slope")

    def __init__(self) -> None:
        self._found = self._spread = self._both = 0.0
        self._time = 1.0
        self.slope = QUEUE[1]

    def learn(self, found: float, time: float) -> None:
        """An answer took so many paces, after so many in flight had been found there."""
        off = found - self._found
        self._found += QUEUE_DRIFT * off
        self._time += QUEUE_DRIFT * (min(time, 8.0) - self._time)
        self._spread += QUEUE_DRIFT * (off * off - self._spread)
        self._both += QUEUE_DRIFT * (off * (min(time, 8.0) - self._time) - self._both)

    def renew(self) -> None:
        """The slope, in times of an endpoint that is idle; as before when too little is known."""
        if self._spread > 0.01:
            slope = self._both / self._spread
            idle = max(0.2, self._time - slope * self._found)
            self.slope = max(QUEUE[0], min(QUEUE[2], slope / idle))


class Fleet:
    """What all endpoints of a service have in common.

    `mean` and `variance` are of the logarithm of seconds; `failing` is a share; `overdue` is the seconds after
    which an attempt without an answer is later than any usual one.
    """

    __slots__ = (
        "at", "counted", "drift", "due", "failing", "failures", "heard", "mean", "noise", "overdue", "pace", "queue",
        "samples", "trials", "variance",
    )  # fmt: skip

    def __init__(self) -> None:
        self.samples = self.due = self.counted = 0
        self.mean = self.at = self.trials = self.failures = self.failing = 0.0
        self.variance = self.noise = self.pace = self.drift = 1.0
        self.overdue = inf
        self.queue = Queue()
        self.heard = FleetHearsay()

    def learn(self, latency: float, off: float, now: float) -> None:
        """The logarithm of an answer's seconds, and how far it was off what its endpoint usually takes."""
        off *= off
        self.variance += SPREAD_DRIFT * ((off if off < 9 else 9) - self.variance)
        away = latency - self.mean
        if not -2 < away < 2:
            away = 2 if away > 0 else -2
        self.mean += self.drift * away
        if self.samples > self.due:
            self.renew(now)

    def renew(self, now: float) -> None:
        """Reckon again what changes little from one answer to the next."""
        self.due = self.samples + min(16, self.samples)
        self.drift = max(DRIFT, 1 / (self.samples + 1))
        self.pace = exp(self.mean)
        self.noise = self.variance if self.variance > NOISE else NOISE
        self.overdue = 2 * exp(self.mean + TAIL * sqrt(self.variance))
        self.queue.renew()
        self.judge(0, now)

    def judge(self, failures: int, now: float) -> None:
        """So many more have failed."""
        keep = exp((self.at - now) * 2 / LATENCY_SPAN)
        self.at = now
        self.trials = (self.trials + self.samples - self.counted) * keep
        self.counted = self.samples
        self.failures = self.failures * keep + failures
        self.failing = self.failures / (self.trials + 1)


class Cost:
    """One endpoint's latency and failures. `pace` and `price`, in seconds, stand until `due`.

    A request there is expected to cost pace x (1 + slope x in flight / weight) + price; `idle` is that of one that
    finds nothing in flight, `step` what each one in flight adds, both in the fleet's paces of that moment: in seconds
    those that are as the fleet is would differ by when they were reckoned last, and that would decide. `open` is the
    endpoint's own dict, `share` is the mean weight over its own; `usual` and `slope` are the fleet's of that moment.
    """

    __slots__ = (
        "_at", "_away", "_failures", "_fleet", "_heard", "_said", "_trials", "_weight", "due", "endpoint",
        "idle", "open", "pace", "price", "share", "slope", "step", "usual",
    )  # fmt: skip

    endpoint: Endpoint
    open: dict[Attempt, float]
    share: float

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.reset()

    def seat(self, endpoint: Endpoint, share: float) -> None:
        """It is this endpoint's, which is to have so little in flight beside the others."""
        self.endpoint, self.open, self.share = endpoint, endpoint.open, share
        self.due = NEVER

    @property
    def weight(self) -> float:
        """The endpoint's."""
        return self.endpoint.weight

    def reset(self) -> None:
        """As good as any other, until it shows otherwise."""
        self._away = self._weight = self._failures = self._trials = self._at = self._heard = 0.0
        self._said: Hearsay | None = None
        self.pace, self.price, self.due = 1.0, 0.0, NEVER
        self.idle, self.step = 1.0, QUEUE[1]
        self.usual, self.slope = 1.0, QUEUE[1]

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """A fast failure is no latency; a timeout is one, of at least so long."""
        fleet = self._fleet
        age = now - self._heard
        self._heard = now
        self._trials += 1
        if not self._at:  # told of by others before it was ever drawn here
            self._at = now
        if outcome.report is not None:
            self.hear(outcome.report, now)
        if failed:
            if not (outcome.late or outcome.doubtful):
                self._failures += 1
                self.due = NEVER
                fleet.judge(1, now)
            if outcome.cause is not Cause.TIMEOUT:
                fleet.counted -= 1  # a trial, and no sample
                return
            elapsed = outcome.elapsed
        latency = log(elapsed if elapsed > LEAST else LEAST)
        if outcome.found:
            latency -= self.queued(outcome)
        count = fleet.samples
        if not count & 7:
            if not count:
                fleet.mean = latency
            if not (failed or outcome.told) and outcome.found is not None:
                fleet.queue.learn(outcome.found, elapsed / self.pace)
        fleet.samples = count + 1
        weight = self._weight + 1
        if weight > MOST:
            weight -= weight * age / MEMORY
            if weight < MOST:
                weight = MOST
        self._weight = weight
        off = latency - fleet.mean - self._away
        self._away += off / weight
        if weight < SURE or not count & 1:
            self.due = NEVER
            fleet.learn(latency, off - off / weight, now)

    def queued(self, outcome: Outcome) -> float:
        """The logarithm of how many times as long it took for what it found in flight.

        A queue is told by what is in flight now. To find it again in the pace would count it twice, and late: all
        would run to and fro between endpoints.
        """
        return log(1 + self._fleet.queue.slope * (outcome.found or 0))

    def renew(self, now: float) -> float:
        """The pace, reckoned again, and the price with it."""
        fleet = self._fleet
        lapse = now - self._at
        if lapse > LAPSE:
            self._at = now
            keep = exp(-lapse / (LATENCY_SPAN if now - self._heard < SILENCE else HASTE))
            self._weight *= keep
            self._trials *= keep * keep
            self._failures *= keep * keep
        weight = self._weight
        away = self._away
        significance = away * away * weight * weight / ((weight + PRIOR) * fleet.noise)
        self.usual = usual = fleet.pace
        pace = exp(fleet.mean + away - away * DOUBT / significance) if significance > DOUBT else usual
        if -GRAIN < pace - usual < GRAIN:
            pace = usual
        said = self._said
        if said is not None:
            pace = self._leaning(pace, said.lean(now, span=LATENCY_SPAN))
        self.pace = pace
        price = 0.0
        if self._failures:
            failing = fleet.failing
            excess = (self._failures + failing) / (self._trials + 1) - failing
            price = FAILURE_PRICE * usual * excess / (1 - failing) if excess > 0 else 0.0
        if said is not None:
            price += self._dread(said, pace, now)
        if price < TRIFLE * usual:
            price = 0.0
        self.price = price
        self.slope = slope = fleet.queue.slope
        self.idle = (pace + price) / usual
        self.step = pace / usual * slope * self.share
        if weight:  # one that nothing is known of is as the fleet is at every moment
            self.due = now + FRESH
        return pace

    def total(self, load: float) -> float:
        """What a request costs that finds so many in flight, in the fleet's paces."""
        return self.idle + self.step * load

    def terms(self, load: float) -> dict[str, float]:
        """What that is made of: seconds, but for the slope, what is in flight and the share."""
        return {
            "pace": self.pace, "slope": self.slope, "in_flight": load, "share": self.share, "price": self.price,
            "fleet": self.usual,
        }  # fmt: skip

    def hear(self, report: LoadReport, now: float) -> None:
        """What the endpoint says of itself, in an answer or to a probe."""
        if self._said is None:
            self._said = Hearsay(self._fleet.heard)
        self._said.hear(report, now)
        self.due = NEVER

    def _leaning(self, pace: float, lean: float) -> float:
        """The same where judgement begins so far from the fleet's; never further from what it is without a word."""
        fleet, weight, away = self._fleet, self._weight, self._away - lean
        significance = away * away * weight * weight / ((weight + PRIOR) * fleet.noise)
        shrunk = away - away * DOUBT / significance if significance > DOUBT else 0.0
        far = exp(abs(lean))
        return max(pace / far, min(pace * far, exp(fleet.mean + lean + shrunk)))

    def _dread(self, said: Hearsay, pace: float, now: float) -> float:
        """The price of the errors that it reports: one sample's worth of belief, beside those that we have seen."""
        usual = self._fleet.failing
        excess = said.excess(now, usual, span=LATENCY_SPAN / 2) / (self._trials + 1)
        return min(DREAD * pace, FAILURE_PRICE * self._fleet.pace * excess / (1 - usual)) if excess else 0.0

    def value(self, now: float) -> float:
        """Expected seconds of a request that finds it idle; 0.0 while nothing is known of the fleet."""
        self.renew(now)
        return self.pace + self.price if self._fleet.samples else 0.0


class Seats(NamedTuple):
    """The readings of some endpoints, and whether all of these weigh the same."""

    endpoints: tuple[Endpoint, ...]
    costs: Sequence[Cost]
    even: bool


class ExpectedCost:
    """The meter. Equal to itself only: what one strategy learns is its own."""

    reports: ClassVar[float] = ASKING
    _seats = Seats((), (), True)

    def seated(self, endpoints: Sequence[Endpoint]) -> Seats:
        """Their readings, each knowing its endpoint; attached where they are missing.

        Where all weigh the same, those that were seated last time are not looked at.
        """
        weights = {each.weight for each in endpoints}
        even = len(weights) == 1
        mean = weights.pop() if even else sum(each.weight for each in endpoints) / len(endpoints)
        known, endpoints = self._seats, tuple(endpoints)
        head, tail = same_ends(known.endpoints, endpoints) if even and known.even else (0, 0)
        costs = list(known.costs)
        costs[head : len(costs) - tail] = [
            self._seat(each, 1.0 if even else mean / each.weight)  # one number for all: a new one for each takes room
            for each in endpoints[head : len(endpoints) - tail]
        ]
        self._seats = Seats(endpoints, costs, even)
        return self._seats

    def _seat(self, endpoint: Endpoint, share: float) -> Cost:
        cost: Any = endpoint.readings.get(self)
        if cost is None or cost.share != share:
            cost = endpoint.attach(self)
            cost.seat(endpoint, share)
        return cost  # type: ignore[no-any-return]

    def fleet(self) -> Fleet:
        """What the endpoints share."""
        return Fleet()

    def reading(self, fleet: Fleet) -> Cost:
        """A fresh reading."""
        return Cost(fleet)
