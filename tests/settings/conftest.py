"""Modules made for one test."""

from __future__ import annotations

import sys
import textwrap

import pytest


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be imported; forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)
