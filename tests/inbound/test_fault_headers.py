"""Who may ask for faults: trusted peers, where the settings allow it; through each door in."""

from __future__ import annotations

import asyncio

import pytest

import meshware.context
from meshware.core.fault import Fault, Ordered
from meshware.inbound.asgi import MeshMiddleware as AsgiMiddleware
from meshware.inbound.door import Door
from meshware.inbound.wsgi import MeshMiddleware as WsgiMiddleware
from meshware.mesh import Mesh
from meshware.security.trust import ATTEMPT, FAULT, TIMEOUT

ASKED = "inventory;abort=503"
ORDERED = Ordered("inventory", Fault(abort=503))
FRIEND, STRANGER = "10.0.0.1", "192.0.2.1"


@pytest.fixture
def mesh_with():
    made = []

    def make(**settings):
        made.append(Mesh.from_settings({"services": {"inventory": {"endpoints": ["10.1.0.1:80"]}}, **settings}))
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()


@pytest.mark.parametrize(
    ("settings", "peer", "fault"),
    [
        ({"fault_headers": True, "trusted_peers": ["10.0.0.0/8"]}, FRIEND, ORDERED),
        ({"fault_headers": True, "trusted_peers": ["10.0.0.0/8"]}, STRANGER, None),
        ({"fault_headers": True}, FRIEND, None),
        ({"trusted_peers": ["10.0.0.0/8"]}, FRIEND, None),
    ],
)
def test_a_fault_is_taken_of_trusted_peers_where_that_is_said(mesh_with, settings, peer, fault):
    mesh = mesh_with(**settings)
    context = Door(mesh).open({FAULT: [ASKED]}, "GET", "/", peer=peer)
    assert context.fault == fault
    assert Door(mesh).open({}, "GET", "/", peer=peer).fault is None
    assert (mesh.services["inventory"].faults is not None) is settings.get("fault_headers", False)


def test_a_deadline_is_read_beside_it(mesh_with):
    mesh = mesh_with(fault_headers=True, trusted_peers=["10.0.0.0/8"], request_timeout=5.0)
    context = Door(mesh).open({TIMEOUT: ["1"], ATTEMPT: ["2"], FAULT: [ASKED]}, "GET", "/", peer=FRIEND)
    assert (context.fault, context.attempt, context.deadline.timeout) == (ORDERED, 2, 1.0)


def test_a_wsgi_app_has_it_in_its_context(mesh_with):
    seen = []

    def app(environ, start_response):
        seen.append(meshware.context.current().fault)
        start_response("200 OK", [])
        return []

    mesh = mesh_with(fault_headers=True, trusted_peers=["10.0.0.0/8"])
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": FRIEND, "HTTP_X_MESHWARE_FAULT": ASKED}
    WsgiMiddleware(app, mesh=mesh, instrument=False)(environ, lambda *_: None)
    assert seen == [ORDERED]


def test_an_asgi_app_has_it_in_its_context(mesh_with):
    seen = []

    async def app(scope, receive, send):
        seen.append(meshware.context.current().fault)

    async def nothing(*_):
        return {"type": "http.disconnect"}

    mesh = mesh_with(fault_headers=True, trusted_peers=["10.0.0.0/8"])
    scope = {"type": "http", "method": "GET", "path": "/", "client": (FRIEND, 1)}
    scope["headers"] = [(b"x-meshware-fault", ASKED.encode())]
    asyncio.run(AsgiMiddleware(app, mesh=mesh, instrument=False)(scope, nothing, nothing))
    assert seen == [ORDERED]


def test_a_part_of_the_request_has_it_too(mesh_with):
    context = meshware.context.RequestContext()
    context.fault = ORDERED
    assert context.nested(None).fault is ORDERED
    assert context.view().fault is ORDERED
