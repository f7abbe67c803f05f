"""What is sent again is sent whole, byte for byte; what cannot be read again from its start is sent once."""

from __future__ import annotations

import hashlib
import io

import pytest
from faults.upstream import in_flight

URL = "http://inventory"
SIZES = [0, 1024, 5 * 1024 * 1024]


def content(size):
    return (hashlib.sha256(b"seed").digest() * (size // 32 + 1))[:size]


def put(caller, kind, data, tmp_path):
    """PUT it in one of the ways that the client has."""
    if kind == "bytes":
        return caller.ask("PUT", f"{URL}/put", data)
    if kind == "file":
        path = tmp_path / "body"
        path.write_bytes(data)
        with path.open("rb") as file:
            return caller.ask("PUT", f"{URL}/put", file)
    return caller.ask("PUT", f"{URL}/put", None, files={"file": ("body", io.BytesIO(data))})


def sent(servers):
    return [each for server in servers for each in server.requests if each.path == "/put"]


@pytest.fixture
def failing(upstreams):
    """Two servers; the first to get a PUT reads it and breaks, the other answers."""
    broken = []

    def breaks_once(connection, seen):
        if not broken:
            broken.append(connection)
            connection.reset()
            return False
        return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    for server in upstreams[:2]:
        server.answers["put"] = breaks_once
    return upstreams[:2]


@pytest.mark.row("F28")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["bytes", "file", "multipart"])
def test_a_put_survives_a_retry_byte_for_byte(mesh_of, caller_of, failing, tmp_path, kind, size):
    mesh = mesh_of({"timeout": 30.0}, inventory=failing)
    data = content(size)
    assert put(caller_of(mesh), kind, data, tmp_path).status_code == 200
    first, second = sent(failing)
    assert first.body == second.body
    assert data in second.body if kind == "multipart" else data == second.body
    assert in_flight(mesh) == 0


@pytest.mark.row("F27")
def test_a_generator_is_never_sent_again(mesh_of, caller_of, failing):
    caller = caller_of(mesh := mesh_of(inventory=failing))
    with pytest.raises(caller.error):
        caller.ask("PUT", f"{URL}/put", (piece for piece in [b"one", b"two"]))
    (only,) = sent(failing)
    assert only.body == b"onetwo"
    assert in_flight(mesh) == 0
