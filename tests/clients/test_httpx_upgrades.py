"""WebSockets and event streams of httpx2: one pick, a stream in flight until closed, nothing sent twice."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time

import pytest
from clients.httpx_faces import FACES
from faults.upstream import in_flight
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, TextMessage
from wsproto.frame_protocol import CloseReason

import meshware

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def speak(connection, seen):
    """A WebSocket server that says back what it hears, with the host it was asked for."""
    accept = base64.b64encode(hashlib.sha1(seen.headers["sec-websocket-key"].encode() + MAGIC).digest())
    connection.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    frames = Frames(ConnectionType.SERVER)
    while True:
        try:
            data = connection.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            return False
        frames.receive_data(data)
        for event in frames.events():
            if isinstance(event, TextMessage):
                said = f"{seen.headers['host']}: {event.data}"
                connection.send(frames.send(TextMessage(said)))
            elif isinstance(event, CloseConnection):
                connection.send(frames.send(CloseConnection(CloseReason.NORMAL_CLOSURE)))
                return False


@pytest.fixture
def talking(upstreams):
    for server in upstreams:
        server.answers["ws"] = speak
    return upstreams


@pytest.fixture(params=["httpx2", "httpx2-async"])
def face(request, mesh_of, talking):
    mesh = mesh_of({"timeout": 10.0}, inventory=talking)
    face = FACES[request.param](mesh)
    face.mesh = mesh
    yield face
    face.end()


def loads(mesh):
    return sum(each.load for each in mesh.services["inventory"].endpoints)


def test_a_websocket_is_a_stream_in_flight_until_it_is_closed_and_outlives_every_deadline(face, talking):
    face.mesh.services["inventory"].timeout = 1.0
    if "Async" in face.kind:

        async def talk():
            async with face.client.websocket("ws://inventory/ws") as socket:
                await socket.send_text("hello")
                assert await socket.receive_text() == "inventory: hello"
                assert loads(face.mesh) == pytest.approx(0.1)
                assert in_flight(face.mesh) == 2  # open, and as a stream
                await asyncio.sleep(1.1)
                await socket.send_text("still")
                assert await socket.receive_text() == "inventory: still"

        face.run(talk())
    else:
        with face.client.websocket("ws://inventory/ws") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "inventory: hello"
            assert loads(face.mesh) == pytest.approx(0.1)
            time.sleep(1.1)
            socket.send_text("still")
            assert socket.receive_text() == "inventory: still"
    assert in_flight(face.mesh) == 0
    assert sum(len(server.requests) for server in talking) == 1


def test_a_websocket_that_breaks_after_the_upgrade_is_not_opened_again(face, talking):
    def breaking(connection, seen):
        speak_once = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = seen.headers["sec-websocket-key"].encode() + MAGIC
        accept = base64.b64encode(hashlib.sha1(key).digest())
        connection.send(speak_once + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        connection.reset()
        return False

    for server in talking:
        server.answers["ws"] = breaking
    from httpx2 import websockets

    async def talk():
        async with face.client.websocket("ws://inventory/ws") as socket:
            await socket.receive_text()

    def talk_sync():
        with face.client.websocket("ws://inventory/ws") as socket:
            socket.receive_text()

    broken = (websockets.WebSocketNetworkError, websockets.WebSocketDisconnect, ExceptionGroup)  # of one, as anyio's
    with pytest.raises(broken):
        face.run(talk()) if "Async" in face.kind else talk_sync()
    assert in_flight(face.mesh) == 0
    assert sum(len(server.requests) for server in talking) == 1


def test_a_websocket_that_cannot_connect_is_opened_elsewhere(face, talking):
    talking[0].stop()
    for _ in range(6):
        if "Async" in face.kind:

            async def talk():
                async with face.client.websocket("ws://inventory/ws") as socket:
                    await socket.send_text("hello")
                    return await socket.receive_text()

            assert face.run(talk()) == "inventory: hello"
        else:
            with face.client.websocket("ws://inventory/ws") as socket:
                socket.send_text("hello")
                assert socket.receive_text() == "inventory: hello"
    assert in_flight(face.mesh) == 0


def test_events_arrive_one_by_one_and_the_stream_counts_until_it_is_left(face):
    if "Async" in face.kind:

        async def listen():
            async with face.client.sse("http://inventory/events") as source:
                events = aiter(source)
                assert (await anext(events)).data == "tick"
                return loads(face.mesh)

        load = face.run(listen())
    else:
        with face.client.sse("http://inventory/events") as source:
            events = iter(source)
            assert next(events).data == "tick"
            load = loads(face.mesh)
    assert load == pytest.approx(0.1)
    assert in_flight(face.mesh) == 0


def test_a_refused_upgrade_is_an_ordinary_answer(face, talking):

    for server in talking:
        server.answers["ws"] = server.answers["ok"]

    async def talk():
        async with face.client.websocket("ws://inventory/ws"):
            raise AssertionError

    def talk_sync():
        with face.client.websocket("ws://inventory/ws"):
            raise AssertionError

    from httpx2 import websockets

    with pytest.raises(websockets.WebSocketUpgradeError):
        face.run(talk()) if "Async" in face.kind else talk_sync()
    assert in_flight(face.mesh) == 0


def test_a_websocket_over_tls_is_for_the_logical_name_only(request, mesh_of, tls_upstream, ca):
    server = tls_upstream("inventory")
    server.answers["ws"] = speak
    mesh = mesh_of({"tls": {"ca": ca}}, inventory=[server], billing=[server])
    face = FACES["httpx2"](mesh)
    request.addfinalizer(face.end)
    with face.client.websocket("wss://inventory/ws") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "inventory: hello"
    with pytest.raises(face.library.ConnectError), face.client.websocket("wss://billing/ws"):
        raise AssertionError
    with (
        pytest.raises(meshware.MeshError, match="tls"),
        FACES["httpx2"](mesh_of(inventory=[server])).client.websocket("wss://inventory/ws"),
    ):
        raise AssertionError
