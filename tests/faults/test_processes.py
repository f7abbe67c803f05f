"""Faults of whole processes, theirs and ours: frozen, ended under load, forked, a loop that stands still, a clock."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clients.httpx_faces import FACES
from faults.replica import Replica
from faults.upstream import in_flight
from world import World

import meshware

URL = "http://inventory"
LATE = 2.0
"""Seconds that a busy machine may need."""


@pytest.mark.row("F04")
def test_a_frozen_process_with_live_connections_ends_calls_in_time_and_is_left(mesh_of, caller_of, upstreams):
    with Replica() as frozen:
        servers = [frozen, *upstreams[:2]]
        mesh = mesh_of({"attempt_timeout": 0.3, "timeout": 10.0, "ejection": {"base": 16.0}}, inventory=servers)
        caller = caller_of(mesh)
        for _ in range(30):
            assert caller.get(f"{URL}/ok").text == "ok"
        frozen.freeze()
        began = time.monotonic()
        assert [caller.get(f"{URL}/ok").text for _ in range(60)] == ["ok"] * 60
        assert time.monotonic() - began < 10 + LATE
        assert in_flight(mesh) == 0


@pytest.mark.row("F04")
def test_a_call_that_a_frozen_process_has_ends_at_its_deadline(mesh_of, caller_of):
    with Replica() as frozen:
        caller = caller_of(mesh := mesh_of(inventory=[frozen]))
        assert caller.get(f"{URL}/ok").text == "ok"
        frozen.freeze()
        began = time.monotonic()
        with pytest.raises(meshware.DeadlineExceeded):
            caller.ask("POST", f"{URL}/ok", b"order", timeout=0.5)
        assert 0.4 < time.monotonic() - began < 0.5 + LATE
        assert in_flight(mesh) == 0


@pytest.mark.row("F53")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_moves_nothing(monkeypatch, mesh_of, caller_of, upstreams, jump):
    upstreams[0].stop()
    caller = caller_of(mesh := mesh_of({"timeout": 5.0}, inventory=upstreams))
    for _ in range(10):
        caller.get(f"{URL}/ok")
    before = mesh.status()["inventory"][upstreams[0].address]["state"]
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    assert [caller.get(f"{URL}/ok").text for _ in range(10)] == ["ok"] * 10
    assert mesh.status()["inventory"][upstreams[0].address]["state"] == before


@pytest.mark.row("F55")
@pytest.mark.parametrize("face", ["httpx2-async", "httpx-async"])
def test_a_timeout_inside_a_timeout_and_a_cancel_while_cancelling_leave_nothing_and_count_right(
    mesh_of, upstream, face
):
    mesh = mesh_of(inventory=[upstream])
    client = FACES[face](mesh)

    async def timed(inner, outer):
        async with asyncio.timeout(outer), asyncio.timeout(inner):
            await client.client.get(f"{URL}/hole")

    async def nested():
        for inner, outer in ((0.1, 0.2), (0.2, 0.1), (0.1, 0.1)):
            with pytest.raises(TimeoutError):
                await timed(inner, outer)
        assert asyncio.current_task().cancelling() == 0
        for _ in range(5):
            task = asyncio.ensure_future(client.client.get(f"{URL}/hole"))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await client.client.get(f"{URL}/ok")).text == "ok"

    client.run(nested())
    client.end()
    assert in_flight(mesh) == 0


def after_standing_still(mesh, face):
    """What twelve calls got that were under way while their loop stood still for two seconds."""
    client = FACES[face](mesh)

    async def blocked():
        for _ in range(30):  # the pace is known
            await client.client.get(f"{URL}/ok")
        calls = [asyncio.ensure_future(client.client.get(f"{URL}/ok")) for _ in range(12)]
        await asyncio.sleep(0.001)
        time.sleep(2)
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = client.run(blocked())
    client.end()
    return [getattr(each, "text", each) for each in answers]


@pytest.mark.row("F59")
@pytest.mark.parametrize("face", ["httpx2-async", "httpx-async"])
def test_a_loop_that_stood_still_fails_no_call_and_ejects_nobody(mesh_of, upstreams, face):
    mesh = mesh_of({"timeout": 10.0}, inventory=upstreams)
    assert after_standing_still(mesh, face) == ["ok"] * 12
    assert {each["state"] for each in mesh.status()["inventory"].values()} == {"available"}
    assert in_flight(mesh) == 0


STOPPED = """
import sys, threading, time
import {library} as library
from meshware.mesh import Mesh
from meshware.outbound.instrument import instrument
mesh = Mesh.from_settings({{"services": {{"inventory": {{"endpoints": {addresses!r}}}}}}}).install()
instrument()
failed, over = [], threading.Event()
def call():
    while not over.is_set():
        try:
            assert library.get("http://inventory/sleep/0.05").text == "ok"
        except Exception as error:
            failed.append(repr(error))
threads = [threading.Thread(target=call) for _ in range(8)]
for each in threads:
    each.start()
time.sleep(1.5)
print("ready", flush=True)
sys.stdin.readline()
over.set()
for each in threads:
    each.join()
print(failed, {{each["state"] for each in mesh.status()["inventory"].values()}}, flush=True)
"""


@pytest.mark.row("F59")
@pytest.mark.parametrize("library", ["requests", "httpx2", "httpx"])
def test_a_process_that_was_stopped_for_a_while_fails_no_call_and_ejects_nobody(upstreams, library):
    program = STOPPED.format(library=library, addresses=[each.address for each in upstreams])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        said, _ = process.communicate("over\n", timeout=30)
    assert said == "[] {'available'}\n"


UNDER_LOAD = """
import signal, sys, threading, time
import {library} as library
from meshware.mesh import Mesh
from meshware.outbound.instrument import instrument
mesh = Mesh.from_settings({{"services": {{"inventory": {{"endpoints": {addresses!r}}}}}}}).install()
instrument()
def call():
    while True:
        try:
            library.get("http://inventory/sleep/0.05")
        except Exception:
            pass
for _ in range(8):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.3)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.row("F60")
@pytest.mark.parametrize("library", ["requests", "httpx2", "httpx"])
def test_an_interpreter_that_ends_with_calls_in_flight_ends_at_once_and_quietly(upstreams, library):
    program = UNDER_LOAD.format(library=library, addresses=[each.address for each in upstreams])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.0 + LATE
    assert errors == ""
    assert process.returncode == 0


FORKS = """
import os, sys, threading, time
import requests
from meshware.mesh import Mesh
from meshware.outbound.instrument import instrument
mesh = Mesh.from_settings({{"services": {{"inventory": {{"endpoints": {addresses!r}}}}}}}).install()
instrument()
requests.get("http://inventory/ok")  # all is imported: a lock of Python's imports would hang in the child
def call():
    with requests.Session() as session:
        while True:
            session.get("http://inventory/ok")
for _ in range(4):
    threading.Thread(target=call, daemon=True).start()
def end(why=""):
    print(why, flush=True)
    os._exit(bool(why))
for number in range({count}):
    child = os.fork()
    if child == 0:
        ok = requests.get("http://inventory/ok", timeout=20).text == "ok"
        os._exit(0 if ok else 3)
    until = time.monotonic() + 30
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > until:
            os.kill(child, 9)
            end(f"child {{number}} hung")
        time.sleep(0.005)
    if status:
        end(f"child {{number}} failed: {{status}}")
end()
"""


@pytest.mark.row("F61")
@pytest.mark.parametrize("count", [20, pytest.param(1_000, marks=pytest.mark.soak)])
def test_each_child_of_a_busy_parent_calls_as_if_nothing_had_been(upstreams, count):
    program = FORKS.format(addresses=[each.address for each in upstreams], count=count)
    command = [sys.executable, "-W", "ignore", "-c", program]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60 + 10 * count).stdout == "\n"


@pytest.mark.row("F37")
def test_a_trial_that_says_nothing_keeps_no_endpoint_out():
    world = World(2, retry={"attempts": 1}, ejection={"max_share": 1.0})
    bad = world.endpoints[0]
    while bad.availability.available(world.now):
        call = world.call()
        attempt = call.begin(world.now)
        world.fail(call, attempt) if attempt.endpoint is bad else call.abandon(attempt, world.now)
    world.pass_time(5.0)
    for _ in range(3):
        call = world.call()
        attempt = call.begin(world.now)
        assert attempt.endpoint is bad  # its trial
        call.abandon(attempt, world.now)
        world.service.settle(world.now)
