"""HTTP/2: several calls share a connection, so a deadline ends its own call and nobody else's."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faults.upstream import in_flight

import meshware

LATE = 2.0


@pytest.fixture(scope="module")
def http2(authority, tmp_path_factory):
    """The address of a real HTTP/2 server (hypercorn) with a certificate for `inventory`."""
    pem = tmp_path_factory.mktemp("http2") / "inventory.pem"
    authority.issue_cert("inventory").private_key_and_cert_chain_pem.write_to_path(pem)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        command = [sys.executable, "-m", "hypercorn", "--bind", f"fd://{sock.fileno()}", "--log-level", "CRITICAL"]
        command += ["--workers", "0", "--certfile", str(pem), "--keyfile", str(pem), "http2_app:app"]
        folder = Path(__file__).parent
        server = subprocess.Popen(command, pass_fds=[sock.fileno()], cwd=folder, stderr=subprocess.DEVNULL)
        try:
            yield "{}:{}".format(*sock.getsockname())
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def mesh(mesh_of, http2, ca):
    return mesh_of({"tls": {"ca": ca}}, inventory=[http2], billing=[http2])


@pytest.fixture
def face(face_of, mesh):
    library = face_of(meshed=False)
    kind = library.library.AsyncHTTPTransport if "Async" in library.kind else library.library.HTTPTransport
    return face_of(mesh, inner=kind(http2=True))


def connections(face):
    pools = face.client._transport._inner._meshware_pools
    return sum(len(each._pool.connections) for each in pools._known.values())


def test_the_logical_name_is_the_authority(face):
    answer = face.get("https://inventory/a")
    assert (answer.http_version, answer.text, answer.headers["x-host"]) == ("HTTP/2", "/a", "inventory")


def test_another_name_at_the_same_address_is_refused_and_gets_a_handshake_of_its_own(face):
    assert face.get("https://inventory/a").text == "/a"
    with pytest.raises(face.library.ConnectError):
        face.get("https://billing/a")
    assert face.get("https://inventory/b").text == "/b"


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_deadline_ends_its_own_call_only(face, mesh, path):
    face.get("https://inventory/warm")
    answers = []
    if "Async" in face.kind:

        async def both():
            other = asyncio.ensure_future(face.client.get("https://inventory/slow/other", timeout=9.0))
            await asyncio.sleep(0.05)
            with pytest.raises(meshware.DeadlineExceeded):
                await face.client.get(f"https://inventory{path}", timeout=0.2)
            answers.append((await other).text)

        began = time.monotonic()
        face.run(both())
    else:
        other = threading.Thread(
            target=lambda: answers.append(face.get("https://inventory/slow/other", timeout=9.0).text)
        )
        other.start()
        time.sleep(0.05)
        began = time.monotonic()
        with pytest.raises(meshware.DeadlineExceeded):
            face.get(f"https://inventory{path}", timeout=0.2)
        other.join()
    assert time.monotonic() - began < 0.6 + LATE
    assert answers == ["/slow/other"]
    assert connections(face) == 1
    assert in_flight(mesh) == 0
