"""Plugins in packages of their own, installed as pip would leave them."""

from __future__ import annotations

import sys
import textwrap

import pytest

from meshware import plugins
from meshware.plugins import STRATEGIES


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package as pip would leave it: a module, and a dist-info with its entry points."""
    written = []

    def install(name, source, **points):
        root = tmp_path / name
        info = root / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (root / f"{name}.py").write_text(textwrap.dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{point} = {name}:{kind}" for point, kind in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{STRATEGIES}]", *lines]))
        monkeypatch.syspath_prepend(root)
        written.append(name)
        plugins.installed.cache_clear()

    yield install
    for name in written:
        sys.modules.pop(name, None)
    monkeypatch.undo()
    plugins.installed.cache_clear()


@pytest.fixture
def registry(monkeypatch):
    """Registrations, forgotten after the test."""
    monkeypatch.setattr(plugins, "_registered", {})
