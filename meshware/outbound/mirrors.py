"""What a door does for the mirrors of a call's route: once the call is decided, copies are put where they wait.

A call that was never begun, or that its caller has given up, has no copy: nor was it its service's to answer. Where
bodies are compared the copy waits until the caller has read the answer to its end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from meshware.core.mirrored import Answer
from meshware.outbound.copies import Copy, sender_of, tell
from meshware.outbound.copy_exchange import Body

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.outcome import Outcome


class Reader(Protocol):
    """Takes a body as its caller reads it."""

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        ...

    def whole(self, now: float) -> None:
        """It has come to its end."""
        ...


class Copies:
    """The copies of one call, made by its door.

    `body` is the request's, None where it is not in memory; `host` the Host header that the client has written.
    """

    __slots__ = ("_body", "_host", "_reads", "_secure")

    def __init__(self, call: Call, body: str | bytes | None, *, host: str, secure: bool) -> None:
        self._body = body.encode() if isinstance(body, str) else body
        self._host, self._secure = host, secure
        self._reads: list[Any] = []
        call.copied = self.decided

    def decided(self, call: Call, outcome: Outcome, now: float) -> None:
        """The call is over but for its answer's body: copy it. Never raises."""
        for mirror in call.plan.mirrors:
            try:
                if mirror.draws(call.rng):
                    self._copy(mirror, call, outcome)
            except Exception as error:
                call.service.failed("mirror", error, now)

    def _copy(self, mirror: Any, call: Call, outcome: Outcome) -> None:
        dropped = mirror.refuses(self._body, secure=self._secure)
        if dropped is not None:
            tell(mirror, call, dropped)
        elif mirror.options.reads and outcome.status is not None:
            self._reads.append(mirror)
        else:
            primary = None if outcome.status is None else Answer(outcome.status, outcome.headers or {}, None)
            self._put(mirror, call, primary)

    def _put(self, mirror: Any, call: Call, primary: Answer | None) -> None:
        assert self._body is not None
        if not sender_of(mirror).put(Copy(call, self._host, self._body, primary)):
            tell(mirror, call, "full")

    def reader(self, call: Call, outcome: Outcome, beside: Reader | None, *, encoding: str | None) -> Reader | None:
        """What takes the answer's body as the caller reads it, for copies that wait for it and for what is `beside`."""
        for mirror in self._reads:
            put = partial(self._put, mirror, call)
            beside = _Compared(outcome, Body(encoding, mirror.options.max_answer), put, beside)
        return beside


class _Compared:
    """Reads along for one mirror; its copy goes out when the body has come to its end."""

    __slots__ = ("_beside", "_body", "_outcome", "_put")

    def __init__(self, outcome: Outcome, body: Body, put: Any, beside: Reader | None) -> None:
        self._outcome, self._body, self._put, self._beside = outcome, body, put, beside

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        self._body.add(piece)
        if self._beside is not None:
            self._beside.add(piece)

    def whole(self, now: float) -> None:
        """The body has come to its end."""
        if self._beside is not None:
            self._beside.whole(now)
        assert self._outcome.status is not None
        self._put(Answer(self._outcome.status, self._outcome.headers or {}, self._body.plain))
