"""Automatic mode: niquests under the entry-point group `meshware.clients`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import niquests
from niquests.adapters import AsyncHTTPAdapter, HTTPAdapter

from meshware_niquests.adapters import AsyncMeshAdapter, MeshAdapter, pools_of, service_of
from meshware_niquests.calls import AsyncCall, SyncCall

if TYPE_CHECKING:
    from meshware.mesh import Mesh

_send, _send_async = HTTPAdapter.send, AsyncHTTPAdapter.send
_close, _close_async = HTTPAdapter.close, AsyncHTTPAdapter.close


class NiquestsClient:
    """niquests: every session of the process, those made earlier included."""

    def find(self) -> ModuleType:
        """niquests' module: it is installed where this is."""
        return niquests

    def instrument(self, find_mesh: Callable[[], Mesh | None]) -> None:
        """Send mesh names by the mesh that `find_mesh` gives at the time of each call. Idempotent."""

        def meshed(adapter: Any, request: Any) -> Any:
            if isinstance(adapter, MeshAdapter | AsyncMeshAdapter) or "_meshware_inner" in adapter.__dict__:
                return None
            mesh, url = find_mesh(), urlsplit(str(request.url))
            service = service_of(mesh, url)
            return None if service is None else (adapter, pools_of(adapter), mesh, service, request, url)

        def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
            facts = meshed(self, request)
            return _send(self, request, *args, **options) if facts is None else SyncCall(*facts, **options).run()

        async def send_async(self: Any, request: Any, *args: Any, **options: Any) -> Any:
            facts = meshed(self, request)
            if facts is None:
                return await _send_async(self, request, *args, **options)
            return await AsyncCall(*facts, **options).run()

        def close(self: Any) -> None:
            _close(self)
            for each in pools_of(self).all() if "_meshware_pools" in self.__dict__ else ():
                _close(each)

        async def close_async(self: Any) -> None:
            await _close_async(self)
            for each in pools_of(self).all() if "_meshware_pools" in self.__dict__ else ():
                await _close_async(each)

        _patch(send, send_async, close, close_async)

    def uninstrument(self) -> None:
        """Undo it. Idempotent."""
        _patch(_send, _send_async, _close, _close_async)


def _patch(send: Any, send_async: Any, close: Any, close_async: Any) -> None:
    HTTPAdapter.send, AsyncHTTPAdapter.send = send, send_async
    HTTPAdapter.close, AsyncHTTPAdapter.close = close, close_async
