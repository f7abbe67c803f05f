"""Cells of a test that only the soak tier runs: the first tier has enough of them without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some_now(cells: Iterable[Any], now: Iterable[Any]) -> list[Any]:
    """All these, of which the first tier runs those that it is to run `now`."""
    chosen = list(now)
    return [each if each in chosen else _later(each) for each in cells]


def _later(cell: Any) -> Any:
    return pytest.param(*(cell if isinstance(cell, tuple) else (cell,)), marks=pytest.mark.soak)
