"""An upstream with an app that calls it by its name, and a shop whose settings are checked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cli.checking import APP, BROKEN, SHOP
from cli.meshed import SCRIPT
from inbound.upstream import Upstream

import meshware.mesh
from meshware.outbound.instrument import uninstrument


@pytest.fixture
def inventory():
    server = Upstream("inventory")
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path, monkeypatch, inventory):
    """The current directory, with mesh.toml and app.py; the environment has none of our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MESHWARE") or name == "PYTHONPATH"]:
        monkeypatch.delenv(name)
    Path("mesh.toml").write_text(f'[services.inventory]\nendpoints = ["{inventory.address}"]\n')
    Path("app.py").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def shop(tmp_path, monkeypatch, request):
    """The name of a package in the current directory, another for each test: modules stay imported."""
    name = f"shop_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "mesh.py").write_text(SHOP)
    (tmp_path / name / "app.py").write_text(APP.format(package=name))
    (tmp_path / name / "broken.py").write_text(BROKEN)
    (tmp_path / name / "typo.py").write_text("MESHWARE = {")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield name
    uninstrument()
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()
