"""A Flask app under a real gunicorn, 2 workers x 4 threads, that calls real servers by a logical name."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from inbound.upstream import Upstream

APP = """
import os

import requests
from flask import Flask, Response, stream_with_context

from meshware.context import current
from meshware.inbound.flask import Meshware

app = Flask(__name__)
app.config["MESHWARE"] = {settings!r}
Meshware(app)


@app.get("/")
def index():
    return {{"worker": os.getpid(), "name": requests.get("http://inventory/items", timeout=10).json()["name"]}}


@app.get("/stream")
def stream():
    def chunks():
        for number in range(3):
            yield requests.get(f"http://inventory/{{number}}", timeout=10).json()["path"]

    return Response(stream_with_context(chunks()))


@app.get("/attempt")
def attempt():
    return str(current().attempt)
"""

STARTUP = 30.0
"""Seconds that gunicorn may take on a busy machine before it serves."""


@contextmanager
def gunicorn(folder, *options):
    """gunicorn over `folder/shop.py` on a free port; yields the port and where its output goes."""
    output = folder / "output.txt"
    with socket.create_server(("127.0.0.1", 0)) as listener, output.open("wb") as log:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--workers", "2"]
        command += ["--threads", "4", "--no-control-socket", "--graceful-timeout", "5", *options, "shop:app"]
        process = subprocess.Popen(command, cwd=folder, pass_fds=[listener.fileno()], stdout=log, stderr=log)
        try:
            yield listener.getsockname()[1], output
        finally:
            process.terminate()
            try:
                assert process.wait(STARTUP) == 0
            finally:
                process.kill()


@pytest.fixture
def inventory():
    with closing(Upstream("one")) as one, closing(Upstream("two")) as two:
        yield [one, two]


@pytest.fixture(params=[(), ("--preload",)], ids=["plain", "preload"])
def shop(request, tmp_path, inventory):
    """The app behind gunicorn: its port. Nothing may have gone wrong in it by the end."""
    settings = {
        "services": {"inventory": {"endpoints": [each.address for each in inventory]}},
        "request_timeout": 20.0,
        "trusted_peers": ["127.0.0.0/8"],
    }
    (tmp_path / "shop.py").write_text(APP.format(settings=settings))
    with gunicorn(tmp_path, *request.param) as (port, output):
        yield port
    assert "Traceback" not in output.read_text()


def get(port, path="/", *, headers=()):
    """One request on a connection of its own, headers repeated as given: status and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=STARTUP)) as connection:
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.row("F61")
def test_both_workers_serve_meshed_calls_by_all_their_threads_and_survive_a_dead_endpoint(shop, inventory):
    workers, names = set(), set()
    until = time.monotonic() + STARTUP
    with ThreadPoolExecutor(8) as pool:
        while len(workers) < 2 and time.monotonic() < until:  # which worker accepts is the kernel's choice
            for status, body in pool.map(lambda _: get(shop), range(40)):
                assert status == 200, body
                workers.add(json.loads(body)["worker"])
                names.add(json.loads(body)["name"])
        assert len(workers) == 2
        assert names == {"one", "two"}
        inventory[0].close()
        after = list(pool.map(lambda _: get(shop), range(80)))
    assert {status for status, _ in after} == {200}
    assert {json.loads(body)["name"] for _, body in after} == {"two"}


@pytest.mark.row("F57")
def test_streams_deadlines_and_marks_work_as_gunicorn_hands_them_over(shop, inventory):
    assert get(shop, "/stream") == (200, "/0/1/2")
    sent = [headers for each in inventory for path, headers in each.seen]
    assert all(0 < float(headers["x-meshware-timeout"]) <= 20.0 for headers in sent)
    assert get(shop, "/attempt", headers=[("X-Meshware-Timeout", "0")])[0] == 504
    assert get(shop, "/attempt", headers=[("X-Meshware-Timeout", "0"), ("X-Meshware-Timeout", "0")])[0] == 200
    assert get(shop, "/attempt", headers=[("X-Meshware-Attempt", "2")]) == (200, "2")
    assert get(shop, "/attempt", headers=[("X-Meshware-Attempt", "2"), ("X-Meshware-Attempt", "2")]) == (200, "1")
