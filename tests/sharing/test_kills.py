"""Workers that are killed under load: what the others do then, and what is left over."""

from __future__ import annotations

import time
from itertools import cycle

import pytest
from sharing.conftest import wait_until

PARKED = 12
"""Requests that the one who will be killed has in flight for ever: more than come and go meanwhile."""

BUSY, ALONE = (2.0, 100, 20), (0.25, 3, 2)
"""Seconds and sweeps within which the dead one is forgotten, and connections that survivors may open meanwhile because
calls come late and so side by side; where other tests run beside, or this one alone."""


@pytest.mark.parametrize("kills, within", [(2, BUSY), pytest.param(60, ALONE, marks=pytest.mark.soak)])
def test_who_is_killed_harms_nobody_and_is_forgotten_at_once(hire, directory, kills, within):
    (replicas,) = hire(program="replicas")
    addresses = replicas.addresses()

    def fresh(count: int, parked: int = 0):
        return hire(count, program="server", endpoints=addresses, parked=parked)

    survivors, doomed = fresh(7), fresh(1, PARKED)
    wait_until(lambda: sum(replicas.in_flight().values()) >= PARKED)
    wait_until(lambda: len(survivors[0].board()["workers"]) == 8)
    before = [each.calls()["descriptors"] for each in survivors]

    late = []
    for watcher, _ in zip(cycle(survivors), range(kills), strict=False):
        began = time.monotonic()
        sweeps = watcher.board()["sweeps"]
        doomed.pop().kill()
        late.append(agreed(watcher, replicas, began, sweeps, within[:2]))
        doomed += fresh(1, PARKED)
        wait_until(lambda: sum(replicas.in_flight().values()) >= PARKED)
        time.sleep(max(0.0, began + 1 - time.monotonic()))

    assert [each for each in late if each] == []
    calls = [each.calls() for each in survivors]
    assert [each["failed"] for each in calls] == [[]] * 7
    assert min(each["good"] for each in calls) > 5 * kills
    assert all(now["descriptors"] <= then + within[2] for now, then in zip(calls, before, strict=True))
    doomed.pop().kill()
    leave_nothing(survivors, directory)


def agreed(watcher, replicas, began: float, sweeps: int, within: tuple[float, int]) -> str:
    """Wait until what the workers know of is what the replicas have; what is wrong with how long that took."""
    while True:
        board = watcher.board()
        merged = sum(board["in_flight"]["inventory"].values())
        theirs = sum(replicas.in_flight().values())
        took = time.monotonic() - began
        if merged == theirs < PARKED:
            passed = board["sweeps"] - sweeps
            return "" if took < within[0] and passed <= within[1] else f"{took:.3f} s, {passed} sweeps"
        if took > 5:
            return f"never: {merged} here, {theirs} there"


def leave_nothing(survivors, directory) -> None:
    good = sum(each.finish() for each in survivors)
    wait_until(lambda: survivors[0].counts()["inventory"]["good"] >= good)  # the last answers wait for a sweep
    for each in survivors:
        each.close()
    assert [each for each in directory.rglob("*") if each.is_file()] == []
