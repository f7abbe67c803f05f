"""Each test of a door begins with untouched clients and no mesh, and leaves them so."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from inbound.upstream import Upstream

import meshware.mesh
from meshware.context import current
from meshware.outbound.instrument import uninstrument


@pytest.fixture(autouse=True)
def _untouched_process():
    yield
    uninstrument()
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()
    assert current() is None


@pytest.fixture
def upstream():
    """Makes upstream servers by name, which end with the test."""
    with ExitStack() as stack:
        yield lambda name="upstream", **options: stack.enter_context(closing(Upstream(name, **options)))
