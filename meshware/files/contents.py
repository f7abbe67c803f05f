"""A file's bytes: of a regular file only, and never more than was asked for."""

from __future__ import annotations

import os
import stat

from meshware.core.errors import Problem
from meshware.files import limits


class Unreadable(ValueError):
    """A file that cannot be read, or does not say what it is named to say; `problem` has where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.where or problem.value}: {problem.expected}")
        self.problem = problem


def contents(name: str, *, size: int = limits.SIZE) -> bytes:
    """All of a file of at most so many bytes. Raises Unreadable."""
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # opening a pipe would wait for who writes to it
            raise Unreadable(Problem("", name, "a file, but that is none"))
        with open(name, "rb") as file:
            data = file.read(size + 1)
    except Unreadable:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(Problem("", name, f"a file that can be read ({reason})")) from error
    if len(data) > size:
        raise Unreadable(Problem("", name, f"a file of at most {size:,} bytes"))
    return data
