"""The file that a mesh's settings come from, followed while its housekeeper runs.

It is looked at by one of the housekeeper's hands. What it holds is checked whole before it is put in force; while it
is broken, half-written or gone the old settings stay, which is said once, with every problem.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from math import inf
from time import thread_time
from typing import TYPE_CHECKING, Any, Protocol

from meshware.core.errors import MeshError, Problem, SettingsError
from meshware.files.contents import Unreadable
from meshware.files.watched import Watched
from meshware.settings.environment import overridden
from meshware.settings.files import from_file
from meshware.settings.load import validated

if TYPE_CHECKING:
    from meshware.core.policy import Hands
    from meshware.settings.schema import MeshSettings

LOOK, SOON, LATELY = 0.5, 0.02, 2.0
"""Seconds between two looks; those while the file is changing; and for how long it is taken for changing."""

TIMES, TELLING = 50, 12
"""Looks at a file that is changing that one hand takes in a row, and after how many it tells what is wrong: what is
mended at once is nothing to tell."""

REST = 4.0
"""Times what a look took of the processor before the next: large settings that change all the time must not take it
all. Not of the clock: a machine that stands still would be followed by as long a rest, four times over."""

LIMIT = 60.0
"""Seconds after which reading and checking it counts as hung."""

BETWEEN = 1.0
"""Seconds between two words on what is wrong with it, however often that changes."""


class Follower(Protocol):
    """Who has the file's settings."""

    def follow(self, file: Following, settings: MeshSettings) -> None:
        """Put these in force, unless the file is not the one that is followed any more. Raises MeshError."""
        ...

    def refused(self, error: str) -> None:
        """They are wrong: the old ones stay."""
        ...


class Following:
    """One file, for a mesh that has its settings.

    `due`: when it is to be kept next. `error`: what is wrong with it now; `confirmed`: when it was last found to say
    what is in force. Begins with `read`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] | None,
        clock: Callable[[], float],
    ) -> None:
        self.path = os.path.abspath(path)
        self.error = ""
        self.due = -inf
        self._name = os.fspath(path)
        self._environ = environ or {}
        self._clock = clock
        self._watched = Watched(self.path)
        self._pause = threading.Event()  # never set: a wait and no more
        self._wrong = self._said = ""
        self._said_at = -inf
        self._changed = -inf
        self.confirmed = clock()

    def read(self) -> MeshSettings:
        """What it says now. Raises SettingsError."""
        return self._settings(lambda name: self._watched.read())

    def keep(self, now: float, hands: Hands, mesh: Follower) -> None:
        """Look at it when it is time. Must not block."""
        if now < self.due:
            return
        self.due = inf

        def looked(took: float | None, error: Exception | None, now: float) -> None:
            if error is not None:
                mesh.refused(str(error))
            self.due = now + max(SOON if self._changing() else LOOK, REST * (took or 0.0))

        if not hands.give(self, lambda: self._look(mesh), limit=LIMIT, done=looked):
            self.due = now + LOOK

    def after_fork(self) -> None:
        """In the child: who was looking is the parent's."""
        self.due = -inf

    def status(self, now: float) -> dict[str, Any]:
        """As plain data."""
        return {"path": self.path, "age": now - self.confirmed, "error": self.error}

    # On a hand

    def _look(self, mesh: Follower) -> float:
        """Whatever has changed in it is put in force; what that took of the processor, in seconds.

        While it is changing it is looked at again soon: what is right may be broken a moment later.
        """
        took = 0.0
        for turn in range(TIMES):
            self._pause.wait(SOON if turn else 0)
            began = thread_time()
            self._look_once(mesh)
            took = max(took, thread_time() - began)
            if turn >= TELLING:
                self._tell(mesh)
            if took > SOON or not self._changing():
                break
        self._tell(mesh)
        return took

    def _changing(self) -> bool:
        return self._clock() - self._changed < LATELY

    def _look_once(self, mesh: Follower) -> None:
        try:
            data = self._watched.look()
        except Unreadable as error:
            error_now = str(SettingsError([error.problem]))
        else:
            if data is not None:
                self._wrong = self._taken(data, mesh)
            error_now = self._wrong
        if self._watched.moving or error_now != self.error:
            self._changed = self._clock()
        self.error = error_now

    def _taken(self, data: bytes, mesh: Follower) -> str:
        """What is wrong with it, so that it is not in force."""
        try:
            if not data.strip():  # well-formed TOML, and what a file that is written in place looks like at first
                raise SettingsError([Problem("", self._name, "settings, but the file is empty")])
            mesh.follow(self, self._settings(lambda name: data))
        except MeshError as error:
            return str(error)
        return ""

    def _settings(self, contents: Callable[[str], bytes]) -> MeshSettings:
        return validated(overridden(from_file(self._name, contents=contents), self._environ))

    def _tell(self, mesh: Follower) -> None:
        now = self._clock()
        if not self.error:
            self.confirmed, self._said = now, ""
        elif self.error != self._said and now - self._said_at >= BETWEEN:
            self._said, self._said_at = self.error, now
            mesh.refused(self.error)
