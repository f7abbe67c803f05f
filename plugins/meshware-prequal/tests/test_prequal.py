"""The strategy by its name, and live: real probes of real servers."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from meshware_prequal import Prequal, ProbeResponder
from meshware_prequal.pool import ProbePool
from meshware_prequal.prober import Prober
from meshware_prequal.responder import IN_FLIGHT, LATENCY

from meshware import Mesh, SettingsError
from meshware.core.call import Call
from meshware.core.request import Request
from meshware.settings.load import load
from meshware.testing import check_strategy


@pytest.fixture(autouse=True)
def no_probes_leave(monkeypatch, request):
    """Addresses of the documentation range would be waited for."""
    if "servers" not in request.fixturenames:
        monkeypatch.setattr(Prober, "ask", lambda self, endpoint: None)


def test_it_is_fit_for_use():
    check_strategy("prequal")
    check_strategy({"prequal": {"probes": 1, "pool": 2, "age": 0.1, "uses": 1}})


@pytest.mark.parametrize(
    "option",
    [
        {"probes": 0},
        {"probes": True},
        {"pool": 1},
        {"age": 0},
        {"hot": 1.5},
        {"timeout": "soon"},
        {"uses": -1},
        {"x": 1},
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_with_its_path(option):
    with pytest.raises(SettingsError, match=rf"services\.shop\.strategy.*{next(iter(option))}"):
        load({"services": {"shop": {"endpoints": ["192.0.2.1:80"], "strategy": {"prequal": option}}}})


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *facts):
        pass


def serving(seconds):
    """A real server whose app takes so long."""

    def app(environ, start_response):
        time.sleep(seconds)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server = Threaded(("127.0.0.1", 0), Quiet)
    server.set_app(ProbeResponder(app))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def servers():
    """Two quick ones and a slow one."""
    made = [serving(0.005), serving(0.005), serving(0.1)]
    yield made
    for each in made:
        each.shutdown()
        each.server_close()


def call(service, address_of):
    """One call that asks its endpoint for real; says where it went."""
    made = Call(service, Request("GET", "shop", "/", {}))
    attempt = made.begin(time.monotonic())
    host, port = attempt.endpoint.host, attempt.endpoint.port
    with socket.create_connection((host, port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while sock.recv(4096):
            pass
    made.leave(attempt, time.monotonic())
    return address_of[port]


def test_a_slow_endpoint_gets_few_calls(servers):
    names = {server.server_port: name for server, name in zip(servers, ("quick", "quick", "slow"), strict=True)}
    settings = {"endpoints": [f"127.0.0.1:{port}" for port in names], "strategy": "prequal"}
    mesh = Mesh(load({"services": {"shop": settings}}), rng=random.Random(1))
    service, seen = mesh.services["shop"], Counter()

    def work():
        for _ in range(40):
            seen[call(service, names)] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    mesh.close()
    assert seen["slow"] < 0.2 * sum(seen.values())  # at random: a third


def test_an_endpoint_that_answers_no_probes_is_forgotten_and_nothing_breaks(servers):
    pool = ProbePool(size=16, age=1.0, uses=4, hot=0.84)
    prober = Prober(pool, threads=1, waiting=2, timeout=0.2)
    connections = {}
    (endpoint,) = (
        Mesh(load({"services": {"shop": {"endpoints": [f"127.0.0.1:{servers[0].server_port}"]}}}))
        .services["shop"]
        .endpoints
    )
    prober.probe(endpoint, connections)
    assert (len(pool), prober.failed) == (1, 0)
    servers[0].set_app(lambda environ, start_response: (start_response("404 Not Found", []), [b""])[1])
    prober.probe(endpoint, connections)
    assert (len(pool), prober.failed) == (1, 1)
    assert connections == {}


class KeptAlive(BaseHTTPRequestHandler):
    """Answers probes on connections that last; its server has those that are open, and counts all."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.accepted += 1
        self.server.open.add(self)

    def finish(self):
        super().finish()
        self.server.open.discard(self)

    def do_GET(self):
        self.send_response(200)
        for name, value in {IN_FLIGHT: "1", LATENCY: "0.01", "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *facts):
        pass


@pytest.fixture
def probed(monkeypatch):
    """Three servers, and their endpoints."""
    monkeypatch.undo()
    made = [ThreadingHTTPServer(("127.0.0.1", 0), KeptAlive) for _ in range(3)]
    for each in made:
        each.accepted, each.open = 0, set()
        threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()
    settings = {"endpoints": [f"127.0.0.1:{each.server_port}" for each in made]}
    mesh = Mesh(load({"services": {"shop": settings}}))
    by_port = {each.port: each for each in mesh.services["shop"].endpoints}
    yield made, [by_port[each.server_port] for each in made]
    mesh.close()
    for each in made:
        each.shutdown()
        each.server_close()


def picking(*pickers, until):
    """Calls that ask for probes, until it is so."""
    given_up = time.monotonic() + 5
    while not until():
        assert time.monotonic() < given_up
        for each in pickers:
            each.pick(SimpleNamespace(rng=random.Random(1), now=time.monotonic()))
        time.sleep(0.01)


def test_the_connections_to_an_endpoint_that_has_gone_are_closed(probed):
    servers, endpoints = probed
    strategy = Prequal()
    picker = strategy.picker(endpoints)
    picking(picker, until=lambda: all(each.open for each in servers))
    picker = strategy.picker(endpoints[:2])
    picking(picker, until=lambda: not servers[2].open)
    assert all(each.open for each in servers[:2])
    del picker  # the service has no endpoints, or has gone itself
    picking(until=lambda: not any(each.open for each in servers))


def test_each_group_of_a_service_keeps_its_connections(probed):
    """Localities make a picker for each of theirs."""
    servers, endpoints = probed
    strategy = Prequal()
    pickers = [strategy.picker((each,)) for each in endpoints]
    picking(*pickers, until=lambda: all(each.open for each in servers))
    turns = iter(range(100))
    picking(*pickers, until=lambda: next(turns, None) is None)
    assert max(each.accepted for each in servers) <= 2  # one for each of the two threads


def test_probes_that_cannot_be_sent_at_once_are_dropped(monkeypatch):
    monkeypatch.undo()
    prober = Prober(ProbePool(size=16, age=1.0, uses=4, hot=0.84), threads=0, waiting=2, timeout=0.2)
    for _ in range(5):
        prober.ask("endpoint")
    assert prober.dropped == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_anew(monkeypatch):
    monkeypatch.undo()
    prober = Prober(ProbePool(size=16, age=1.0, uses=4, hot=0.84), threads=0, waiting=2, timeout=0.2)
    prober.ask("endpoint")
    child = os.fork()
    if child == 0:
        os._exit(0 if not prober._started and prober._queue.empty() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert prober._started


def test_the_readme_s_settings_load():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(block, names)
    load(names["MESHWARE"])
    assert isinstance(names["app"], ProbeResponder)
