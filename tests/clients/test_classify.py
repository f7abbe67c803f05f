"""Classifiers through the real clients: the mesh looks at the body, and the caller gets it as it came."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import httpx
import httpx2
import pytest
import requests
from faults.behaviours import CHUNKED, _then, answer
from faults.upstream import settle

from meshware.core.availability import Bar
from meshware.core.events import PluginFailed
from meshware.core.lateness import Lateness
from meshware.core.outcome import Verdict
from meshware.core.policy import Observer

BROKEN = (requests.RequestException, httpx.TransportError, httpx2.TransportError)

ERROR = json.dumps({"errors": [{"message": "boom"}], "data": None}).encode()
GOOD = json.dumps({"data": {"items": [{"name": "x" * 40}] * 4000}}).encode()  # more than is looked at


class Ear(Observer):
    def __init__(self):
        self.verdicts, self.bodies, self.ends, self.events = [], [], [], []

    def on_answer(self, call, attempt, outcome, step, now):
        self.verdicts.append(outcome.verdict)
        self.bodies.append(outcome.body)

    def on_end(self, call, attempt, ending, wire, now):
        self.ends.append((ending.value, wire))

    def on_event(self, event):
        self.events.append(event)


@pytest.fixture
def judged(heard, upstream):
    """`judged("graphql")`: a mesh whose one service has this classifier, and an ear."""

    def make(classify, *, endpoints=None, **settings):
        settings = {"retry": {"attempts": 1}, "host": "logical", **settings}
        return heard(Ear(), endpoints=endpoints or [upstream.address], classify=classify, **settings)

    return make


def chunked(body, size):
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return [CHUNKED[:-2] + JSON, *(b"%x\r\n%s\r\n" % (len(each), each) for each in parts), b"0\r\n\r\n"]


JSON = b"Content-Type: application/json\r\n\r\n"


def behaviours(body):
    """The same body in every way that it may come."""
    packed = gzip.compress(body)
    return {
        "whole": _then(answer(200, body, Content_Type="application/json")),
        "pieces": _then(answer(200, body, Content_Type="application/json")[:-9], body[-9:], pause=0.01),
        "chunks": _then(*chunked(body, 7_000)),
        "bites": _then(b"".join(chunked(body[:3_000], 1)) if len(body) > 3_000 else b"".join(chunked(body, 1))),
        "close": _then(b"HTTP/1.1 200 OK\r\n" + JSON + body, end="close"),
        "gzip": _then(answer(200, packed, Content_Type="application/json", Content_Encoding="gzip")),
        "deflate": _then(answer(200, zlib.compress(body), Content_Type="application/json", Content_Encoding="deflate")),
    }


WAYS = ["whole", "pieces", "chunks", "close", "gzip", "deflate"]


@pytest.mark.parametrize("way", [*WAYS, "bites"])
def test_an_error_in_a_200_is_a_failure_and_the_caller_gets_it_as_it_came(way, judged, client_of, upstream):
    upstream.answers |= behaviours(ERROR)
    mesh, ear = judged("graphql")
    client = client_of(mesh)
    got = client.get(f"http://inventory/{way}")
    assert (got.status_code, got.content, ear.verdicts) == (200, ERROR, [Verdict.FAILURE])
    assert client.get(f"http://inventory/{way}").content == ERROR
    assert mesh.services["inventory"].ejection._records[mesh.services["inventory"].endpoints[0]].row == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_large_good_answer_comes_whole_and_counts_once(way, judged, client_of, upstream):
    upstream.answers |= behaviours(GOOD)
    mesh, ear = judged("graphql")
    client = client_of(mesh)
    for _ in range(3):
        assert client.get(f"http://inventory/{way}").content == GOOD
    settle(mesh)
    assert ear.verdicts == [Verdict.SUCCESS] * 3
    assert [ending for ending, _ in ear.ends] == ["complete"] * 3
    assert all(len(body) == 65_536 and GOOD.startswith(body) for body in ear.bodies)
    assert not mesh.services["inventory"].endpoints[0].open


@pytest.mark.parametrize("way", WAYS)
def test_a_body_that_is_read_piece_by_piece_is_the_same(way, judged, client_of, upstream):
    upstream.answers |= behaviours(GOOD)
    mesh, _ = judged("graphql")
    client = client_of(mesh)
    raw = {"gzip": gzip.compress(GOOD), "deflate": zlib.compress(GOOD)}.get(way, GOOD)
    if client_of.library == "requests":
        got = client.get(f"http://inventory/{way}", stream=True)
        pieces = list(got.raw.stream(1000, decode_content=False))
        got.close()
    else:
        got = client.stream(f"http://inventory/{way}")
        pieces = list(client.pieces(got))
        client.close(got)
    body = b"".join(pieces)
    assert body == raw or gzip.decompress(body) == GOOD  # gzip writes the time of day


def test_connections_are_used_again_after_a_look(judged, client_of, upstream):
    upstream.answers |= behaviours(ERROR)
    mesh, _ = judged("graphql")
    client = client_of(mesh)
    for way in ("whole", "chunks", "gzip", "whole"):
        client.get(f"http://inventory/{way}")
    assert len(upstream.connections) == 1


def test_what_is_no_json_is_not_read_ahead(judged, client_of, upstream):
    mesh, ear = judged("graphql", timeout=5.0)
    client = client_of(mesh)
    began = time.monotonic()
    if client_of.library == "requests":
        client.get("http://inventory/events", stream=True).close()
    else:
        client.close(client.stream("http://inventory/events"))
    assert time.monotonic() - began < 2
    assert (ear.verdicts, ear.bodies) == ([Verdict.SUCCESS], [b""])


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n" + JSON, b"0123456789"],
        [CHUNKED[:-2] + JSON, b"a\r\n012"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n" + JSON, b"\x1f\x8b\x08"],
    ],
    ids=["length", "chunks", "gzip"],
)
def test_a_body_cut_short_breaks_for_the_caller_and_is_a_failure(parts, judged, client_of, upstream):
    upstream.answers["cut"] = _then(*parts, end="reset", pause=0.02)
    mesh, ear = judged("graphql")
    with pytest.raises(BROKEN):
        client_of(mesh).get("http://inventory/cut")
    settle(mesh)
    assert [ending for ending, _ in ear.ends] == ["broken"]
    assert ear.verdicts == [Verdict.SUCCESS], "by its headers it was one"
    assert not mesh.services["inventory"].endpoints[0].open


def test_the_deadline_holds_while_the_body_is_looked_at(judged, client_of, upstream):
    upstream.answers["stall"] = _then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n" + JSON, b'{"data"', end="hold")
    mesh, ear = judged("graphql", timeout=1.3)
    began = time.monotonic()
    with pytest.raises(Exception, match=r"deadline of 1\.300 s exceeded"):
        client_of(mesh).get("http://inventory/stall")
    assert 1.2 < time.monotonic() - began < 3
    settle(mesh)
    assert [ending for ending, _ in ear.ends] == ["broken"]
    assert not mesh.services["inventory"].endpoints[0].open


def test_the_time_of_the_look_is_part_of_the_answers(judged, client_of, upstream, monkeypatch):
    monkeypatch.setattr(Lateness, "since", lambda *_: 0.0)  # what this process stands still would be taken off
    upstream.answers["slow"] = _then(answer(200, ERROR, Content_Type="application/json")[:-5], ERROR[-5:], pause=0.3)
    mesh, ear = judged(lambda request, outcome: Verdict.SUCCESS)
    looking, heard = judged(Looking())
    for each in (mesh, looking):
        client_of(each).get("http://inventory/slow")
        settle(each)
    assert [0.3 < wire < 1.5 for _, wire in (*ear.ends, *heard.ends)] == [True, True]


class Looking:
    needs_body = 1000

    def classify(self, request, outcome):
        return Verdict.SUCCESS


def test_a_function_of_ones_own_judges_by_headers(judged, client_of, upstream):
    mesh, ear = judged(lambda request, outcome: Verdict.FAILURE if outcome.headers.get("X-Broken") else Verdict.SUCCESS)
    client = client_of(mesh)
    client.get("http://inventory/status/200?X-Broken=1")
    client.get("http://inventory/status/200")
    assert ear.verdicts == [Verdict.FAILURE, Verdict.SUCCESS]


def test_a_classifier_that_raises_leaves_the_answer_to_its_status(judged, client_of, upstream):
    def broken(request, outcome):
        raise RuntimeError("no idea")

    mesh, ear = judged(broken)
    assert client_of(mesh).get("http://inventory/status/500").status_code == 500
    assert ear.verdicts == [Verdict.FAILURE]
    (event,) = [each for each in ear.events if isinstance(each, PluginFailed)]
    assert (event.plugin, event.error) == ("classifier", "RuntimeError: no idea")


def test_an_endpoint_that_says_no_in_a_200_is_ejected(judged, client_of, upstreams):
    good = json.dumps({"data": {}}).encode()
    upstreams[0].answers["graphql"] = _then(answer(200, ERROR, Content_Type="application/json"))
    for each in upstreams[1:]:
        each.answers["graphql"] = _then(answer(200, good, Content_Type="application/json"))
    mesh, _ = judged("graphql", endpoints=[each.address for each in upstreams], strategy="round_robin")
    client = client_of(mesh)
    for _ in range(12):
        client.get("http://inventory/graphql")
    assert [Bar.EJECTED in each.bars for each in mesh.services["inventory"].endpoints] == [True, False, False]
