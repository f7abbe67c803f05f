"""What a file is written in, by its name. Whoever has no file needs nothing else of this room."""

from __future__ import annotations

from pathlib import PurePath

FORMATS = ("toml", "yaml", "json")
SUFFIXES = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
"""The formats by the ends of files' names."""


def format_of(name: str) -> str | None:
    """The format that the end of a file's name says; None where it says none."""
    return SUFFIXES.get(PurePath(name).suffix.lower())
