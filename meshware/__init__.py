"""meshware: service-mesh behaviour for Python web services, inside the process.

The front door. Each name is loaded when it is first used, so `import meshware` costs next to nothing
and loads nothing third-party.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` would be most of what this import costs
if TYPE_CHECKING:
    from typing import Any

    from meshware.context import (
        RequestContext,
        annotate,
        no_retry,
        operation,
        override,
        propagate,
        remaining,
        request_context,
    )
    from meshware.core.errors import CircuitOpen, DeadlineExceeded, MeshError, NoEndpoint, SettingsError
    from meshware.mesh import Mesh
    from meshware.outbound.instrument import instrument, uninstrument
    from meshware.plugins import predicate

__version__ = "0.1.0"

__all__ = [
    "CircuitOpen",
    "DeadlineExceeded",
    "Mesh",
    "MeshError",
    "NoEndpoint",
    "RequestContext",
    "SettingsError",
    "__version__",
    "annotate",
    "instrument",
    "no_retry",
    "operation",
    "override",
    "predicate",
    "propagate",
    "remaining",
    "request_context",
    "uninstrument",
]

_HOMES = {
    "CircuitOpen": "meshware.core.errors",
    "DeadlineExceeded": "meshware.core.errors",
    "Mesh": "meshware.mesh",
    "MeshError": "meshware.core.errors",
    "NoEndpoint": "meshware.core.errors",
    "RequestContext": "meshware.context",
    "SettingsError": "meshware.core.errors",
    "annotate": "meshware.context",
    "instrument": "meshware.outbound.instrument",
    "no_retry": "meshware.context",
    "operation": "meshware.context",
    "override": "meshware.context",
    "predicate": "meshware.plugins",
    "propagate": "meshware.context",
    "remaining": "meshware.context",
    "request_context": "meshware.context",
    "uninstrument": "meshware.outbound.instrument",
}


def __getattr__(name: str) -> Any:
    """The public name, from its home; kept here, so the next use is a plain attribute."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'meshware' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
