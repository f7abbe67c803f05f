"""Through each client, what an answer has left is worked off while the next one is waited for."""

from __future__ import annotations

from meshware.core.policy import Observer

CALLS = 20


class Ear(Observer):
    """What became of calls, in order."""

    def __init__(self):
        self.heard = []

    def on_begin(self, call, attempt, headers, now):
        self.heard.append("begin")

    def on_answer(self, call, attempt, outcome, step, now):
        self.heard.append("answer")

    def on_end(self, call, attempt, ending, wire, now):
        self.heard.append("end")


def test_an_answers_end_is_told_once_the_next_request_is_out(heard, client_of, upstream):
    mesh, ear = heard(Ear(), endpoints=[upstream.address])
    client = client_of(mesh)
    for _ in range(CALLS):
        assert client.get("http://inventory/echo").status_code == 200
    told = " ".join(ear.heard)
    assert told.count("begin end answer") > CALLS / 2, told  # the housekeeper may have been first
