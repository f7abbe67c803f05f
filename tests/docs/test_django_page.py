"""The Django page's quick start, as written, in a fresh project under real servers."""

from __future__ import annotations

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

PAGE = Path(__file__).resolve().parents[2] / "docs" / "django.md"
FILE = re.compile(r"^```\{code-block\} python\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STARTUP = 30.0
SERVERS = {
    "gunicorn": ["gunicorn", "--bind", "fd://{fd}", "--workers", "2", "--no-control-socket", "shop.wsgi"],
    "uvicorn": ["uvicorn", "--fd", "{fd}", "shop.asgi:application"],
}


@pytest.fixture
def project(tmp_path):
    """`startproject`, and then what the page adds."""
    with closing(Upstream("first")) as first, closing(Upstream("second")) as second:
        start = [sys.executable, "-m", "django", "startproject", "shop", str(tmp_path)]
        subprocess.run(start, check=True, timeout=STARTUP)
        for name, text in FILE.findall(PAGE.read_text()):
            file = tmp_path / name
            text = text.replace("127.0.0.1:8001", first.address).replace("127.0.0.1:8002", second.address)
            file.write_text(file.read_text() + "\n" + text if name.endswith("settings.py") else text)
        yield tmp_path


@contextmanager
def serving(project, server):
    """The project under a server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [each.format(fd=listener.fileno()) for each in SERVERS[server]]
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=project, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(STARTUP)


def asked(port, path):
    """The answer, once the server is there."""
    until = time.monotonic() + STARTUP
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": "127.0.0.1"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("server", "path"), [("gunicorn", "/items"), ("uvicorn", "/items-async"), ("uvicorn", "/items")]
)
def test_the_quick_start_runs_as_written(project, server, path):
    with serving(project, server) as port:
        status, body = asked(port, path)
    assert status == 200, body
    assert json.loads(body)["path"] == "/items"


def test_the_quick_start_adds_at_most_ten_lines_to_a_project():
    added = dict(FILE.findall(PAGE.read_text()))["shop/settings.py"].strip().splitlines()
    assert len(added) <= 10


def manage(project, *arguments):
    """`manage.py` of the project."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=project, timeout=STARTUP, capture_output=True, text=True)


@pytest.mark.parametrize("action", [["check"], ["check", "--deploy", "--tag", "meshware"], ["mesh", "check"]])
def test_the_projects_own_commands_pass(project, action):
    subprocess.run(
        [sys.executable, "manage.py", *action], cwd=project, check=True, timeout=STARTUP, capture_output=True
    )


def test_a_wrong_setting_fails_manage_py_check(project):
    file = project / "shop/settings.py"
    file.write_text(file.read_text() + 'MESHWARE = {"services": {"inventory": {"endpoint": ["127.0.0.1:1"]}}}\n')
    ran = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=project, timeout=STARTUP, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "(meshware.E002)" in ran.stderr
    assert "HINT: Did you mean 'endpoints'?" in ran.stderr
