"""The callee's side: what is counted, and what a probe hears."""

from __future__ import annotations

import asyncio

import pytest
from meshware_prequal import AsgiProbeResponder, ProbeResponder
from meshware_prequal.responder import IN_FLIGHT, LATENCY, PATH, Load


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_estimate_is_the_median_of_those_with_about_as_much_in_flight():
    clock = Clock()
    load = Load(clock)
    for _ in range(40):
        with load.request():
            clock.now += 0.1
    with load.request():
        for _ in range(40):
            with load.request():
                clock.now += 0.5
        assert load.in_flight == 1
        assert load.latency() == pytest.approx(0.5)
    assert load.latency() == pytest.approx(0.1)
    assert load.in_flight == 0


def test_nothing_is_known_at_first():
    assert dict(Load().answer()) == {IN_FLIGHT: "0", LATENCY: "0.000000", "content-length": "0"}


class Body:
    closed = False

    def __iter__(self):
        yield b"some"

    def close(self):
        self.closed = True


def wsgi(app, path="/"):
    told = []
    body = app({"PATH_INFO": path}, lambda *facts: told.append(facts))
    return told, body


def test_a_wsgi_request_counts_until_its_body_is_closed():
    made = Body()
    app = ProbeResponder(lambda environ, start_response: made)
    _, body = wsgi(app)
    assert app.load.in_flight == 1
    ((status, headers),), answer = wsgi(app, PATH)
    assert status == "200 OK"
    assert dict(headers)[IN_FLIGHT] == "1"
    assert answer == []
    assert list(body) == [b"some"]
    body.close()
    assert made.closed
    assert app.load.in_flight == 0


def test_a_wsgi_app_that_raises_is_no_longer_in_flight():
    def broken(environ, start_response):
        raise LookupError("the app's own")

    app = ProbeResponder(broken)
    with pytest.raises(LookupError):
        wsgi(app)
    assert app.load.in_flight == 0


def test_a_body_without_an_end_of_its_own_counts_too():
    app = ProbeResponder(lambda environ, start_response: [b"all"])
    _, body = wsgi(app)
    body.close()
    assert app.load.in_flight == 0


def test_asgi_requests_are_counted_and_probes_answered():
    sent, seen = [], []

    async def inner(scope, receive, send):
        seen.append((scope["type"], app.load.in_flight))

    app = AsgiProbeResponder(inner)

    async def send(message):
        sent.append(message)

    async def main():
        await app({"type": "lifespan"}, None, send)
        await app({"type": "http", "path": "/"}, None, send)
        await app({"type": "http", "path": PATH}, None, send)

    asyncio.run(main())
    assert seen == [("lifespan", 0), ("http", 1)]
    assert dict(sent[0]["headers"])[IN_FLIGHT.encode()] == b"0"
    assert app.load.in_flight == 0
