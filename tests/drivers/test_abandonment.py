"""Whoever leaves by an exception, wherever in the driver, gives back all that was taken."""

from __future__ import annotations

import asyncio

import pytest
from drivers.ledger import Ledger
from drivers.scenario import Network
from world import World

from meshware.context import RequestContext
from meshware.core.outcome import Cause, Outcome

LEAVING = [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, SystemExit, MemoryError]


class Leaves(Network):
    """Raises at the n-th step of the driver: before or after a send, a drop, or a sleep."""

    def __init__(self, world, script, *, at, error):
        super().__init__(world, script)
        self.ledger = Ledger(world)
        self.steps = 0
        self.at = at
        self.error = error

    def _step(self):
        self.steps += 1
        if self.steps == self.at:
            raise self.error

    def send(self, attempt):
        if attempt.number == 1:
            self.ledger.began()
        self.ledger.sent.add(attempt)
        self._step()
        outcome = super().send(attempt)
        self._step()
        return outcome

    def drop(self, attempt):
        self._step()
        super().drop(attempt)
        self._step()

    def sleep(self, seconds):
        self._step()
        super().sleep(seconds * 0.999)  # the clock may be a little behind
        self._step()
        super().sleep(seconds * 0.001)


def failing(attempt):
    """503s: each attempt is answered, dropped, and followed by another."""
    return Outcome(elapsed=0.01, status=503)


def refused(attempt):
    """Errors: nothing to drop."""
    return Outcome(elapsed=0.01, cause=Cause.RESET, error=ConnectionResetError())


def steps_of(driver, script):
    """How many steps a whole call has."""
    world = World(4, retry={"attempts": 4})
    network = Leaves(world, script, at=0, error=None)
    try:
        driver(network, world.call())
    except ConnectionResetError:
        pass
    return network.steps


@pytest.mark.row("F54")
@pytest.mark.parametrize("script", [failing, refused])
@pytest.mark.parametrize("error", LEAVING)
def test_at_every_step_in_turn(driver, script, error):
    steps = steps_of(driver, script)
    assert steps >= 6
    for at in range(1, steps + 1):
        leave(driver, script, error, at)


def leave(driver, script, error, at):
    world = World(4, retry={"attempts": 4})
    context = RequestContext()
    network = Leaves(world, script, at=at, error=error)
    with pytest.raises(error):
        driver(network, world.call(context=context))
    network.ledger.balance([context])


def test_a_trial_of_an_ejected_endpoint_is_given_back(driver):
    world = World(2, strategy="round_robin")
    victim = world.endpoints[0]
    for _ in range(6):
        call = world.call("POST")
        attempt = call.begin(world.now)
        world.answer(call, attempt, 500 if attempt.endpoint is victim else 200)
        world.read(call, attempt)
    assert not victim.availability.available(world.now)
    world.pass_time(2)
    network = Leaves(world, failing, at=1, error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        driver(network, world.call())
    world.service.settle(world.now)
    trial = world.call().begin(world.now)
    assert trial.endpoint is victim
    assert trial.lease is not None
