"""`meshware run` under real servers: their workers are meshed without a line in the app."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cli.meshed import MESHWARE

STARTUP = 30.0
"""Seconds that a server may take on a busy machine before it serves."""

WSGI = """
import json, os
import requests

session = requests.Session()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    name = session.get("http://inventory" + environ["PATH_INFO"], timeout=10).json()["name"]
    return [json.dumps({"worker": os.getpid(), "name": name}).encode()]
"""

ASGI = """
import json, os
import httpx2

client = httpx2.AsyncClient()


async def app(scope, receive, send):
    if scope["type"] == "http":
        answer = await client.get("http://inventory" + scope["path"], timeout=10)
        body = json.dumps({"worker": os.getpid(), "name": answer.json()["name"]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body})
"""


@contextmanager
def served(command, listener):
    """A server on this socket; yields its port when it has answered, and ends it."""
    port = listener.getsockname()[1]
    with Path("output.txt").open("wb") as log:
        server = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + STARTUP
            while not answers(port):
                assert time.monotonic() < deadline, Path("output.txt").read_text()
                assert server.poll() is None, Path("output.txt").read_text()
            yield port
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def answers(port):
    try:
        return get(port, "/")["name"] == "inventory"
    except OSError:
        return False


def of_two_workers(port):
    """Answers of both workers, however late the second one is."""
    answered = []
    deadline = time.monotonic() + STARTUP
    with ThreadPoolExecutor(8) as pool:
        while len({each["worker"] for each in answered}) < 2 and time.monotonic() < deadline:
            answered += pool.map(lambda n: get(port, f"/{n}"), range(16))
    assert len({each["worker"] for each in answered}) == 2
    return answered


def get(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_the_workers_of_gunicorn_are_meshed_without_a_line_in_the_app(folder, inventory, options):
    Path("shop.py").write_text(WSGI)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [MESHWARE, "run", "--settings", "mesh.toml", "--", str(Path(sys.executable).with_name("gunicorn"))]
        command += [
            "shop:app",
            "--bind",
            f"fd://{listener.fileno()}",
            "--workers",
            "2",
            "--no-control-socket",
            *options,
        ]
        with served(command, listener) as port:
            assert {each["name"] for each in of_two_workers(port)} == {"inventory"}
    assert {headers["host"] for _, headers in inventory.seen} == {"inventory"}


def test_the_spawned_workers_of_uvicorn_are_meshed_without_a_line_in_the_app(folder, inventory):
    pytest.importorskip("httpx2")
    Path("shop.py").write_text(ASGI)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [MESHWARE, "run", "--settings", "mesh.toml", "--", sys.executable, "-m", "uvicorn", "shop:app"]
        command += ["--fd", str(listener.fileno()), "--workers", "2", "--lifespan", "off"]
        with served(command, listener) as port:
            assert {each["name"] for each in of_two_workers(port)} == {"inventory"}
    assert {headers["host"] for _, headers in inventory.seen} == {"inventory"}


# The page in the docs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "run.md").read_text()


def test_every_command_of_the_page_is_one_that_runs(folder, inventory):
    lines = [line for text in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in text.splitlines()]
    assert len(lines) == 3
    for name in ("gunicorn", "uvicorn", "python"):  # in the place of the page's: what is meshed, as it finds it
        Path(name).write_text(f"#!{sys.executable}\nimport app\n")
        Path(name).chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in lines:
        real = re.sub(r"(ENDPOINTS)=\S+", rf"\1={inventory.address}", line)
        ran = subprocess.run(
            real, shell=True, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path}
        )
        assert (ran.stdout, ran.stderr) == ("inventory\n", ""), line
