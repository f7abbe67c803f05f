"""Through each client, what an answer has left is worked off while the next one is waited for."""

from __future__ import annotations

from core.policies import Recorder

CALLS = 20


def test_an_answers_end_is_told_once_the_next_request_is_out(mesh_of, client_of, upstream):
    mesh = mesh_of(inventory=[upstream])
    recorder, client = Recorder(mesh.services["inventory"]), client_of(mesh)
    for _ in range(CALLS):
        assert client.get("http://inventory/echo").status_code == 200
    told = " ".join(recorder.names())
    assert told.count("on_begin on_end on_answer") > CALLS / 2, told  # the housekeeper may have been first
