"""Who makes a request, for the routes of the calls made for it: only as one of `trusted_peers` says it."""

from __future__ import annotations

import pytest

from meshware.context import enter, leave
from meshware.core.request import Request
from meshware.inbound.door import Door
from meshware.mesh import Mesh

SETTINGS = {
    "trusted_peers": ["10.0.0.0/8"],
    "services": {"inventory": {"endpoints": ["10.1.0.1:80"]}, "inventory-v2": {"endpoints": ["10.1.0.2:80"]}},
    "routes": [{"match": {"service": "inventory", "identity": "billing"}, "split": {"inventory-v2": 1}}],
}


@pytest.fixture
def mesh():
    made = Mesh.from_settings(SETTINGS)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("said", "peer", "identity", "goes_to"),
    [
        (["billing"], "10.0.0.7", "billing", "inventory-v2"),
        (["checkout"], "10.0.0.7", "checkout", "inventory"),
        (["billing"], "192.0.2.7", None, "inventory"),
        (["billing", "billing"], "10.0.0.7", None, "inventory"),
        (["bill ing"], "10.0.0.7", None, "inventory"),
    ],
)
def test_a_call_is_routed_by_who_has_asked(mesh, said, peer, identity, goes_to):
    context = Door(mesh).open({"x-meshware-caller": said}, "GET", "/", peer=peer)
    assert context.identity == identity
    token = enter(context)
    try:
        call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
    finally:
        leave(token)
        context.done()
    assert call.service.name == goes_to
