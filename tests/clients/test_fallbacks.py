"""Fallbacks through the real clients: what the caller gets, and what the mesh learns."""

from __future__ import annotations

import gc
import threading

import pytest
import requests
from clients.calling import BROKEN, source_of
from faults.upstream import BEHAVIOURS, in_flight

import meshware
from meshware.core.events import PluginFailed
from meshware.core.outcome import Outcome
from meshware.core.policy import Observer
from meshware.core.reply import Reply

SORRY = {"static": {"body": {"items": []}, "headers": {"X-Plan": "b"}}}


class Ear(Observer):
    def __init__(self):
        self.ends, self.instead, self.events = [], [], []

    def on_done(self, call, error, now):
        self.ends.append(error)

    def on_fallback(self, call, reply, now):
        self.instead.append(reply.source)

    def on_event(self, event):
        self.events.append(event)


@pytest.fixture
def covered(heard, upstream):
    """`covered({...})`: a mesh of one endpoint with this fallback, and an ear."""

    def make(fallback, **settings):
        settings = {"endpoints": [upstream.address], "retry": {"attempts": 1}, **settings}
        return heard(Ear(), fallback=fallback, **settings)

    return make


@pytest.mark.parametrize("path", ["reset", "status/503", "hole", "garbage"])
def test_a_static_answer_stands_in_for_an_error_and_for_a_gateways_status(covered, client_of, path):
    mesh, ear = covered(SORRY, timeout=0.3)
    answer = client_of(mesh).get(f"http://inventory/{path}?page=1")
    assert (answer.status_code, answer.json()) == (200, {"items": []})
    assert str(answer.url) == f"http://inventory/{path}?page=1"
    assert str(answer.request.url) == str(answer.url)
    assert answer.headers["x-plan"] == "b"
    assert answer.headers["content-length"] == "13"
    assert answer.elapsed.total_seconds() >= 0
    answer.raise_for_status()
    assert source_of(answer) == "static"
    assert ear.instead == ["static"]
    assert in_flight(mesh) == 0


def test_what_succeeds_or_is_not_covered_stays_as_it_is(covered, client_of):
    mesh, ear = covered(SORRY)
    client = client_of(mesh)
    assert client.get("http://inventory/ok").text == "ok"
    assert client.get("http://inventory/status/500").status_code == 500
    assert client.request("POST", "http://inventory/status/503").status_code == 503
    with pytest.raises(BROKEN):
        client.request("POST", "http://inventory/reset")
    assert ear.instead == []


def test_a_replys_cookies_are_the_sessions(covered, client_of):
    mesh, _ = covered({"static": {"body": "", "headers": {"Set-Cookie": "plan=b"}}})
    answer = client_of(mesh).get("http://inventory/status/503")
    assert answer.cookies["plan"] == "b"


def test_a_failing_status_of_a_reply_is_one(covered, client_of):
    mesh, _ = covered({"static": {"status": 530, "body": "down"}})
    answer = client_of(mesh).get("http://inventory/reset")
    with pytest.raises(Exception, match="530"):
        answer.raise_for_status()


def test_a_head_has_no_body(covered, client_of):
    mesh, _ = covered(SORRY)
    answer = client_of(mesh).request("HEAD", "http://inventory/reset")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_refusal_of_the_mesh_is_covered_and_nothing_was_sent(covered, client_of, upstream):
    mesh, _ = covered(SORRY)
    mesh.services["inventory"].endpoints[0].availability.bar(meshware.core.availability.Bar.HELD)
    mesh.services["inventory"].refresh(mesh.clock())
    assert source_of(client_of(mesh).get("http://inventory/ok")) == "static"
    assert upstream.requests == []


def test_https_without_tls_is_refused_and_not_covered(covered, client_of):
    mesh, ear = covered(SORRY)
    with pytest.raises(meshware.MeshError, match="https needs TLS"):
        client_of(mesh).get("https://inventory/ok")
    assert ear.instead == []


def test_the_mesh_learns_of_the_failure_and_not_of_what_stood_in(covered, client_of):
    mesh, ear = covered(SORRY, ejection={"consecutive": 3}, circuit={"calls": 3, "span": 0.001, "base": 30})
    client = client_of(mesh)
    tokens = mesh.services["inventory"].budget.tokens
    for _ in range(3):
        client.get("http://inventory/reset")
    assert [type(each) for each in ear.ends] != [type(None)] * 3
    assert all(each is not None for each in ear.ends)
    assert mesh.services["inventory"].budget.tokens == tokens
    assert source_of(client.get("http://inventory/ok")) == "static"  # the circuit is open
    assert type(ear.ends[-1]).__name__ == "CircuitOpen"


# The last good answer


def test_the_last_good_answer_stands_in_whole(covered, client_of, upstream):
    mesh, _ = covered({"last_good": True})
    client = client_of(mesh)
    for path in ("ok", "chunked", "until-close"):
        good = client.get(f"http://inventory/{path}?a=1")
        upstream.answers[path] = BEHAVIOURS["reset"]
        again = client.get(f"http://inventory/{path}?a=1")
        assert (again.status_code, again.content) == (good.status_code, good.content)
        assert again.headers["content-length"] == str(len(good.content))
        assert again.headers["age"] == "0"
        assert source_of(again) == "last-good"
        with pytest.raises(BROKEN):
            client.get(f"http://inventory/{path}?a=2")


def test_a_body_that_broke_is_no_good_answer(covered, client_of, upstream):
    mesh, _ = covered({"last_good": True})
    client = client_of(mesh)
    for path in ("short", "reset"):
        with pytest.raises(BROKEN):
            client.get("http://inventory/short")
        upstream.answers["short"] = BEHAVIOURS[path]
    assert mesh.services["inventory"].fallback.store.size[0] == 0


def test_a_put_forgets_what_was_good_before(covered, client_of, upstream):
    mesh, _ = covered({"last_good": True})
    client = client_of(mesh)
    client.get("http://inventory/ok")
    client.request("PUT", "http://inventory/ok")
    upstream.answers["ok"] = BEHAVIOURS["reset"]
    with pytest.raises(BROKEN):
        client.get("http://inventory/ok")


def test_an_encoded_answer_is_the_same_again(covered, client_of, upstream):
    import gzip

    body = gzip.compress(b"squeezed")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    upstream.answers["gz"] = lambda connection, seen: connection.send(head + body)
    mesh, _ = covered({"last_good": True})
    client = client_of(mesh)
    assert client.get("http://inventory/gz").text == "squeezed"
    upstream.answers["gz"] = BEHAVIOURS["reset"]
    assert client.get("http://inventory/gz").text == "squeezed"


# The user's function


def test_a_function_is_told_what_was_asked_and_what_went_wrong(covered, client_of):
    told = []

    def instead(request, failure, context):
        told.append((request.method, request.path, request.query, failure, context))
        return {"from": "function"}

    mesh, _ = covered({"callable": instead})
    client = client_of(mesh)
    with meshware.request_context(deadline=5.0) as context:
        answer = client.get("http://inventory/status/503?page=2")
        client.get("http://inventory/reset")
    assert answer.json() == {"from": "function"}
    assert source_of(answer) == "callable"
    assert told[0][:3] == ("GET", "/status/503", "page=2")
    assert isinstance(told[0][3], Outcome)
    assert told[0][3].status == 503
    assert isinstance(told[1][3], Exception)
    assert all(each[4] is context for each in told) or client_of.is_async


def test_a_function_may_have_nothing_and_then_the_static_answer_stands_in(covered, client_of):
    mesh, _ = covered({"callable": lambda request, failure, context: None, **SORRY})
    assert source_of(client_of(mesh).get("http://inventory/reset")) == "static"


def test_where_a_function_raises_the_original_failure_stands_and_is_told(covered, client_of):
    def broken(request, failure, context):
        raise ValueError("no idea")

    mesh, ear = covered({"callable": broken, **SORRY})
    client = client_of(mesh)
    assert client.get("http://inventory/status/503").status_code == 503
    with pytest.raises(BROKEN):
        client.get("http://inventory/reset")
    (first, second) = [each for each in ear.events if isinstance(each, PluginFailed)]
    assert (first.plugin, first.error) == ("fallback", "ValueError: no idea")
    assert second == PluginFailed("inventory", second.at, "fallback", "ValueError: no idea")
    assert in_flight(mesh) == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the loop dies with its socket
def test_a_function_that_is_interrupted_leaves_nothing_open(covered, client_of):
    def interrupted(request, failure, context):
        raise KeyboardInterrupt

    mesh, _ = covered({"callable": interrupted})
    client = client_of(mesh)
    with pytest.raises(KeyboardInterrupt):
        client.get("http://inventory/status/503")
    assert in_flight(mesh) == 0
    gc.collect()


def test_an_async_function_is_awaited_where_the_client_is_async(covered, client_of):
    async def instead(request, failure, context):
        return "later"

    mesh, ear = covered({"callable": instead})
    answer = client_of(mesh).get("http://inventory/status/503")
    if client_of.is_async:
        assert answer.text == "later"
    else:
        assert answer.status_code == 503
        assert "async" in ear.events[-1].error


def test_a_future_for_a_sync_client_is_no_answer(covered, session_of):
    class Later:
        def __await__(self):
            yield

    mesh, _ = covered({"callable": lambda request, failure, context: Later()})
    assert session_of(mesh).get("http://inventory/status/503").status_code == 503


# requests' own ways to a body


def test_what_is_streamed_is_kept_when_it_was_read_to_its_end(covered, session_of, upstream):
    mesh, _ = covered({"last_good": True})
    session, store = session_of(mesh), mesh.services["inventory"].fallback.store
    with session.get("http://inventory/big", stream=True) as answer:
        next(answer.iter_content(10))
    assert store.size[0] == 0
    with session.get("http://inventory/ok", stream=True) as answer:
        assert next(answer.iter_content(1)) == b"o"
        assert b"".join(answer.iter_content(1)) == b"k"
    assert store.size[0] == 0  # who came second had not all of it
    with session.get("http://inventory/ok", stream=True) as answer:
        assert list(answer.iter_content(1, decode_unicode=True)) in (["o", "k"], [b"o", b"k"])
    assert store.size[0] == 0
    with session.get("http://inventory/ok", stream=True) as answer:
        assert b"".join(answer.iter_content(1)) == b"ok"
    assert store.size[0] == 1


def test_an_answer_of_the_users_own_class_is_not_kept_and_not_touched(covered, session_of):
    class Own(requests.Response):
        pass

    class Adapter(meshware.outbound.requests.MeshAdapter):
        def build_response(self, *args):
            answer = super().build_response(*args)
            answer.__class__ = Own
            return answer

    mesh, _ = covered({"last_good": True, **SORRY})
    session = requests.Session()
    session.mount("http://", Adapter(mesh))
    assert type(session.get("http://inventory/ok")) is Own
    assert mesh.services["inventory"].fallback.store.size[0] == 0
    assert type(session.get("http://inventory/reset")) is Own
    session.close()


def test_replies_are_made_on_many_threads(covered, session_of):
    mesh, ear = covered({"callable": lambda request, failure, context: Reply(200, (), b"x", "")})
    session, texts = session_of(mesh), []

    def work():
        for _ in range(10):
            texts.append(session.get("http://inventory/status/503").text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["x"] * 40
    assert ear.instead == ["callable"] * 40
