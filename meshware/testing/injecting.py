"""`inject`: a fault in the calls of one service, for as long as a block of a test runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meshware.assembly.faults import fault_of
from meshware.core.service import Service
from meshware.mesh import default_mesh
from meshware.routing.faults import Faults
from meshware.settings.sections.faults import FaultSettings

NONE = ((), False)
"""What a service's faults are made of when its settings have none."""


@contextmanager
def inject(service: Service | str, **fault: Any) -> Iterator[None]:
    """`with inject("inventory", abort=503):` as in the settings' `faults`, before those that are there.

    `service` is one of `mesh.services`, or its name in the mesh in force. `until` is in seconds from now. Holds for all
    threads and tasks. Raises pydantic's ValidationError for what is no fault, LookupError for what is no service.
    """
    found = _found(service) if isinstance(service, str) else service
    now = time.monotonic()
    added = fault_of(FaultSettings.model_validate(fault), now, now)
    _put(found, lambda present: (added, *present))
    try:
        yield
    finally:
        _put(found, lambda present: tuple(each for each in present if each is not added))


def _found(name: str) -> Service:
    mesh = default_mesh()
    if mesh is None:
        raise LookupError("there is no mesh in force: hand over `mesh.services[...]`")
    try:
        return mesh.services[name]
    except KeyError:
        raise LookupError(f"{name}: no service of {mesh}") from None


def _put(service: Service, change: Any) -> None:
    present = service.faults
    made_of = NONE if present is None else present.made_of
    faults = change(() if present is None else present.faults)
    left = faults or made_of != NONE
    service.faults = Faults(service.name, faults, made_of=made_of, emit=service.emit) if left else None
