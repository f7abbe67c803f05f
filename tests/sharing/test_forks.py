"""A parent that shares, and its children: each is a worker of its own, from its first call on."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = r"""
import os, signal, sys, threading, time
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.outbound.drive import drive

directory, forks = sys.argv[1], int(sys.argv[2])
endpoints = ["10.0.0.1:80", "10.0.0.2:80"]
settings = {"service": "shop", "board": {"directory": directory}, "services": {"inventory": {"endpoints": endpoints}}}
mesh = Mesh.from_settings(settings)

def call():
    call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
    won = drive(call, lambda attempt: Outcome(elapsed=0.001, status=200), lambda attempt: None)
    call.ended(won, Ending.COMPLETE, 0.001, time.monotonic())

def busy():
    while True:
        call()
        mesh._board.sweep(time.monotonic())

def joined():
    end = time.monotonic() + 20
    while mesh.board()["path"] is None:
        assert time.monotonic() < end, mesh.board()
        time.sleep(0.001)
    return mesh.board()

held = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
attempt = held.begin(time.monotonic())
for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
joined()

for turn in range(forks):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        held.abandon(attempt, time.monotonic())  # the parent's, not ours: it must stay where it is
        assert mesh.board() == {"path": None, "reason": "not joined yet"}, mesh.board()
        call()
        if turn % 10 == 0:
            assert os.getpid() in joined()["workers"]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, f"child {turn} failed"

time.sleep(0.1)
board = mesh.board()
assert board["workers"] == [os.getpid()], board
assert 1 <= sum(board["in_flight"]["inventory"].values()) <= 3, board
held.abandon(attempt, time.monotonic())
print("done", len(os.listdir("/proc/self/fd")) < 30, flush=True)
os._exit(0)
"""


@pytest.mark.row("F61")
@pytest.mark.parametrize("forks", [30, pytest.param(1000, marks=pytest.mark.soak)])
def test_forks_while_the_board_is_busy_block_nobody_and_touch_nothing_of_the_parents(tmp_path, forks):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, str(tmp_path), str(forks)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done True\n", "")
