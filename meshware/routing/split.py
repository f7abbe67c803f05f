"""Split: which of several services a call goes to, by weight.

A sticky one puts each key where it stands by hashing, so every process and every reload has it in the same place. On a
line from 0 to 1 the first service has its share at one end, the second at the other, and the last one what is left
between; further ones draw from that, each by a hash of its own. So what a weight gains at the cost of the last one's
is all that changes hands, and hardly more where there are further ones (for any change of several weights no scheme
does better than 2d/(1+d), d the change: Holenstein 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from meshware.routing import values

if TYPE_CHECKING:
    from meshware.core.policy import Rng
    from meshware.core.request import Request

T = TypeVar("T")

Key = Callable[["Request", Any], str | None]

SPAN = 2.0**64


class Split(Generic[T]):
    """Names with their weights, at least one above 0, and what each stands for. Immutable, so thread-safe.

    `key` says who stays where he is; without one, or for a call that has none, it is drawn.
    """

    __slots__ = ("_first", "_further", "_key", "_name", "_rest", "_second", "shares")

    def __init__(self, parts: Sequence[tuple[str, float, T]], key: Key | None = None) -> None:
        total = sum(weight for _, weight, _ in parts)
        self.shares = {name: weight / total for name, weight, _ in parts}
        *before, (name, weight, rest) = parts
        self._key = key
        self._name = name.encode()
        self._rest = rest if weight else next(part for _, weight, part in parts if weight)
        shares = [(name, weight / total, part) for name, weight, part in before]
        self._first = shares[0][1:] if shares else (0.0, rest)
        self._second = (1.0 - shares[1][1], shares[1][2]) if len(shares) > 1 else (1.0, rest)
        left = sum(share for _, share, _ in shares[2:]) + weight / total
        self._further: list[tuple[bytes, float, T]] = []
        for name, share, part in shares[2:]:
            self._further.append((name.encode(), share / left if left else 0.0, part))
            left -= share

    @property
    def now(self) -> Split[T]:
        """Itself: it never changes, as a shift does (shift.py), which stands in its place."""
        return self

    def pick(self, request: Request, context: Any, rng: Rng) -> T:
        """The part of this call."""
        said = self.said(request, context)
        place = rng.random() if said is None else self.place(said)
        if place < self._first[0]:
            return self._first[1]
        if place >= self._second[0]:
            return self._second[1]
        for name, share, part in self._further:
            if (rng.random() if said is None else position(name, said)) < share:
                return part
        return self._rest

    def said(self, request: Request, context: Any) -> bytes | None:
        """The key by which this call stays where it is; None: it has none."""
        key = None if self._key is None else self._key(request, context)
        return key.encode("utf-8", "surrogatepass") if key else None

    def place(self, said: bytes) -> float:
        """Where such a key stands on the line."""
        return position(self._name, said)


def position(name: bytes, key: bytes) -> float:
    """Where a key stands for a name, from 0 to 1: the same in every process."""
    return int.from_bytes(blake2b(key, digest_size=8, key=name[:64]).digest()) / SPAN


def key_of(kind: str, name: str) -> Key:
    """What finds the key of a call: in a `header`, a `cookie`, or an `attribute` of the inbound request's context."""
    if kind == "attribute":
        return lambda request, context: _attribute(context, name)
    read = values.header if kind == "header" else values.cookie
    return lambda request, context: next(iter(read(request, name)), None)


def _attribute(context: Any, name: str) -> str | None:
    value = None if context is None else context.attributes.get(name)
    return None if value is None else str(value)
