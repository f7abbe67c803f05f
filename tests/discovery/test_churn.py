"""Endpoints that come and go all the while: nobody calls one that has long gone, none is remembered for ever.

The real ones are 127.x.y.z with one port: one server answers for all of them, and notes by which it was called.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import threading
import time
import tracemalloc

import pytest
from discovery.conftest import Found, Told
from meanwhile import Heart, calling, resident

from meshware.mesh import Mesh

pytestmark = pytest.mark.untraced

MIB = 2**20
LATE, BUSY = 2.0, 5.0
"""Seconds after which a call is too late; and where others keep the machine busy. The soak tier is strict."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


class Everywhere:
    """Serves every address of 127.0.0.0/8 at one port; `called` has when each was called last."""

    def __init__(self):
        self._server = socket.create_server(("0.0.0.0", 0), backlog=128)
        self.port = self._server.getsockname()[1]
        self.called = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def addresses(self, first, count):
        return [
            f"127.{1 + n // 62_500}.{n // 250 % 250}.{1 + n % 250}:{self.port}" for n in range(first, first + count)
        ]

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        address = f"{connection.getsockname()[0]}:{self.port}"
        with connection:
            try:
                while connection.recv(65_536):
                    self.called[address] = time.monotonic()
                    connection.sendall(ANSWER)
            except OSError:
                return

    def close(self):
        self._server.close()


@pytest.fixture
def everywhere():
    if sys.platform != "linux":
        pytest.skip("only Linux answers at all of 127.0.0.0/8")
    server = Everywhere()
    yield server
    server.close()


def put(path, addresses):
    new = path.with_name("new")
    new.write_text(json.dumps(addresses))
    os.replace(new, path)


PATIENT = {"attempt_timeout": 5.0, "hedge": {"enabled": False}}
"""On a machine that others keep busy an answer may take 50 times as long as the ones before: nobody is cut for that."""

SIZES = [(100, 10, 20, BUSY), pytest.param(10_000, 50, 25, LATE, marks=pytest.mark.soak)]


@pytest.mark.parametrize(("total", "alive", "step", "latest"), SIZES)
def test_nobody_calls_an_endpoint_that_left_its_file_two_seconds_ago(
    everywhere, getter, tmp_path, registered, total, alive, step, latest
):
    from meshware.discovery.file import File

    registered(File, "lines")
    path, left = tmp_path / "inventory.json", {}
    put(path, everywhere.addresses(0, alive))
    found = {"discovery": {"lines": {"path": str(path)}}, **PATIENT}
    mesh = Mesh.from_settings({"services": {"inventory": found}})
    try:
        with Heart() as heart, calling(getter(mesh), "http://inventory/items", heart) as calls:
            for first in range(step, total - alive + 1, step):
                time.sleep(0.5)
                gone = everywhere.addresses(max(0, first - step), min(step, alive))
                put(path, everywhere.addresses(first, alive))
                left |= dict.fromkeys(gone, time.monotonic())
                if first == 80 * step:  # from then on a client's pools, of 1,000 endpoints at most, are no more
                    before = resident()
            time.sleep(latest + 0.5)
            grown = resident() - before if total > 1000 else 0
        spans = [(left[at], when) for at, when in everywhere.called.items() if at in left]
        assert max(when - gone - heart.stood(gone, when) for gone, when in spans) <= latest
        assert calls.failed == []
        assert calls.answered > total / 5
        assert list(mesh.status()["inventory"]) == everywhere.addresses(first, alive)
        assert grown <= MIB * max(0, total - 80 * step) / 1000
    finally:
        mesh.close()


@pytest.mark.parametrize("strategy", ["adaptive", "peak_ewma", "ring_hash"])
@pytest.mark.parametrize("total", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_what_is_forgotten_is_forgotten(registered, strategy, total):
    """Under a clock set by hand, some of them ejected when they go: at most 1 MiB stays of 1,000 endpoints."""
    registered(Told)
    world = Found(strategy=strategy, seed=2, retry={"attempts": 1})

    def churn(first, count):
        for number in range(first, first + count, 10):
            world.says(*(f"10.1.{n // 250}.{n % 250}:80" for n in range(number, number + 50)), valid_for=5)
            world.pass_time(5.0)
            for _ in range(20):
                call = world.call()
                attempt = call.begin(world.now)
                world.answer(call, attempt, 503 if world.rng.random() < 0.2 else 200)
                world.read(call, attempt)
        world.events.clear()
        gc.collect()

    tracemalloc.start()
    try:
        churn(0, 500)
        before = tracemalloc.get_traced_memory()[0]
        churn(500, total)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(world.endpoints) == 50
    assert grown <= MIB * total / 1000 / 8  # the rest is for its connections, where it had any
