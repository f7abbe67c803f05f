"""Bodies that break off, and faults that are taken back while a call is on its way."""

from __future__ import annotations

import asyncio

import pytest
from world import World

from meshware.core.fault import Fault
from meshware.outbound import faults


def read(pieces, count):
    """What is read of these pieces, and whether they broke off."""
    got = b""
    try:
        for piece in faults.Short(iter(pieces), count, lambda: EOFError("short")):
            got += piece
    except EOFError:
        return got, True
    return got, False


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, (b"", True)), (2, (b"ab", True)), (3, (b"abc", True)), (5, (b"abcde", True)), (6, (b"abcdef", False))],
)
def test_a_body_breaks_off_where_it_is_said_and_a_shorter_one_comes_whole(count, expected):
    assert read([b"abc", b"def"], count) == expected
    assert read([], count) == (b"", False)


def test_faults_that_are_taken_back_meanwhile_befall_nobody():
    call = World(faults=[{"reset": True}]).call()
    call.service.faults = None
    assert faults.into_call(call) == (None, None)
    assert asyncio.run(faults.into_call_async(call)) == (None, None)


def test_what_is_no_abort_has_no_answer():
    assert faults.abort(None) is None
    assert faults.abort(Fault(reset=True)) is None
    outcome, reply = faults.abort(Fault(abort=503))
    assert (outcome.status, outcome.injected, reply.status) == (503, True, 503)
