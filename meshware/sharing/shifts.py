"""Where the shifts of a service stand, for the workers of a host and for `meshware shift`: a file beside the board.

It is read, changed and replaced whole under a lock of its own. It outlives its workers: what was reverted stays so.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshware.sharing.cells import Unusable
from meshware.sharing.directory import directory, stem

Entries = dict[str, dict[str, Any]]
"""By the shift's name: its standing, and under `of` what it was made of."""


class Ledger:
    """The file of one service. Blocks for a moment; raises Unusable or OSError."""

    def __init__(self, service: str, environment: str, chosen: str | None) -> None:
        self._named = stem(service, environment), chosen

    @property
    def path(self) -> Path:
        """Where it lies."""
        name, chosen = self._named
        return directory(chosen) / f"{name}.shifts"

    def read(self) -> Entries:
        """What it says; nothing while there is no file."""
        try:
            said = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Unusable(f"{self.path}: {error}") from error
        if not isinstance(said, dict) or not all(isinstance(each, dict) for each in said.values()):
            raise Unusable(f"{self.path}: not what shifts are written down as")
        return said

    def change(self, change: Callable[[Entries], Entries]) -> Entries:
        """Have it say what `change` makes of what it says, and nobody else change it meanwhile; what that is."""
        path = self.path
        with path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read()
            after = change(before)
            if after != before:
                fresh = path.with_suffix(f".{os.getpid()}")
                fresh.write_text(json.dumps(after))
                fresh.replace(path)
            return after
