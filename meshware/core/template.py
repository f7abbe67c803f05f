"""Templates of paths: `/items/{id}` and `/files/{rest=**}`, as Envoy's URI templates have them."""

from __future__ import annotations

import re

VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(=\*\*)?\}", re.ASCII)
"""`{id}`, one segment that is not empty; `{rest=**}`, all that is left."""


def head(template: str) -> str:
    """What every path of a template begins with."""
    return template.partition("{")[0]


def variables(template: str) -> list[str]:
    """The names of its variables, in their order."""
    return [found[1] for found in VARIABLE.finditer(template)]


def compiled(template: str) -> re.Pattern[str]:
    """A template as a regular expression with one way on after each character: its variables are whole segments."""
    parts, at = [], 0
    for found in VARIABLE.finditer(template):
        parts.append(re.escape(template[at : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})")
        at = found.end()
    return re.compile("".join([*parts, re.escape(template[at:])]), re.ASCII | re.DOTALL)
