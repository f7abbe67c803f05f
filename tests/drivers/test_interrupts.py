"""An interrupt may come between any two bytecodes: a Ctrl-C, a signal with a time limit, a killed greenlet."""

from __future__ import annotations

import dis
from functools import partial
from itertools import count

import pytest
from drivers.scenario import Network
from stepping import stepping
from world import World

from meshware.core.call import Call
from meshware.core.outcome import Cause, Outcome
from meshware.outbound.drive import drive, drive_async

DRIVERS = {drive.__code__, drive_async.__code__}
CALL = {each.__code__ for each in (Call.begin, Call.answered, Call._learn, Call._decide, Call._retry)}
"""Not the handover itself, where a permit goes from its policy's hands into the call's: that takes a few bytecodes."""


class Interrupt(BaseException):
    """As a signal handler would raise it."""


class Room:
    """A limiter with room for one call."""

    def __init__(self):
        self.left = 1

    def acquire(self, call, now):
        if not self.left:
            return "full"
        self.left -= 1
        return None

    def release(self, call, verdict, now):
        self.left += 1


def interrupted(function, *, at, inside):
    """Run it; at the `at`-th bytecode within these code objects comes the interrupt. False when it had ended before."""
    passed = 0
    leaves = {
        code: {each.offset for each in dis.get_instructions(code) if each.opname.startswith("RETURN")}
        for code in inside
    }

    def step(code, offset):
        nonlocal passed
        if offset in leaves[code]:  # what is interrupted then is its caller
            return
        passed += 1
        if passed == at:
            raise Interrupt

    try:
        with stepping(step, inside):
            function()
    except Interrupt:
        return True
    except ConnectionResetError:
        return False
    return False


def bad_answer(attempt):
    """The first answer is dropped and tried again elsewhere."""
    return Outcome(elapsed=0.01, status=503 if attempt.number == 1 else 200)


def no_answer(attempt):
    """Both attempts fail."""
    return Outcome(elapsed=0.01, cause=Cause.RESET, error=ConnectionResetError())


def a_trial_of_an_endpoint():
    """A world in which the next call is the trial of an ejected endpoint."""
    world = World(3, circuit={"enabled": False})
    victim = world.endpoints[0]
    while victim not in world.service.ejection.waiting:
        call = world.call("POST")
        attempt = call.begin(world.now)
        world.answer(call, attempt, 500 if attempt.endpoint is victim else 200)
        world.read(call, attempt)
    world.pass_time(2)
    return world


def a_trial_of_the_circuit():
    """A world in which the next call is the trial of the open circuit."""
    world = World(3, ejection={"enabled": False})
    while world.service.circuit.until(world.now) is None:
        call = world.call("POST")
        world.fail(call, call.begin(world.now), after=0.2)
    world.pass_time(2)
    return world


@pytest.mark.row("F54")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("script", [bad_answer, no_answer])
@pytest.mark.parametrize("inside", [DRIVERS, CALL], ids=["driver", "call"])
@pytest.mark.parametrize("made", [a_trial_of_an_endpoint, a_trial_of_the_circuit])
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.soak)])
def test_between_any_two_bytecodes_all_is_given_back(driver, script, inside, made, every):
    for at in count(1, every):
        world = made()
        room = world.service.limiter = Room()
        network, call = Network(world, script), world.call()
        if not interrupted(partial(driver, network, call), at=at, inside=inside):
            break
        world.pass_time(60)
        assert world.in_flight() == 0, at
        assert room.left == 1, at
        again = world.call().begin(world.now)  # raises CircuitOpen when the circuit's trial was lost
        assert (again.lease is not None) is (made is a_trial_of_an_endpoint), at
    assert at > 50
