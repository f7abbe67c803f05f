"""What every door in does first: the mesh of its settings, put in force for this process."""

from __future__ import annotations

from typing import Any

from meshware.mesh import Mesh
from meshware.telemetry.log import EventLog


def open_mesh(settings: Any) -> Mesh:
    """The mesh of these settings, its events logged; the process's default one, if it is the first.

    Raises SettingsError with every problem found.
    """
    return Mesh.from_settings(settings, observers=[EventLog()]).install()


def unasked_timeout() -> float:
    """Seconds that a call has when no setting and no caller says how many."""
    from meshware.settings.schema import Policy

    return float(Policy.model_fields["timeout"].default)
