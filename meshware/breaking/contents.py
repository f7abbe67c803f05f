"""Looks into bodies: JSON within limits. A body is whatever an endpoint has sent: nothing here raises for it."""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 64
"""Levels of lists and objects that are looked into."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def parsed(body: bytes) -> Any:
    """What the JSON says; None for what is none, cut short, or nested too deeply."""
    if _too_deep(body):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the former: also what is no UTF-8, and numbers of thousands of digits
        return None


def _too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def is_json(content_type: str) -> bool:
    """Whether a body says that it is JSON: `application/json`, `application/graphql-response+json`, and their like."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))
