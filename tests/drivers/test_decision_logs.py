"""200 seeds x 30 calls: the same seed takes the same decisions, by either driver, and gives everything back."""

from __future__ import annotations

import random

import pytest
from drivers.scenario import DRIVERS, Network, drive_sync
from world import World

from meshware.context import RequestContext
from meshware.core.call import Deliver, Lost, Raise, Retry
from meshware.core.errors import MeshError
from meshware.core.outcome import Cause, Ending, Outcome

SEEDS, CALLS = 200, 30


class Cancelled(BaseException):
    """The caller went away."""


def chancy(chance):
    """Errors, 503s (some with Retry-After), slow and good answers, and callers who leave."""

    def script(attempt):
        turn, elapsed = chance.random(), chance.expovariate(20)
        if turn < 0.05:
            raise Cancelled
        if turn < 0.12:
            return Outcome(elapsed=elapsed, cause=Cause.REFUSED, sent=False, error=ConnectionRefusedError())
        if turn < 0.18:
            return Outcome(elapsed=elapsed, cause=Cause.RESET, error=ConnectionResetError())
        if turn < 0.30:
            return Outcome(elapsed=elapsed, status=503, retry_after=1.0 if turn < 0.22 else None)
        return Outcome(elapsed=elapsed, status=200, stream=turn > 0.97)

    return script


def live(seed, driver):
    """The log of one seed, and the world after it."""
    chance = random.Random(seed)
    world = World(4, seed=seed, strategy="peak_ewma", retry={"attempts": 3})
    network = Network(world, chancy(chance))
    allowances = []
    for _ in range(CALLS):
        context = RequestContext()
        call = world.call(chance.choice(["GET", "GET", "POST"]), context=context)
        try:
            won = driver(network, call)
        except (Cancelled, MeshError, OSError) as error:
            network.log.append(f"raise {type(error).__name__}")
        else:
            ending = chance.choice([Ending.COMPLETE, Ending.COMPLETE, Ending.BROKEN, Ending.DROPPED])
            network.log.append(f"deliver {won.outcome!r} {ending.value}")
            call.ended(won, ending, won.outcome.elapsed, world.now)
        allowances.append(context)
        world.pass_time(chance.expovariate(10))
    return network.log, world, allowances


def exact(world, log, allowances):
    """What the budget must hold, and the allowances, from the log alone, counted in thousandths."""
    world.pass_time(0)
    assert world.in_flight() == 0
    retries = sum(line.startswith("send") and not line.endswith("#1") for line in log)
    spent = 3 * len(allowances) - sum(sum(context.spend() for _ in range(4)) for context in allowances)
    assert spent == retries
    for record in world.service.ejection._records.values():
        assert record.gate is None or not record.gate._trial_out
    assert world.service.circuit.admit(world.now) is not None


@pytest.mark.parametrize("block", range(4))
def test_sync_and_async_leave_equal_logs_and_give_everything_back(block):
    for seed in range(block * SEEDS // 4, (block + 1) * SEEDS // 4):
        logs = []
        for driver in DRIVERS:
            log, world, allowances = live(seed, driver)
            exact(world, log, allowances)
            logs.append(log)
        assert logs[0] == logs[1]


def test_a_seed_can_be_repeated_and_another_differs():
    assert live(1, drive_sync)[0] == live(1, drive_sync)[0]
    assert live(1, drive_sync)[0] != live(2, drive_sync)[0]


class Hedging:
    """Hedges after 30 ms."""

    def delay(self, call, now):
        return 0.03


def hedged(seed):
    """The log of one seed whose calls hedge, driven in simulated time, and the world after it."""
    chance = random.Random(seed)
    world = World(4, seed=seed, strategy="peak_ewma")
    world.service.hedging = Hedging()
    log = []
    for _ in range(CALLS):
        race(world, chance, log)
        world.pass_time(chance.expovariate(10))
    return log, world


def race(world, chance, log):
    """One call: its open attempts answer in the order of their times; losers are cut or lost."""
    call = world.call()
    try:
        first = call.begin(world.now)
    except MeshError as error:
        log.append(type(error).__name__)
        return
    due = [(world.now + chance.expovariate(25), 0, first), (first.hedge_at, 1, None)]
    answered, won, count = [], None, 1
    while due:
        due.sort(key=lambda entry: entry[:2])
        world.now, _, attempt = due.pop(0)
        if attempt is None:
            hedge = call.hedge(world.now)
            log.append(f"hedge {hedge}")
            if hedge is not None:
                due.append((world.now + chance.expovariate(25), count := count + 1, hedge))
            continue
        if won is not None:
            outcome = Outcome(elapsed=world.now - attempt.began, cause=Cause.CUT)
        elif chance.random() < 0.1:
            call.abandon(attempt, world.now)
            log.append(f"abandon {attempt}")
            continue
        elif chance.random() < 0.3:
            outcome = Outcome(elapsed=world.now - attempt.began, status=503)
        else:
            outcome = Outcome(elapsed=world.now - attempt.began, status=200)
        step = call.answered(attempt, outcome, world.now)
        log.append(f"{attempt} {outcome} {step}")
        if outcome.cause is None:
            answered.append(attempt)
        if isinstance(step, Deliver):
            won = step.attempt
        elif isinstance(step, Retry):
            due.append((step.attempt.began + chance.expovariate(25), count := count + 1, step.attempt))
        elif isinstance(step, Raise | Lost):
            pass
    for attempt in answered:
        call.ended(attempt, Ending.COMPLETE if attempt is won else Ending.DROPPED, 0.01, world.now)


def test_hedged_lives_can_be_repeated_and_give_everything_back():
    hedges = 0
    for seed in range(SEEDS):
        log, world = hedged(seed)
        world.pass_time(0)
        assert world.in_flight() == 0
        hedges += sum(line.startswith("hedge <hedge") for line in log)
        if seed % 20 == 0:
            assert hedged(seed)[0] == log
    assert hedges > SEEDS
