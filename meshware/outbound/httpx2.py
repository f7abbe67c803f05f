"""The door for httpx2: transports to mount, sync and async, or every client at once.

The client, its cookies, redirects and hooks see the logical name only: the connection alone goes to the
endpoint (see httpx_pools.py). Names that the mesh does not know pass through untouched.
"""

from __future__ import annotations

import httpx2

from meshware.breaking import errors as breaking
from meshware.core import errors
from meshware.outbound.httpx_doors import AsyncDoor, Seam, SyncDoor
from meshware.outbound.httpx_library import Library


class DeadlineExceeded(errors.DeadlineExceeded, httpx2.ReadTimeout):
    """The call's deadline passed."""


class NoEndpoint(errors.NoEndpoint, httpx2.ConnectError):
    """No endpoint of the service may be used now."""


class CircuitOpen(breaking.BreakerOpen, httpx2.ConnectError):
    """The service's circuit is open."""


class Overloaded(errors.Overloaded, httpx2.ConnectError):
    """A limiter of ours refused the call."""


class InsecureService(errors.InsecureService, httpx2.UnsupportedProtocol):
    """`https://` for a service without `tls`."""


LIBRARY = Library(
    httpx2,
    {
        errors.DeadlineExceeded: DeadlineExceeded,
        errors.NoEndpoint: NoEndpoint,
        errors.CircuitOpen: CircuitOpen,
        errors.Overloaded: Overloaded,
        errors.InsecureService: InsecureService,
    },
)

_seam = Seam(LIBRARY)
instrument, uninstrument = _seam.instrument, _seam.uninstrument


class MeshTransport(SyncDoor, httpx2.BaseTransport):
    """`httpx2.Client(transport=MeshTransport())`; see `Door` for its arguments."""

    _library = LIBRARY


class AsyncMeshTransport(AsyncDoor, httpx2.AsyncBaseTransport):
    """`httpx2.AsyncClient(transport=AsyncMeshTransport())`; see `Door` for its arguments."""

    _library = LIBRARY
