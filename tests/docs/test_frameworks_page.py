"""The quick starts of Starlette and FastAPI, as the page has them, under a real uvicorn."""

from __future__ import annotations

import ast
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from inbound.upstream import Upstream

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "frameworks.md").read_text()
QUICK = re.compile(r"^## (\w+)\n\n```\{code-block\} python\n:caption: shop.py\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOPS = dict(QUICK.findall(PAGE))
STARTUP = 30.0


@pytest.fixture(params=sorted(SHOPS))
def code(request):
    return SHOPS[request.param]


@contextmanager
def uvicorn(folder):
    """The page's command in this folder, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "uvicorn", "shop:app", "--fd", str(listener.fileno())]
        process = subprocess.Popen(command, cwd=folder, pass_fds=[listener.fileno()], stderr=subprocess.PIPE, text=True)
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            _, log = process.communicate(timeout=STARTUP)
            assert "Application shutdown complete" in log
            assert "Traceback" not in log


def asked(port):
    """The items, once the server is there."""
    until = time.monotonic() + STARTUP
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            try:
                connection.request("GET", "/items")
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


def test_there_is_one_for_each_framework():
    assert set(SHOPS) == {"Starlette", "FastAPI"}
    assert PAGE.count("uvicorn shop:app\n") == 2


def test_the_quick_start_works_as_written_also_when_a_server_dies(tmp_path, code):
    with closing(Upstream("first")) as first, closing(Upstream("second")) as second:
        code = code.replace("127.0.0.1:8001", first.address).replace("127.0.0.1:8002", second.address)
        (tmp_path / "shop.py").write_text(code)
        with uvicorn(tmp_path) as port:
            before = [asked(port) for _ in range(20)]
            first.close()
            after = [asked(port) for _ in range(20)]
    assert {status for status, _ in before + after} == {200}
    assert {body["name"] for _, body in before} == {"first", "second"}
    assert {body["name"] for _, body in after} == {"second"}
    assert {body["path"] for _, body in before} == {"/items"}


def test_the_quick_start_adds_at_most_ten_lines_to_an_app_that_runs_without_them(tmp_path, code):
    added, kept = [], []
    for statement in ast.parse(code).body:
        source = ast.get_source_segment(code, statement)
        (added if "mesh" in source.lower() else kept).append(statement)
    assert 0 < sum(each.end_lineno - each.lineno + 1 for each in added) <= 10
    (tmp_path / "shop.py").write_text("\n".join(ast.unparse(each) for each in kept))
    command = [sys.executable, "-c", "import shop; print(*(route.path for route in shop.app.routes))"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=STARTUP)
    assert "/items" in ran.stdout, ran.stderr
