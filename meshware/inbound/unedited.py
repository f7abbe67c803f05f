"""The door of `meshware run`, for an app that nobody edits: its clients are instrumented as it imports them.

`begin` runs in every Python that the command starts, before the app's first line. So it imports neither a client
nor the settings: a client is the app's to import, and the mesh is made at the first call, when the app has set up
what its settings may need, forked its workers and patched what it patches. Requests that come in are not seen.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from meshware.outbound.on_import import on_import

if TYPE_CHECKING:
    from meshware.mesh import Mesh

SETTINGS = "MESHWARE_SETTINGS"
CLIENTS = "MESHWARE_RUN_CLIENTS"
DIRECTORY = "MESHWARE_RUN_DIRECTORY"
"""What `meshware run` tells: the settings' source, the clients' names, and where it was called."""


def begin() -> None:
    """Have each client send mesh names by the mesh of the settings, from its import on. The names are modules'."""
    late = LateMesh(os.environ.get(SETTINGS) or {}, os.environ.get(DIRECTORY, ""))
    for name in filter(None, os.environ.get(CLIENTS, "").split(",")):
        on_import(name, partial(_instrument, name, late))


class LateMesh:
    """The process's default mesh, made at the first call where the app itself has none. Thread-safe."""

    def __init__(self, source: Any, directory: str) -> None:
        self._source = source
        self._directory = directory
        self._made = self._making = False
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._after_fork)

    def find(self) -> Mesh | None:
        """The mesh of the context, or the default one; None when there are no settings for one."""
        from meshware.mesh import default_mesh

        mesh = default_mesh()
        if mesh is None and not self._made:
            self._make()
            mesh = default_mesh()
        return mesh

    def _make(self) -> None:
        with self._lock:
            if self._made or self._making:  # made meanwhile; or called by a module of the settings, for which none is
                return
            self._making = True
            try:
                self._open()
            finally:
                self._made = True

    def _open(self) -> None:
        try:
            from meshware.inbound.door import open_mesh

            sys.path.insert(0, self._directory)  # where the settings were checked, and found
            try:
                open_mesh(self._source)
            finally:
                sys.path.remove(self._directory)
        except Exception as error:  # the app goes on without a mesh, as it would have without us
            _tell(f"there is no mesh in process {os.getpid()}: {error}")

    def _after_fork(self) -> None:
        """The thread that was making it is not in the child."""
        self._making = False
        self._lock = threading.RLock()


def _instrument(name: str, late: LateMesh) -> None:
    try:
        from meshware import plugins

        plugins.make(plugins.CLIENTS, name, {}).instrument(late.find)
    except Exception as error:  # the app's import must not fail for it
        _tell(f"{name} is not instrumented: {error}")


def _tell(problem: str) -> None:
    import logging

    logging.getLogger("meshware").error("meshware run: %s", problem)
