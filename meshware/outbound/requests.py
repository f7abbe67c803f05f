"""The door for requests: an adapter to mount, or every HTTPAdapter at once.

The session, its cookies, redirects and hooks see the logical name only: the connection alone goes to the
endpoint (see pools.py). Names that the mesh does not know pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from meshware.mesh import default_mesh
from meshware.outbound import wire as wires
from meshware.outbound.patch import Patch
from meshware.outbound.pools import WirePools
from meshware.outbound.requests_call import RequestsCall
from meshware.outbound.verbatim import verbatim

if TYPE_CHECKING:
    from meshware.mesh import Mesh

FindMesh = Callable[[], "Mesh | None"]

POOLS = 1000
"""Endpoints for which an adapter keeps connections; beyond, the oldest are closed."""


class MeshAdapter(HTTPAdapter):
    """Mount it on a session: `session.mount("http://", MeshAdapter())`. Takes HTTPAdapter's arguments.

    `mesh` is used for every call; without it the context's mesh, or the process's default one.
    Errors of ours are requests' too (see requests_errors.py). Thread-safe as far as the session is.
    """

    mesh: Mesh | None = None

    def __init__(self, mesh: Mesh | None = None, **options: Any) -> None:
        self.mesh = mesh
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send by the mesh where the name is the mesh's, else as HTTPAdapter does."""
        return _meshed(self, lambda: self.mesh or default_mesh(), request, *args, **options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """The endpoint's connections while an attempt is sent."""
        return _pool(self, *args, **options)

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Path and query while an attempt is sent: there is no proxy."""
        return _target(self, request, proxies)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """As HTTPAdapter does; of an attempt's answer without cookies none are looked for."""
        return _built(self, req, resp)

    def close(self) -> None:
        """Close all connections, the mesh's too."""
        _closed(self)


def instrument(find_mesh: FindMesh) -> None:
    """Have every HTTPAdapter send mesh names by the mesh that `find_mesh` gives at the time of the call."""
    global _find_mesh
    _find_mesh = find_mesh
    for patch in _PATCHES:
        patch.put()


def uninstrument() -> None:
    """Undo `instrument`."""
    global _find_mesh
    _find_mesh = _nobody
    for patch in _PATCHES:
        patch.take_back()


def _nobody() -> None:
    """Finds no mesh: where another tool still calls us."""


_find_mesh: FindMesh = _nobody


def _sent(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
    """What stands in for `HTTPAdapter.send`."""
    return _meshed(adapter, _find_mesh, request, *args, **options)


def _meshed(
    adapter: HTTPAdapter,
    find_mesh: FindMesh,
    request: requests.PreparedRequest,
    stream: bool = False,
    timeout: Any = None,
    verify: Any = True,
    cert: Any = None,
    proxies: Any = None,
) -> requests.Response:
    """Send by the mesh that is found, if it knows the name. Takes the arguments of `HTTPAdapter.send`."""
    send: Callable[..., requests.Response] = _SEND.under
    mine = wires.current.get(None)
    mesh = None if mine is not None and mine.request is request else find_mesh()
    if mesh is not None:
        url = urlsplit(str(request.url))
        name = _name(url.scheme, url.netloc)
        service = None if name is None else mesh.find(*name)
        if service is not None:
            options = {"stream": stream, "verify": verify, "cert": cert, "proxies": {}}
            call = RequestsCall(
                adapter, partial(send, adapter), service, request, url, timeout=timeout, options=options
            )
            return call.run(mesh)
    return send(adapter, request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)


@lru_cache(maxsize=1024)
def _name(scheme: str, authority: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port, where they can be a name: userinfo and percent signs are never part of one."""
    if "@" in authority or "%" in authority:
        return None
    try:
        url = urlsplit(f"{scheme}://{authority}")
        return (scheme, url.hostname, url.port) if url.hostname else None
    except ValueError:
        return None  # a port that is none: requests says so itself


def _pool(
    adapter: HTTPAdapter, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
) -> Any:
    """What stands in for `get_connection_with_tls_context`: during an attempt, connections to its endpoint."""
    wire = wires.current.get(None)
    if wire is None or wire.request is not request:
        return _POOL.under(adapter, request, verify, proxies=proxies, cert=cert)
    pools = adapter.__dict__.get("_meshware_pools")
    if pools is None:
        made = WirePools(POOLS, **adapter.poolmanager.connection_pool_kw)
        pools = adapter.__dict__.setdefault("_meshware_pools", made)
    return pools.get(wire, verify, cert, lambda: adapter.build_connection_pool_key_attributes(request, verify, cert))


def _target(adapter: HTTPAdapter, request: requests.PreparedRequest, proxies: Any) -> str:
    """What stands in for `request_url`."""
    wire = wires.current.get(None)
    if wire is None or wire.request is not request:
        url: str = _TARGET.under(adapter, request, proxies)
        return url
    return wire.target or request.path_url


def _built(adapter: HTTPAdapter, request: requests.PreparedRequest, response: Any) -> requests.Response:
    """What stands in for `build_response`: in an attempt's answer without cookies nobody looks for them at length."""
    wire, under = wires.current.get(None), _BUILD.under
    if under is _LIBRARYS and wire is not None and wire.request is request and not _baked(response.headers):
        under = _cookieless
    built: requests.Response = under(adapter, request, response)
    return built


def _baked(headers: Any) -> bool:
    return "set-cookie" in headers or "set-cookie2" in headers


_LIBRARYS = HTTPAdapter.build_response


def _merged(headers: Any) -> CaseInsensitiveDict[str]:
    """Headers as requests has them: each name is looked for once, not three times."""
    return CaseInsensitiveDict(headers.itermerged())


_cookieless = verbatim(_LIBRARYS, extract_cookies_to_jar=lambda *_jar_and_answer: None, CaseInsensitiveDict=_merged)


def _closed(adapter: HTTPAdapter) -> None:
    """What stands in for `HTTPAdapter.close`."""
    _CLOSE.under(adapter)
    pools: WirePools | None = adapter.__dict__.get("_meshware_pools")
    if pools is not None:
        pools.clear()


_SEND = Patch(HTTPAdapter, "send", _sent)
_POOL = Patch(HTTPAdapter, "get_connection_with_tls_context", _pool)
_TARGET = Patch(HTTPAdapter, "request_url", _target)
_BUILD = Patch(HTTPAdapter, "build_response", _built)
_CLOSE = Patch(HTTPAdapter, "close", _closed)
_PATCHES = _SEND, _POOL, _TARGET, _BUILD, _CLOSE
