"""Many threads on one service: exact permits and budget, nothing in flight at the end, no lock over I/O."""

from __future__ import annotations

import random
import threading
import time
from itertools import count

import pytest
from drivers.ledger import permits_are_back
from world import World

from meshware.core.errors import MeshError
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.outbound.drive import drive


def hammer(world, calls, seconds, *, threads=64):
    """So many threads make so many calls each, and go on for so long; gives the numbers of the attempts they sent."""
    until = time.monotonic() + seconds
    seen, wrong = [], []

    def work(seed):
        chance = random.Random(seed)
        sent = []

        def send(attempt):
            sent.append(attempt.number)
            if chance.random() < 0.02:
                raise InterruptedError
            turn = chance.random()
            if turn < 0.1:
                return Outcome(elapsed=0.001, status=503)
            if turn < 0.15:
                return Outcome(elapsed=0.001, cause=Cause.RESET, error=ConnectionResetError())
            return Outcome(elapsed=0.001, status=200)

        for made in count():
            if made >= calls and time.monotonic() >= until:
                break
            try:
                one(world.call(), send, chance.choice([Ending.COMPLETE, Ending.DROPPED]))
            except (MeshError, OSError):
                continue
            except BaseException as error:
                wrong.append(error)
                raise
        seen.append(sent)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
    return seen


def one(call, send, ending):
    """One call, its bad answers dropped and its good one ended so."""
    won = drive(call, send, lambda attempt: end(call, attempt, Ending.DROPPED))
    end(call, won, ending)


def end(call, attempt, ending):
    call.ended(attempt, ending, 0.001, time.monotonic())


class Count:
    """A limiter without a limit, which counts calls that began and ended."""

    def __init__(self):
        self.begun, self.ended = [], []

    def acquire(self, call, now):
        self.begun.append(None)

    def release(self, call, verdict, now):
        self.ended.append(None)


def real_time_world(**settings):
    """A world whose service was made now, by the real clock."""
    world = World(4, strategy="peak_ewma", **settings)
    world.service.rng = random
    world.now = time.monotonic()
    return world


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.soak)])
def test_64_threads_leave_nothing_behind(seconds):
    world = real_time_world(retry={"base": 0.001, "cap": 0.001, "budget": {"minimum": 1000, "ratio": 0.0}})
    calls = world.service.limiter = Count()
    numbers = [number for each in hammer(world, 50, seconds) for number in each]
    world.now = time.monotonic()
    world.service.settle(world.now)
    assert world.in_flight() == 0
    assert len(calls.ended) == len(calls.begun) >= 64 * 50
    assert world.tokens == 1000 - sum(number > 1 for number in numbers)
    permits_are_back(world)


def test_the_budget_is_exact_under_threads():
    """Every retry was paid for: tokens = start + a fifth per success - retries, however they interleave."""
    budget = World().service.budget
    for _ in range(40_000):
        budget.request(1000.0)  # room for all that will be earned
    taken, workers = [], []

    def work():
        for number in range(2000):
            budget.request(1000.0)
            budget.deposit(1000.0)
            if number % 3 == 0 and budget.withdraw(1000.0):
                taken.append(1)
                if number % 9 == 0:
                    budget.give_back(1000.0)
                    taken.pop()

    for _ in range(16):
        workers.append(threading.Thread(target=work))
        workers[-1].start()
    for worker in workers:
        worker.join()
    assert round(1000 * budget.tokens) == 2000 + 200 * 16 * 2000 - 1000 * len(taken)


def test_one_trial_at_a_time_is_let_through_under_threads():
    world = World(2)
    victim = world.endpoints[0]
    for _ in range(6):
        call = world.call("POST")
        attempt = call.begin(world.now)
        world.answer(call, attempt, 500 if attempt.endpoint is victim else 200)
        world.read(call, attempt)
    world.pass_time(2)
    leases, barrier = [], threading.Barrier(32)

    def work():
        barrier.wait()
        attempt = world.call().begin(world.now)
        leases.append(attempt.lease is not None)

    workers = [threading.Thread(target=work) for _ in range(32)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert leases.count(True) == 1


def test_no_lock_is_held_while_an_attempt_is_under_way():
    """None is answered before all ten are sent."""
    world, barrier, sent = real_time_world(), threading.Barrier(10), []

    def send(attempt):
        sent.append(barrier.wait(60))
        return Outcome(elapsed=0.2, status=200)

    def work():
        call = world.call()
        end(call, drive(call, send, lambda attempt: None), Ending.COMPLETE)

    workers = [threading.Thread(target=work) for _ in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(sent) == list(range(10))
