"""Mirror: which calls are copied to another service as well, what of them, and how their answers are compared.

It decides and counts. What waits, and how it is sent, is the doors' (outbound/copies.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from meshware.core.mirrored import Answer, Mirrored
from meshware.core.outcome import Verdict

if TYPE_CHECKING:
    from meshware.core.plan import Plan
    from meshware.core.policy import Rng
    from meshware.core.request import Request

Compare = Callable[[Answer, Answer], object]

SUFFIX = "-shadow"
"""What Envoy puts behind the name in a copy's Host header."""

OF_ONE_CONNECTION = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that are never copied: they frame a message, or are for who is next on its way (RFC 9110, 7.6.1)."""


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """`without`: headers that copies go without, in lower case. `host`: their Host; None: the call's, with the suffix.

    `compare` says whether two answers are alike, `reads`: by their bodies too. Bytes: of a request's body that is
    copied, of an answer that is read. `waiting`: copies that wait to be sent.
    """

    share: float = 1.0
    without: frozenset[str] = frozenset()
    host: str | None = None
    max_body: int = 65_536
    max_answer: int = 65_536
    waiting: int = 100
    compare: Compare | None = None
    reads: bool = False


class Mirror:
    """One mirror of one route. Thread-safe.

    `plan` is by which its copies are called; `made_of` what it was made of, to tell whether another is wanted. `sender`
    is who sends them: the doors put it there.
    """

    def __init__(self, route: str, options: MirrorOptions, plan: Plan, *, made_of: object) -> None:
        self.route = route
        self.options = options
        self.plan = plan
        self.made_of = made_of
        self.sender: Any = None
        self._counting = Lock()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def draws(self, rng: Rng) -> bool:
        """Whether a call is copied, as far as chance decides."""
        return self.options.share >= 1.0 or rng.random() < self.options.share

    def refuses(self, body: bytes | None, *, secure: bool) -> str | None:
        """Why a call with this body (None: it is not in memory) has no copy; `secure`: it went over TLS."""
        if body is None:
            return "streamed"
        if len(body) > self.options.max_body:
            return "long"
        return "insecure" if secure and self.plan.service.tls is None else None

    def request(self, request: Request, given: Mapping[str, str]) -> Request:
        """The copy of a request whose headers were these, by lower-case names, Host among them."""
        options = self.options
        headers = {name: value for name, value in given.items() if name not in OF_ONE_CONNECTION | options.without}
        headers["host"] = options.host or shadow(given["host"])
        if options.reads:
            headers["accept-encoding"] = "identity"
        copy = request.at(self.plan.service.name, request.path)
        copy.headers, copy.streamed, copy.timeout = headers, False, None
        return copy

    def compared(self, primary: Answer, copy: Answer) -> bool | None:
        """Whether they are alike; None: that was not asked for, or a body that is to be compared is not there."""
        compare = self.options.compare
        if compare is None or (self.options.reads and (primary.body is None or copy.body is None)):
            return None
        return bool(compare(primary, copy))

    def count(self, mirrored: Mirrored) -> None:
        """What became of a copy."""
        with self._counting:
            if mirrored.dropped is not None:
                self._dropped[mirrored.dropped] += 1
                return
            assert mirrored.outcome is not None
            self._counts["sent"] += 1
            self._counts["failed"] += mirrored.outcome.verdict is not Verdict.SUCCESS
            if mirrored.alike is not None:
                self._counts["alike" if mirrored.alike else "unlike"] += 1

    def status(self) -> dict[str, Any]:
        """What became of its copies, as plain data."""
        with self._counting:
            counts = {name: self._counts[name] for name in ("sent", "failed", "alike", "unlike")}
            return {"route": self.route, "service": self.plan.service.name, **counts, "dropped": dict(self._dropped)}


def shadow(host: str) -> str:
    """The name with Envoy's suffix, before its port if there is one."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        return host + SUFFIX
    return f"{name}{SUFFIX}:{port}"


def by_status(primary: Answer, copy: Answer) -> bool:
    """Alike where both say the same status."""
    return primary.status == copy.status


def by_body(primary: Answer, copy: Answer) -> bool:
    """Alike where the bodies are the same too, byte by byte."""
    return by_status(primary, copy) and primary.body == copy.body
