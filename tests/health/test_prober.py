"""Questions to real servers: asked and answered off the call's path, bounded whatever comes, given up in time."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.health import prober as module
from meshware.health.load import PATH
from meshware.health.prober import WAITING, Prober
from meshware.security.orca import read_report

SOON = 10.0
GOOD = b"HTTP/1.1 204 No Content\r\nserver: x\r\nEndpoint-Load-Metrics: TEXT named_metrics.inflight=7\r\n\r\n"


class Server:
    """Answers each question on a connection by the same bytes; `asked` keeps the questions."""

    def __init__(self, answer=GOOD, *, keeps=True, drips=False):
        self.answer, self.keeps, self.drips = answer, keeps, drips
        self.asked, self.connections = [], []
        self.stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.endpoint = Endpoint(self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            while question := sock.recv(4096):
                self.asked.append(question)
                for piece in (
                    [self.answer[at : at + 1] for at in range(len(self.answer))] if self.drips else [self.answer]
                ):
                    sock.sendall(piece)
                    if self.drips and self.stopping.wait(0.05):
                        break
                if not self.keeps:
                    break
        except OSError:
            return
        finally:
            sock.close()

    def close(self):
        self.stopping.set()
        self._server.close()
        for sock in self.connections:
            sock.close()


class Asked:
    """As a strategy waits for an answer."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.asking, self.rests = False, 0.0
        self.answers = []
        self._came = threading.Event()

    def told(self, report, now):
        self._came_with(report)

    def silent(self, now):
        self._came_with(None)

    def _came_with(self, report):
        self.answers.append(report)
        self.asking = False
        self._came.set()

    def wait(self):
        assert self._came.wait(SOON)
        self._came.clear()
        return self.answers[-1]


def made():
    return Prober(read_report, header="endpoint-load-metrics")


@contextmanager
def probing(*args, **options):
    """A prober, and somebody who asks a server of this kind."""
    prober = made()
    with closing(Server(*args, **options)) as server:
        try:
            yield prober, Asked(server.endpoint), server
        finally:
            prober.stop()


def ask(prober, asked):
    prober.ask([asked], time.monotonic())
    return asked.wait()


def until(condition):
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert condition()


def test_an_answer_is_told_and_the_connection_kept():
    with probing() as (prober, asked, server):
        for _ in range(4):
            assert ask(prober, asked).queue == 7.0
        assert server.asked[0].startswith(f"GET {PATH} HTTP/1.1\r\nHost: {server.address}\r\n".encode())
        assert len(server.connections) <= module.THREADS


def test_a_server_that_closes_is_connected_to_again():
    with probing(keeps=False) as (prober, asked, server):
        for _ in range(4):
            assert ask(prober, asked).queue == 7.0
        assert len(server.connections) == 4


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nendpoint-load-metrics: TEXT eps=1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nendpoint-load-metrics: garbage\r\n\r\n",
        GOOD[:-2] + b"endpoint-load-metrics: TEXT eps=1\r\n\r\n",
        GOOD + b"more",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\r\n\r\n",
        b"x" * 20_000,
    ],
    ids=lambda each: each[:20].decode(),
)
def test_any_other_answer_is_none(answer):
    with probing(answer) as (prober, asked, _):
        assert ask(prober, asked) is None


def test_a_server_that_drips_is_left_in_time():
    with probing(drips=True) as (prober, asked, server):
        assert ask(prober, asked) is None
        assert len(server.asked) == 1


def test_nobody_there_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    prober = made()
    assert ask(prober, Asked(Endpoint(f"127.0.0.1:{port}"))) is None
    prober.stop()


def test_an_endpoint_that_may_not_be_used_is_not_asked():
    with probing() as (prober, asked, server):
        asked.endpoint.availability.bar(Bar.EJECTED)
        assert ask(prober, asked) is None
        assert server.asked == []


def test_who_is_being_asked_or_rests_is_not_asked_again():
    with probing() as (prober, asked, server):
        asked.asking = True
        prober.ask([asked], time.monotonic())
        asked.asking, asked.rests = False, time.monotonic() + 60
        prober.ask([asked], time.monotonic())
        other = Asked(server.endpoint)
        assert ask(prober, other).queue == 7.0
        assert asked.answers == []


def test_where_too_many_wait_a_question_is_dropped(monkeypatch):
    monkeypatch.setattr(module, "THREADS", 0)
    prober = made()
    many = [Asked(Endpoint(f"127.0.0.1:{port}")) for port in range(1, 2 * WAITING)]
    for each in many:
        prober.ask([each], 1.0)
    assert sum(each.asking for each in many) == WAITING
    assert prober.dropped == len(many) - WAITING


def threads():
    return [each for each in threading.enumerate() if each.name == "meshware-prober"]


def test_nothing_runs_before_the_first_question_and_nothing_after_the_end():
    until(lambda: not threads())
    with probing() as (prober, asked, _):
        assert not threads()
        ask(prober, asked)
        assert len(threads()) == module.THREADS
    until(lambda: not threads())
    prober.ask([asked], time.monotonic())
    assert not threads()


def test_the_threads_end_with_who_asked():
    until(lambda: not threads())
    with probing() as (prober, asked, _):
        ask(prober, asked)
    del prober
    until(lambda: not threads())


def test_connections_that_nobody_uses_are_closed(monkeypatch):
    with probing() as (prober, asked, server):
        ask(prober, asked)
        monkeypatch.setattr(module, "UNUSED", 0.0)
        until(lambda: not any(prober._connections))
        assert server.connections[0].recv(1) == b"" if server.connections[0].fileno() >= 0 else True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_asks_anew_and_leaves_the_parents_connections_alone():
    with probing() as (prober, asked, server):
        ask(prober, asked)
        child, alike = os.fork(), False
        if not child:
            try:
                asked = Asked(server.endpoint)
                alike = not threads() and prober._connections == [] and ask(prober, asked).queue == 7.0
            finally:
                os._exit(0 if alike else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert ask(prober, asked).queue == 7.0
