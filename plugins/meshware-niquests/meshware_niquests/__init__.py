"""niquests by the mesh: adapters to mount, or every session of the process by `meshware.instrument()`."""

from __future__ import annotations

from meshware_niquests.adapters import AsyncMeshAdapter, MeshAdapter
from meshware_niquests.client import NiquestsClient
from meshware_niquests.errors import CircuitOpen, DeadlineExceeded, InsecureService, NoEndpoint, Overloaded

__all__ = [
    "AsyncMeshAdapter",
    "CircuitOpen",
    "DeadlineExceeded",
    "InsecureService",
    "MeshAdapter",
    "NiquestsClient",
    "NoEndpoint",
    "Overloaded",
]
