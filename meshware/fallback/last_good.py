"""The last good answers of a service, kept for when there is none (RFC 5861, stale-if-error). Bounded on every side.

On the path of a call that succeeds: a look at its headers, a copy of its body while that is read, never more than
`answer_bytes` of it, and at its end one dictionary entry under a lock of the service. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache

from meshware.core.reply import Headers, Reply
from meshware.fallback import caching

if TYPE_CHECKING:
    from meshware.core.request import Request

SOURCE = "last-good"

OVERHEAD = 512
"""Bytes that an entry counts beside its body and headers."""


@dataclass(frozen=True, slots=True)
class LastGoodOptions:
    """Seconds, entries, and bytes: of one answer's body, and of all that is kept."""

    age: float = 300.0
    entries: int = 1000
    answer_bytes: int = 65_536
    total_bytes: int = 4_194_304
    private: bool = False


class Kept(NamedTuple):
    """An answer that was kept at `at`, for requests with these values of the headers that it varies by."""

    status: int
    headers: Headers
    body: bytes
    at: float
    until: float
    varied: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes that it counts."""
        return OVERHEAD + len(self.body) + sum(len(name) + len(value) for name, value in self.headers)


class LastGood:
    """The store of one service. Thread-safe; the lock covers single dictionary operations."""

    def __init__(self, options: LastGoodOptions) -> None:
        self._options = options
        self._known: Any = LRUCache(options.total_bytes, getsizeof=lambda kept: kept.size)
        self._varying: Any = LRUCache(options.entries)
        self._lock = Lock()

    def keeping(
        self, request: Request, url: str, status: int, headers: caching.Fields, *, decoded: bool
    ) -> Keeping | None:
        """What takes this answer's body as it is read; None for one that is not kept."""
        private = self._options.private
        if not caching.askable(request.method, request.headers, private=private):
            return None
        if not caching.keepable(status, headers, private=private):
            return None
        length = caching.text(headers.get("content-length"))
        if length.isdigit() and len(length) < 10 and int(length) > self._options.answer_bytes:
            return None
        return Keeping(self, request, url, status, headers, decoded=decoded, most=self._options.answer_bytes)

    def find(self, request: Request, url: str, now: float) -> Reply | None:
        """The last good answer to such a request, with its age; None when there is none, or it is too old."""
        if not caching.askable(request.method, request.headers, private=self._options.private):
            return None
        primary = self._primary(request, url)
        with self._lock:
            names = self._varying.get(primary)
            kept = None if names is None else self._known.get((primary, _values(request, names)))
        if kept is None or kept.until <= now or kept.varied != _values(request, names):
            return None
        return Reply(kept.status, (*kept.headers, ("age", str(int(now - kept.at)))), kept.body, SOURCE)

    def keep(self, request: Request, url: str, names: tuple[str, ...], kept: Kept) -> None:
        """Put it in the place of what was known; the longest unused make room."""
        primary = self._primary(request, url)
        with self._lock:
            self._varying[primary] = names
            if kept.size <= self._options.total_bytes:
                self._known[primary, kept.varied] = kept
            while len(self._known) > self._options.entries:
                self._known.popitem()

    def forget(self, request: Request, url: str) -> None:
        """An unsafe request has changed what is there (RFC 9111, 4.4)."""
        owner = self._primary(request, url)[2]
        with self._lock:
            for method in caching.METHODS:
                self._varying.pop((method, url, owner), None)

    @property
    def size(self) -> tuple[int, int]:
        """Entries, and bytes that they count."""
        return len(self._known), int(self._known.currsize)

    def until(self, headers: caching.Fields, now: float) -> float:
        """When an answer that came now is too old."""
        return now + min(self._options.age, caching.longest(headers))

    def _primary(self, request: Request, url: str) -> tuple[str, str, bytes]:
        """Method and URL; credentials, where those may be, so that nobody gets another's. Their values are not kept."""
        said = [caching.text(request.headers.get(name)) for name in caching.CREDENTIALS]
        owner = sha256("\0".join(said).encode()).digest() if any(said) else b""
        return request.method, url, owner


class Keeping:
    """One answer's body on its way into the store. Used by whoever reads that body."""

    __slots__ = ("_body", "_decoded", "_facts", "_headers", "_most", "_store")

    def __init__(
        self,
        store: LastGood,
        request: Request,
        url: str,
        status: int,
        headers: caching.Fields,
        *,
        decoded: bool,
        most: int,
    ) -> None:
        self._store, self._facts, self._headers = store, (request, url, status), headers
        self._decoded, self._most = decoded, most
        self._body: bytearray | None = bytearray()

    def add(self, piece: bytes) -> None:
        """The next bytes of the body; of one that is too long nothing is kept."""
        if self._body is not None:
            self._body += piece
            if len(self._body) > self._most:
                self._body = None

    def whole(self, now: float) -> None:
        """The body has come to its end: keep it."""
        body, self._body = self._body, None
        if body is None:
            return
        request, url, status = self._facts
        names = caching.varying(self._headers)
        headers = caching.shown(self._headers, decoded=self._decoded)
        until = self._store.until(self._headers, now)
        kept = Kept(status, headers, bytes(body), now, until, _values(request, names))
        self._store.keep(request, url, names, kept)


def _values(request: Request, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What a request says in these headers."""
    return tuple((name, caching.text(request.headers.get(name))) for name in names)
