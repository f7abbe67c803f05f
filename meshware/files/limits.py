"""How large what was written as text may be: far above what anybody needs, far below what hurts."""

from __future__ import annotations

from typing import Any

SIZE = 524_288
"""Bytes of a file of settings."""

NODES = 100_000
"""Values, lists and sections in all, those behind YAML's aliases counted each time."""

DEPTH = 32
"""Sections and lists within each other."""


def too_many(nodes: int) -> str:
    """What is said of more values than that."""
    return f"at most {nodes:,} values in all"


TOO_MANY = too_many(NODES)
TOO_DEEP = f"at most {DEPTH} sections or lists within each other"


def excess(data: Any, *, most: int = NODES) -> str | None:
    """What is too much about parsed data, or None. Without recursion, and never longer than the limits."""
    waiting = [(data, 0)]
    nodes = 0
    while waiting:
        value, depth = waiting.pop()
        nodes += 1
        if depth > DEPTH:
            return TOO_DEEP
        if isinstance(value, dict | list):
            if nodes + len(waiting) + len(value) > most:
                return too_many(most)
            below = value.values() if isinstance(value, dict) else value
            waiting.extend((each, depth + 1) for each in below)
    return None
