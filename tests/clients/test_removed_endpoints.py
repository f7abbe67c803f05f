"""Endpoints that are removed: what the clients still had open to them is closed, once nobody uses it."""

from __future__ import annotations

import asyncio
import gc

import pytest
from clients.httpx_faces import Async

from meshware.mesh import Mesh

URL = "http://inventory/ok"


def settings(*upstreams):
    return {"services": {"inventory": {"endpoints": [each.address for each in upstreams], "strategy": "round_robin"}}}


@pytest.fixture
def mesh(upstreams):
    made = Mesh.from_settings(settings(*upstreams[:2]))
    yield made
    made.close()


def test_its_connections_are_closed_by_the_next_call(mesh, client_of, upstreams):
    gone, stays = upstreams[:2]
    client = client_of(mesh)
    for _ in range(4):
        assert client.get(URL).text == "ok"
    assert gone.open_connections == 1
    mesh.reload(settings(stays))
    for _ in range(2):
        assert client.get(URL).text == "ok"
    assert gone.let_go_within(2)
    assert stays.open_connections == 1


def test_one_that_comes_back_is_connected_anew(mesh, client_of, upstreams):
    client = client_of(mesh)
    for sets in (upstreams[1:2], upstreams[:2], upstreams[1:2], upstreams[:2]):
        mesh.reload(settings(*sets))
        assert [client.get(URL).text for _ in range(4)] == ["ok"] * 4


def test_an_answer_that_is_still_being_read_is_read_to_its_end(mesh, face_of, upstreams):
    gone, stays = upstreams[:2]
    face = face_of(mesh)
    answers = [face.stream("http://inventory/big") for _ in range(2)]  # one of each
    mesh.reload(settings(stays))
    for _ in range(2):
        assert face.get(URL).text == "ok"
    assert gone.open_connections == 1
    assert [len(b"".join(face.pieces(each))) for each in answers] == [1_000_000] * 2
    for each in answers:
        face.close(each)
    del answers, each
    for _ in range(2):
        assert face.get(URL).text == "ok"
    assert gone.let_go_within(2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of sockets that the loop left open
def test_a_client_whose_loop_is_closed_goes_on_by_another(mesh, face_of, upstreams):
    face = face_of(mesh)
    if not isinstance(face, Async):
        pytest.skip("on threads")
    for _ in range(4):
        assert face.get(URL).text == "ok"
    face.runner.close()
    face.runner = asyncio.Runner()
    mesh.reload(settings(upstreams[2]))
    assert face.get(URL).text == "ok"
    gc.collect()  # what the loop left open is told here, and in no other test
