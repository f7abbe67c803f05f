"""All clients under one face: requests, httpx and httpx2, the latter two sync and async."""

from __future__ import annotations

import asyncio
import time

import httpx
import httpx2
import requests
from clients.httpx_faces import FACES, Async
from faults.upstream import in_flight

from meshware.outbound.requests import MeshAdapter

NAMES = ("requests", "httpx2", "httpx2-async", "httpx", "httpx-async")

BROKEN = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    httpx.TransportError,
    httpx2.TransportError,
)
"""What the clients say of a connection that broke."""


class Requests:
    """requests with the face of the others."""

    def __init__(self, mesh):
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, MeshAdapter(mesh))

    def request(self, method, url, **options):
        return self.session.request(method, url, **options)

    def get(self, url, **options):
        return self.session.get(url, **options)

    def end(self):
        self.session.close()


def client(name, mesh):
    """A client of this kind whose mesh names go by that mesh."""
    return Requests(mesh) if name == "requests" else FACES[name](mesh)


def source_of(answer, header="x-meshware-fallback"):
    """What a response says of where it is from; both ways say the same."""
    said = answer.headers.get(header)
    if hasattr(answer, "extensions"):
        assert answer.extensions.get(header.removeprefix("x-").replace("-", "_")) == said
    return said


def at_rest(mesh, client=None, within=2.0):
    """Whether nothing is in flight any more, once who has lost has had a turn of the loop."""
    until = time.monotonic() + within
    while in_flight(mesh) and time.monotonic() < until:
        time.sleep(0.005)
        if isinstance(client, Async):
            client.run(asyncio.sleep(0.005))
    for service in mesh.services.values():
        service.settle(time.monotonic())
    return in_flight(mesh) == 0
