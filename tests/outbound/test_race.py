"""Hedges on threads: how many may be out, and what a fork leaves of them."""

from __future__ import annotations

import os

import pytest

from meshware.outbound import race


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # with threads, from 3.12 on
def test_a_forked_child_has_room_for_all_its_hedges_whatever_was_out_in_the_parent():
    for _ in range(race.THREADS):
        assert race._room.acquire(blocking=False)
    with race._room._cond:  # as if another thread were just at it
        child = os.fork()
        if child == 0:
            free = sum(race._room.acquire(blocking=False) for _ in range(race.THREADS))
            os._exit(0 if free == race.THREADS else 1)
    _, status = os.waitpid(child, 0)
    for _ in range(race.THREADS):
        race._room.release()
    assert os.waitstatus_to_exitcode(status) == 0
