"""What tests of faults share: each library's client, and servers in processes of their own."""

from __future__ import annotations

import pytest
from faults.callers import LIBRARIES, Caller


@pytest.fixture(params=LIBRARIES)
def caller_of(request):
    """`caller_of(mesh)`: a client of requests, httpx2 or httpx."""
    made = []

    def make(mesh):
        made.append(Caller(request.param, mesh))
        return made[-1]

    yield make
    for caller in made:
        caller.end()


@pytest.fixture
def mesh(mesh_of, upstream):
    """One faulty endpoint, whose faults are the caller's to see."""
    return mesh_of({"retry": {"attempts": 1}}, inventory=[upstream])
