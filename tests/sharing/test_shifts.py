"""Shifts of real workers of a host: what they see together takes all of them back."""

from __future__ import annotations

import json
import subprocess
import sys

from faults.upstream import Upstream
from sharing.conftest import wait_until

SHIFT = {"name": "v2", "service": "inventory", "to": "inventory-v2", "steps": [100], "hold": 600.0}


def test_a_new_version_that_fails_is_taken_back_though_no_worker_has_seen_enough_of_it(hire):
    with Upstream() as old, Upstream() as new:
        services = {"inventory-v2": {"endpoints": [new.address], "retry": {"attempts": 1}}}
        workers = hire(4, program="server", threads=0, endpoints=[old.address], services=services, shifts=[SHIFT])
        new.turn("503")  # the guard's minimum is 20; each worker has called once to join

        assert [each.call(count=4) for each in workers] == [[503] * 4] * 4

        wait_until(lambda: [each.shift()["state"] for each in workers] == ["reverted"] * 4)
        assert {each.shift()["reason"] for each in workers} == {"16 of its last 20 calls failed"}
        assert [each.call(count=1) for each in workers] == [[200]] * 4
        assert (len(old.requests), len(new.requests)) == (4, 20)


FORKING = """
import json, os, signal, sys, time
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.outbound.drive import drive

services = {name: {"endpoints": ["10.0.0.1:80"]} for name in ("inventory", "inventory-v2")}
shared = {"service": "shop", "board": {"directory": sys.argv[1]}}
mesh = Mesh.from_settings({**shared, "services": services, "shifts": [json.loads(sys.argv[2])]})

def count(calls):
    for _ in range(calls):
        call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
        won = drive(call, lambda attempt: Outcome(elapsed=0.001, status=200), lambda attempt: None)
        call.ended(won, Ending.COMPLETE, 0.001, time.monotonic())

def known(calls):
    end = time.monotonic() + 20
    while mesh.shifts()[0]["calls"] != calls:
        assert time.monotonic() < end, mesh.shifts()
        time.sleep(0.001)
    time.sleep(0.1)  # some sweeps later it is no more
    assert mesh.shifts()[0]["calls"] == calls, mesh.shifts()

count(3)
known(3)
for child in range(3):
    count(1)  # maybe not told yet when the child begins
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        count(2)
        known(3 + 3 * (child + 1))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, f"child {child} failed"
    known(3 + 3 * (child + 1))
print("done", flush=True)
os._exit(0)
"""


def test_a_child_counts_nothing_of_its_parents_and_nothing_of_a_dead_ones_twice(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(tmp_path), json.dumps(SHIFT)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
