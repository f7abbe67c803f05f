"""200 seeds x 30 calls: the same seed takes the same decisions, by either driver, and gives everything back."""

from __future__ import annotations

import random

import pytest
from drivers.ledger import Ledger
from drivers.race import Race
from drivers.scenario import DRIVERS, Network, drive_sync
from world import World

from meshware.context import RequestContext
from meshware.core.errors import MeshError
from meshware.core.outcome import Cause, Ending, Outcome

SEEDS, CALLS = 200, 30
ENDINGS = [Ending.COMPLETE, Ending.COMPLETE, Ending.BROKEN, Ending.DROPPED]


class Cancelled(BaseException):
    """The caller went away."""


def outcome_of(chance):
    """Errors, 503s (some with Retry-After), slow and good answers."""
    turn, elapsed = chance.random(), chance.expovariate(20)
    if turn < 0.07:
        return Outcome(elapsed=elapsed, cause=Cause.REFUSED, sent=False, error=ConnectionRefusedError())
    if turn < 0.14:
        return Outcome(elapsed=elapsed, cause=Cause.RESET, error=ConnectionResetError())
    if turn < 0.27:
        return Outcome(elapsed=elapsed, status=503, retry_after=1.0 if turn < 0.18 else None)
    return Outcome(elapsed=elapsed, status=200, stream=turn > 0.97)


class Chancy(Network):
    """A network by chance, whose callers may leave at every step."""

    def __init__(self, world, chance, ledger):
        super().__init__(world, lambda attempt: outcome_of(chance))
        self.chance = chance
        self.ledger = ledger

    def _may_leave(self):
        if self.chance.random() < 0.03:
            raise Cancelled

    def send(self, attempt):
        if attempt.number == 1:
            self.ledger.began()
        self.ledger.sent.add(attempt)
        self._may_leave()
        outcome = super().send(attempt)
        self._may_leave()
        self.log.append(f"{outcome!r}")
        return outcome

    def drop(self, attempt):
        self._may_leave()
        super().drop(attempt)

    def sleep(self, seconds):
        self._may_leave()
        super().sleep(seconds)


def live(seed, driver):
    """The log of one seed; its world's books were balanced."""
    chance = random.Random(seed)
    world = World(4, seed=seed, strategy="peak_ewma", retry={"attempts": 3})
    ledger = Ledger(world)
    network = Chancy(world, chance, ledger)
    contexts = [RequestContext() for _ in range(CALLS)]
    for context in contexts:
        call = world.call(chance.choice(["GET", "GET", "POST"]), context=context)
        try:
            won = driver(network, call)
        except (Cancelled, MeshError, OSError) as error:
            network.log.append(f"raise {type(error).__name__}")
        else:
            ending = chance.choice(ENDINGS)
            network.log.append(f"deliver {won!r} {ending.value}")
            call.ended(won, ending, won.outcome.elapsed, world.now)
        world.pass_time(chance.expovariate(10))
    ledger.balance(contexts)
    return network.log


@pytest.mark.untraced
@pytest.mark.parametrize("block", range(4))
def test_sync_and_async_leave_equal_logs_and_give_everything_back(block):
    for seed in range(block * SEEDS // 4, (block + 1) * SEEDS // 4):
        logs = [live(seed, driver) for driver in DRIVERS]
        assert logs[0] == logs[1]


def test_a_seed_can_be_repeated_and_another_differs():
    assert live(1, drive_sync) == live(1, drive_sync)
    assert live(1, drive_sync) != live(2, drive_sync)


def test_every_kind_of_line_is_in_the_logs():
    lines = [line for seed in range(20) for line in live(seed, drive_sync)]
    for part in ("#2", "#3", "drop", "sleep", "raise Cancelled", "raise ConnectionRefusedError", "deliver", "refused"):
        assert any(part in line for line in lines), part


class Hedging:
    """Hedges after 30 ms."""

    def delay(self, call, now):
        return 0.03

    def take(self):
        return True

    def give_back(self):
        pass


def hedged(seed):
    """The log of one seed whose calls hedge, driven in simulated time; its world's books were balanced."""
    chance = random.Random(seed)
    world = World(4, seed=seed, strategy="peak_ewma")
    world.service.hedging = Hedging()
    ledger = Ledger(world)
    log = []
    for _ in range(CALLS):
        Race(world, chance, ledger, log=log, outcome_of=outcome_of).run()
        world.pass_time(chance.expovariate(10))
    world.service.hedging = None
    ledger.balance()
    return log


@pytest.mark.untraced
def test_hedged_lives_can_be_repeated_and_give_everything_back():
    lines = []
    for seed in range(SEEDS):
        log = hedged(seed)
        assert hedged(seed) == log
        lines += log
    for part in ("hedge <hedge", "Wait", "Lost", "Retry", "Raise", "cut", "abandon", "leave"):
        assert sum(part in line for line in lines) > 20, part
