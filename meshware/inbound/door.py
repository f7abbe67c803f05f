"""What every door in does first: the mesh of its settings, put in force for this process."""

from __future__ import annotations

from typing import Any

from meshware.mesh import Mesh
from meshware.outbound.instrument import instrument as instrument_clients
from meshware.telemetry.log import EventLog


def open_mesh(settings: Any, *, instrument: bool) -> Mesh:
    """The mesh of these settings, with its events logged, installed as the default if it is the first.

    `instrument`: whether the clients that are installed send mesh names by the mesh from now on. Raises
    SettingsError with every problem found.
    """
    mesh = Mesh.from_settings(settings, observers=[EventLog()]).install()
    if instrument:
        instrument_clients()
    return mesh
