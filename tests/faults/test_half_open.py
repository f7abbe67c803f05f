"""The circuit half open, under many threads and tasks: so many trials as are set go out, and each comes back."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from clients.httpx_faces import FACES
from faults.upstream import in_flight
from world import World

import meshware
from meshware.core.errors import CircuitOpen
from meshware.core.outcome import Cause

WINDOWS = 5


def opened(endpoints=3, **settings):
    """A world whose circuit is open, its trial due."""
    settings = {"retry": {"attempts": 1}, "ejection": {"enabled": False}, "limits": {"enabled": False}, **settings}
    world = World(endpoints, **settings)
    while world.service.circuit.until(world.now) is None:
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    world.pass_time(40.0)
    return world


def begun(world):
    """The call and its attempt, or None where the circuit refuses."""
    call = world.call()
    try:
        return call, call.begin(world.now)
    except CircuitOpen:
        return None


def at_once(world, count):
    """So many threads begin a call each, together: those that were let out."""
    out, gate = [], threading.Barrier(count)

    def work():
        gate.wait(30)
        out.append(begun(world))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for each in out if each is not None]


@pytest.mark.row("F34")
def test_of_64_threads_one_is_let_out_in_each_of_five_windows():
    world = opened()
    for _ in range(WINDOWS):
        ((call, attempt),) = at_once(world, 64)
        assert at_once(world, 8) == []
        world.fail(call, attempt)
        world.pass_time(40.0)


@pytest.mark.row("F34")
def test_of_500_tasks_one_is_let_out_in_each_of_five_windows():
    world = opened()

    async def task():
        await asyncio.sleep(0)
        return begun(world)

    async def tasks():
        return [each for each in await asyncio.gather(*(task() for _ in range(500))) if each is not None]

    for _ in range(WINDOWS):
        ((call, attempt),) = asyncio.run(tasks())
        world.fail(call, attempt)
        world.pass_time(40.0)


def cancelled(world, call, attempt):
    call.abandon(attempt, world.now)


def left(world, call, attempt):
    call.leave(attempt, world.now)


def never_closed(world, call, attempt):
    """Its headers have judged it; nobody reads its body."""
    world.answer(call, attempt, 404)


def local(world, call, attempt):
    world.fail(call, attempt, Cause.LOCAL, sent=False)


@pytest.mark.row("F35")
@pytest.mark.parametrize("ending", [cancelled, left, never_closed, local])
def test_however_a_trial_ends_the_next_caller_is_not_refused_for_it(ending):
    world = opened()
    ending(world, *begun(world))
    world.service.settle(world.now)
    assert begun(world) is not None


@pytest.mark.row("F35")
def test_a_circuit_that_closes_onto_500_waiting_callers_does_not_open_again():
    world = opened()
    call, attempt = begun(world)
    assert [begun(world) for _ in range(500)] == [None] * 500
    world.answer(call, attempt)
    world.read(call, attempt)
    waiting = [begun(world) for _ in range(500)]
    assert None not in waiting
    for number, (call, attempt) in enumerate(waiting):  # the rush fails here and there
        world.answer(call, attempt, 503 if number % 10 == 0 else 200, after=0.01)
        world.read(call, attempt)
    assert world.service.circuit.until(world.now) is None
    assert world.in_flight() == 0


@pytest.mark.row("F34")
@pytest.mark.parametrize("name", ["httpx2-async", "httpx-async"])
def test_real_tasks_send_one_request_a_window(mesh_of, upstream, name):
    settings = {
        "retry": {"attempts": 1},
        "circuit": {"calls": 5, "span": 0.05, "base": 0.3, "cap": 0.3},
        "limits": {"enabled": False},
    }
    mesh = mesh_of(settings, inventory=[upstream])
    face = FACES[name](mesh)
    upstream.turn("503")

    async def ask():
        try:
            return (await face.client.get("http://inventory/ok")).status_code
        except meshware.CircuitOpen:
            return "open"

    async def storm():
        while await ask() != "open":
            await asyncio.sleep(0.02)
        sent, windows = len(upstream.requests), 0
        until = time.monotonic() + 20
        while windows < WINDOWS and time.monotonic() < until:
            await asyncio.sleep(0.1)
            answers = await asyncio.gather(*(ask() for _ in range(100)))
            windows += answers.count(503)
            assert answers.count(503) <= 1
        return len(upstream.requests) - sent, windows

    sent, windows = face.run(storm())
    face.end()
    assert sent == windows == WINDOWS
    assert in_flight(mesh) == 0
