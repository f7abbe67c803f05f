"""What the tests of clients share: each client in turn, and meshes that an observer listens to."""

from __future__ import annotations

import pytest
from clients.calling import NAMES, client

from meshware.mesh import Mesh


@pytest.fixture(params=NAMES)
def client_of(request):
    """`client_of(mesh)`: a client of each kind that goes by this mesh."""
    made = []

    def make(mesh):
        made.append(client(request.param, mesh))
        return made[-1]

    make.library, make.is_async = request.param, request.param.endswith("async")
    yield make
    for each in made:
        each.end()


@pytest.fixture
def heard():
    """`heard(ear, endpoints=[...])`: a mesh of one service with these settings, and the ear; closed at the end."""
    made = []

    def make(ear, **inventory):
        made.append(Mesh.from_settings({"services": {"inventory": inventory}}, observers=[ear]))
        return made[-1], ear

    yield make
    for mesh in made:
        mesh.close()
