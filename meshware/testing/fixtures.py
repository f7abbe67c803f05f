"""Fixtures for pytest: `pytest_plugins = ["meshware.testing.fixtures"]` in the top conftest.py.

They are no plugin that pytest finds by itself, so that nobody's tests load meshware who do not ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from meshware.mesh import Mesh
from meshware.testing.upstream import FaultyUpstream


@pytest.fixture
def mesh() -> Iterator[Callable[..., Mesh]]:
    """`mesh({"inventory": [upstream]}, timeout=1.0)`: a mesh of these services, the default one unless there is one.

    An endpoint is an address, its settings, or a FaultyUpstream; further settings are for every service.
    Closed at the end.
    """
    made: list[Mesh] = []

    def make(services: Mapping[str, Sequence[Any]], **settings: Any) -> Mesh:
        named = {
            name: {"endpoints": [each.address if isinstance(each, FaultyUpstream) else each for each in endpoints]}
            for name, endpoints in services.items()
        }
        made.append(Mesh.from_settings({"defaults": settings, "services": named}).install())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def faulty_upstreams() -> Iterator[Callable[[int], list[FaultyUpstream]]]:
    """`faulty_upstreams(3)`: so many servers that misbehave when they are told to. Stopped at the end."""
    made: list[FaultyUpstream] = []

    def make(count: int) -> list[FaultyUpstream]:
        servers = [FaultyUpstream().start() for _ in range(count)]
        made.extend(servers)
        return servers

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def faulty_upstream(faulty_upstreams: Callable[[int], list[FaultyUpstream]]) -> FaultyUpstream:
    """One of them."""
    return faulty_upstreams(1)[0]
