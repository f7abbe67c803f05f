"""Every fault of the catalogue has a test that names it by `@pytest.mark.row("F01")`: found in the source, not run."""

from __future__ import annotations

import ast
import gc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
CATALOGUE = {f"F{number:02}" for number in range(1, 62)}


def rows(test: ast.AST) -> Iterator[str]:
    """Those that a test's decorators name."""
    for mark in getattr(test, "decorator_list", ()):
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
            yield from (ast.literal_eval(each) for each in mark.args)


def marked() -> dict[str, list[str]]:
    """By row, the tests that name it."""
    found = defaultdict(list)
    gc.disable()  # CPython 3.11: what other tests' finalizers raise meanwhile spoils `ast.parse`
    try:
        for path in sorted(TESTS.rglob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                for row in rows(node):
                    found[row].append(f"{path.relative_to(TESTS)}::{node.name}")
    finally:
        gc.enable()
    return found


def test_every_row_has_a_test():
    assert sorted(CATALOGUE - marked().keys()) == []


def test_no_test_names_a_row_that_is_none():
    assert sorted(marked().keys() - CATALOGUE) == []
