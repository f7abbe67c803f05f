"""The key of a call: what hashing and sticky strategies keep to one endpoint.

A setting `key` says where it comes from: "path", {"header": name}, {"cookie": name} or {"query": name}. A value is
taken as it was sent, nothing is decoded, so that Envoy has the same. A call without it, or with an empty one, has
no key: all who are nobody in particular would else share one endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from meshware.core.call import Call
from meshware.core.endpoint import Endpoint

Key = Callable[[Call], bytes | None]


def reader(key: object) -> Key:
    """What finds the key of a call. Raises ValueError for a setting that is none."""
    if key == "path":
        return _path
    if isinstance(key, Mapping) and len(key) == 1:
        ((kind, name),) = key.items()
        if kind in _KINDS and isinstance(name, str) and name:
            return _KINDS[kind](name)
    raise ValueError(f"key must be 'path', {{'header': name}}, {{'cookie': name}} or {{'query': name}}, not {key!r}")


def open_to(endpoint: Endpoint, call: Call) -> bool:
    """Whether the call may go there: it has not been, and nothing has come up since the picker was made."""
    return endpoint not in call.tried and (not endpoint.bars or call.service.usable(endpoint, call.now))


def _path(call: Call) -> bytes | None:
    """Without the query."""
    return _sent(call.request.path.partition("?")[0])


def _header(name: str) -> Key:
    return lambda call: _sent(call.request.headers.get(name))


def _cookie(name: str) -> Key:
    def read(call: Call) -> bytes | None:
        cookies = _sent(call.request.headers.get("Cookie")) or b""
        return _named(wanted, cookies.split(b";"))

    wanted = name.encode()
    return read


def _query(name: str) -> Key:
    def read(call: Call) -> bytes | None:
        query = call.request.path.partition("?")[2].partition("#")[0]
        return _named(wanted, (_sent(query) or b"").split(b"&"))

    wanted = name.encode()
    return read


def _named(wanted: bytes, pairs: Iterable[bytes]) -> bytes | None:
    """The first value of that name."""
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        if name.strip() == wanted:
            return value.strip().strip(b'"') or None
    return None


def _sent(value: Any) -> bytes | None:
    """The bytes of a value, whichever client has it."""
    return (value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value) or None


_KINDS: Mapping[str, Callable[[str], Key]] = {"header": _header, "cookie": _cookie, "query": _query}
