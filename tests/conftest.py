"""What every test shares: fixed seeds, and no settings of the machine leaking in."""

from __future__ import annotations

import os
import random
import ssl

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _same_chances() -> None:
    """Every test draws from the same sequence, whichever ran before it."""
    random.seed(1)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy set on this machine must not see loopback calls."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def upstreams():
    """Three faulty servers (tests/faults/upstream.py)."""
    from faults.upstream import Upstream

    servers = [Upstream().start() for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def upstream(upstreams):
    """One faulty server."""
    return upstreams[0]


@pytest.fixture(scope="session")
def authority():
    """A throw-away certificate authority."""
    return pytest.importorskip("trustme").CA()


@pytest.fixture
def tls_upstream(authority):
    """`tls_upstream("inventory")`: a faulty server with a certificate for these names."""
    from faults.upstream import Upstream

    servers = []

    def make(*names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        servers.append(Upstream(context).start())
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def mesh_of():
    """`mesh_of({"timeout": 1.0}, inventory=[server])`: a mesh of these services, closed at the end."""
    from meshware.mesh import Mesh

    made = []

    def make(settings=None, **services):
        named = {
            name: {"endpoints": [getattr(each, "address", each) for each in servers], **(settings or {})}
            for name, servers in services.items()
        }
        made.append(Mesh.from_settings({"services": named}))
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()


@pytest.fixture
def session_of():
    """`session_of(mesh)`: a requests session whose mesh names go through an adapter of that mesh."""
    import requests

    from meshware.outbound.requests import MeshAdapter

    made = []

    def make(mesh, **options):
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, MeshAdapter(mesh, **options))
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture(params=["httpx2", "httpx2-async", "httpx", "httpx-async"])
def face_of(request):
    """`face_of(mesh)`: a client of httpx or httpx2, sync or async, whose mesh names go by that mesh."""
    from clients.httpx_faces import FACES

    made = []

    def make(*args, **options):
        made.append(FACES[request.param](*args, **options))
        return made[-1]

    yield make
    for face in made:
        face.end()


@pytest.fixture(params=["requests", "httpx2-async"])
def getter(request, session_of):
    """`getter(mesh)`: how a sync and an async client get a URL by that mesh."""
    from clients.httpx_faces import FACES

    made = []

    def make(mesh):
        if request.param == "requests":
            return session_of(mesh).get
        made.append(FACES[request.param](mesh))
        return made[-1].get

    yield make
    for face in made:
        face.end()


@pytest.fixture
def ca(authority, tmp_path):
    """The path of the throw-away authority's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def rng() -> random.Random:
    """Chance with a fixed seed, for whatever takes one."""
    return random.Random(1)
