"""The one mesh of a Django process: that of `settings.MESHWARE`, opened when first needed, followed when it changes."""

from __future__ import annotations

from threading import Lock
from typing import Any

from django.conf import settings

from meshware.inbound.door import Door, open_mesh
from meshware.settings.sources import from_django

_lock = Lock()
_door: Door | None = None


def door() -> Door:
    """The process's door. Raises SettingsError with every problem found."""
    global _door
    with _lock:
        if _door is None:
            _door = Door(open_mesh(from_django(settings)))
        return _door


def follow(*, setting: str, enter: bool, **_facts: Any) -> None:
    """Django's `setting_changed`, as tests send it. Raises SettingsError for wrong ones: the old stay in force."""
    if setting == "MESHWARE" and _door is not None and (enter or hasattr(settings, "MESHWARE")):
        _door.mesh.reload(from_django(settings))
