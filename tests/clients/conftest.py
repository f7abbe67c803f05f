"""Real servers and sessions for the clients' doors."""

from __future__ import annotations

import pytest
import requests
from faults.conftest import authority, tls_upstream, upstream  # noqa: F401 (fixtures)
from faults.upstream import Upstream

from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter


@pytest.fixture
def upstreams():
    """Three servers."""
    servers = [Upstream() for _ in range(3)]
    for server in servers:
        server.__enter__()
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def mesh_of():
    """`mesh_of(inventory=[server], tls={...})`: a mesh of these services, closed at the end."""
    made = []

    def make(settings=None, **services):
        named = {
            name.replace("_", "-"): {
                "endpoints": [each if isinstance(each, str) else each.address for each in servers],
                **(settings or {}),
            }
            for name, servers in services.items()
        }
        mesh = Mesh.from_settings({"services": named})
        made.append(mesh)
        return mesh

    yield make
    for mesh in made:
        mesh.close()


@pytest.fixture
def session_of():
    """`session_of(mesh)`: a session whose mesh names go through an adapter of that mesh."""
    made = []

    def make(mesh, **options):
        session = requests.Session()
        session.mount("http://", MeshAdapter(mesh, **options))
        session.mount("https://", MeshAdapter(mesh, **options))
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


def in_flight(mesh):
    """Attempts that are open anywhere in the mesh."""
    return sum(
        len(each.open) + len(each.waiting) + len(each.streams)
        for service in mesh.services.values()
        for each in service.endpoints
    )
