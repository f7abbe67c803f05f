"""Both drivers, as one parameter."""

from __future__ import annotations

import pytest
from drivers.scenario import DRIVERS


@pytest.fixture(params=DRIVERS, ids=["sync", "async"])
def driver(request):
    """`driver(network, call)`: the attempt that is delivered."""
    return request.param
