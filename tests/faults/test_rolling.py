"""A deploy: all replicas are restarted, one after another, under load; next to nothing is lost."""

from __future__ import annotations

import threading
import time

import pytest
from faults.replica import Replica

URL = "http://inventory"


def rolled(mesh_of, caller_of, *, rounds, away, threads):
    """Calls while each replica goes and comes back: how many were lost, and of how many."""
    with Replica() as one, Replica() as two, Replica() as three:
        replicas = [one, two, three]
        mesh = mesh_of({"timeout": 5.0, "ejection": {"probe_interval": 0.2}}, inventory=replicas)
        over, seen = threading.Event(), []

        def call():
            caller = caller_of(mesh)
            while not over.is_set():
                try:
                    seen.append(caller.get(f"{URL}/ok").text == "ok")
                except caller.error:
                    seen.append(False)
                time.sleep(0.005)

        workers = [threading.Thread(target=call) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for _ in range(rounds):
            for replica in replicas:
                time.sleep(away)
                replica.restart(away)
        time.sleep(away)
        over.set()
        for worker in workers:
            worker.join()
        return seen.count(False), len(seen)


@pytest.mark.row("F01")
def test_a_rolling_restart_loses_next_to_nothing(mesh_of, caller_of):
    lost, calls = rolled(mesh_of, caller_of, rounds=1, away=0.4, threads=4)
    assert lost <= max(0.005 * calls, 1)


@pytest.mark.soak
def test_ten_rolling_restarts_lose_one_call_in_two_hundred_at_most(mesh_of, caller_of):
    lost, calls = rolled(mesh_of, caller_of, rounds=10, away=3.0, threads=16)
    assert lost <= 0.005 * calls
