"""check_breaker passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest

from meshware.breaking.circuit import CircuitOptions, ServiceCircuit
from meshware.breaking.guard import FleetGuard
from meshware.core.outcome import Verdict
from meshware.testing import check_breaker


def circuit(**options):
    return lambda: ServiceCircuit(
        CircuitOptions(**options),
        service="shop",
        guard=FleetGuard(turned=lambda on, now: None, threshold=1.0),
        rng=random.Random(1),
        emit=lambda event: None,
    )


@pytest.mark.parametrize("options", [{}, {"calls": 3, "span": 0.1, "base": 5.0}])
def test_the_built_in_circuit_is_fit_for_use(options):
    check_breaker(circuit(**options))


@dataclass(frozen=True)
class Given:
    trial: bool
    epoch: int


class Plain:
    """The simplest breaker: 5 in a row open it for 10 s; one trial at a time."""

    most_trials = 1

    def __init__(self):
        self.row = self.epoch = self.out = 0
        self.again = None

    def admit(self, now):
        if self.again is None:
            return Given(False, self.epoch)
        if now < self.again or self.out >= self.most_trials:
            return None
        self.out += 1
        return Given(True, self.epoch)

    def record(self, lease, verdict, now):
        if lease.epoch != self.epoch:
            return
        if verdict is Verdict.SUCCESS:
            self.row = 0
            if lease.trial:
                self.turn(None)
        else:
            self.row += 1
            if lease.trial or self.row >= 5:
                self.turn(now + 10.0)

    def release(self, lease, now):
        if lease.trial and lease.epoch == self.epoch:
            self.out -= 1

    def until(self, now):
        return self.again

    def turn(self, again):
        self.again, self.row, self.out = again, 0, 0
        self.epoch += 1


def test_one_that_is_fit_for_use_passes():
    check_breaker(Plain)


class Shut(Plain):
    def admit(self, now):
        return None


class AlwaysTrial(Plain):
    def admit(self, now):
        return Given(True, self.epoch)


class CountsCancelled(Plain):
    def release(self, lease, now):
        self.record(lease, Verdict.FAILURE, now)


class NeverOpens(Plain):
    def record(self, lease, verdict, now):
        pass


class SaysOpenAlways(Plain):
    def until(self, now):
        return 0.0 if self.again is None else self.again


class InThePast(Plain):
    def until(self, now):
        return None if self.again is None else -1.0


class StillAdmits(Plain):
    def admit(self, now):
        return Given(False, self.epoch)


class NoTrial(Plain):
    def admit(self, now):
        return None if self.again is not None else Given(False, self.epoch)


class NoMark(Plain):
    def admit(self, now):
        lease = super().admit(now)
        return lease and Given(False, lease.epoch)


class AnyNumber(Plain):
    most_trials = 10**9


class KeepsTrials(Plain):
    def release(self, lease, now):
        pass


class Mute(Plain):
    def until(self, now):
        return None


class Stingy(Plain):
    """Gives two trials in its life, and wants three that succeed."""

    given = 0

    def admit(self, now):
        lease = super().admit(now) if self.given < 2 else None
        self.given += lease is not None and lease.trial
        return lease

    def turn(self, again):
        if again is not None:
            super().turn(again)


class NeverCloses(Plain):
    def record(self, lease, verdict, now):
        super().record(lease, Verdict.FAILURE, now)


class ClosesAnyhow(Plain):
    def record(self, lease, verdict, now):
        super().record(lease, Verdict.SUCCESS if lease.trial else verdict, now)


class AtOnceAgain(Plain):
    def record(self, lease, verdict, now):
        super().record(lease, verdict, now - 10.0 if lease.trial else now)


class HearsTheLate(Plain):
    def record(self, lease, verdict, now):
        super().record(Given(lease.trial, self.epoch), verdict, now)


class Blocks(Plain):
    def admit(self, now):
        time.sleep(0.025)
        return super().admit(now)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Shut, "refuses a call"),
        (AlwaysTrial, "a trial, though it is closed"),
        (CountsCancelled, "not None, though it is closed"),
        (NeverOpens, "do not open it"),
        (SaysOpenAlways, "not None, though it is closed"),
        (InThePast, "in the past"),
        (StillAdmits, "although it is open"),
        (NoTrial, "no trial at"),
        (NoMark, "is no trial"),
        (AnyNumber, "any number of trials"),
        (KeepsTrials, "cannot be had again"),
        (NeverCloses, "it is still open"),
        (Stingy, "it is still open"),
        (Mute, "do not open it"),
        (ClosesAnyhow, "closed after a trial that failed"),
        (AtOnceAgain, "tried again at once"),
        (HearsTheLate, "have opened it again"),
    ],
)
def test_what_is_wrong_is_said(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_breaker(kind)


def test_one_that_blocks_is_found(monkeypatch):
    monkeypatch.setattr("meshware.testing.breakers.MANY", 5)
    with pytest.raises(AssertionError, match="must not block"):
        check_breaker(Blocks)
