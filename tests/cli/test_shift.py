"""`meshware shift`: where shifts stand, and orders that a running process follows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from meshware.cli import main
from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

TOML = """
service = "shop"
board = {{ directory = "{directory}" }}
services.inventory.endpoints = ["{address}"]
services.inventory-v2.endpoints = ["{address}"]

[[shifts]]
name = "v2"
service = "inventory"
to = "inventory-v2"
steps = [10, 50]
"""


@pytest.fixture
def file(folder, inventory):
    Path("shop.toml").write_text(TOML.format(directory=folder, address=inventory.address))
    return "shop.toml"


def run(*arguments):
    return CliRunner().invoke(main, ["shift", *arguments])


def row(*arguments):
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    (found,) = json.loads(ran.stdout)
    return found


def counted(file):
    found = row("status", file)
    return found["calls"], found["failed"], found["slow"]


def told(*arguments):
    found = row(*arguments)
    return found["state"], found["percentage"]


def test_a_running_process_follows(file, session_of):
    mesh = Mesh.from_settings(file)
    try:
        session = session_of(mesh)
        assert isinstance(session.get_adapter("http://inventory"), MeshAdapter)
        session.get("http://inventory/")
        assert told("status", file) == ("running", 10)
        assert told("promote", "v2", file) == ("promoted", 50)
        until = time.monotonic() + 5.0
        while mesh.shifts()[0]["state"] != "promoted" and time.monotonic() < until:
            session.get("http://inventory/")
            time.sleep(0.02)
        assert (mesh.shifts()[0]["state"], mesh.shifts()[0]["percentage"]) == ("promoted", 50.0)
    finally:
        mesh.close()


def test_what_the_workers_of_the_host_have_counted_is_shown(file, session_of):
    Path(file).write_text(Path(file).read_text().replace("[10, 50]", "[100]"))
    mesh = Mesh.from_settings(file)
    try:
        session = session_of(mesh)
        for _ in range(3):
            session.get("http://inventory/")
        until = time.monotonic() + 5.0
        while counted(file) != (3, 0, 0) and time.monotonic() < until:
            time.sleep(0.02)
        assert counted(file) == (3, 0, 0)
        run("pause", "v2", file)
        assert counted(file) == (0, 0, 0)
    finally:
        mesh.close()
    assert counted(file) == (0, 0, 0)


def test_each_order_is_carried_out_and_shown(file):
    assert told("pause", "v2", file) == ("paused", 10)
    assert told("resume", "v2", file) == ("running", 10)
    assert told("revert", "v2", file) == ("reverted", 0)
    shown = run("status", file).output
    assert "reverted" in shown
    assert "by hand" in shown


def test_settings_are_found_as_elsewhere(file, monkeypatch):
    monkeypatch.setenv("MESHWARE_SETTINGS", file)
    assert told("status") == ("running", 10)
    assert told("pause", "v2") == ("paused", 10)


def test_a_file_of_shifts_that_says_nothing_is_told(file, folder):
    run("pause", "v2", file)
    (shifts,) = folder.rglob("*.shifts")
    shifts.write_text("{")
    ran = run("status", file)
    assert (ran.exit_code, str(shifts) in ran.output.replace("\n", "")) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("pause",), 2, "NAME"),
        (("status", "a", "b"), 2, "at most"),
        (("stop", "v2"), 2, "stop"),
        (("pause", "v22", "shop.toml"), 1, "did you mean v2?"),
        (("pause", "canary", "shop.toml"), 1, "there are v2"),
        (("status", "wrong.toml"), 1, "timout"),
        (("status", "alone.toml"), 1, "no `service`"),
    ],
)
def test_what_cannot_be_done_is_said(file, arguments, code, says):
    text = Path(file).read_text()
    Path("wrong.toml").write_text("timout = 1\n" + text)
    Path("alone.toml").write_text(text.replace('service = "shop"', "", 1))
    ran = run(*arguments)
    assert ran.exit_code == code
    assert says in ran.output
