"""What stands in for a failed call: the two drivers of its plan's fallback, sync and async.

A door comes here when its call has ended badly, and when a good answer's body is about to be read. The mesh has
learned of the real outcome by then.
"""

from __future__ import annotations

import time
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any

from meshware.context import current as current_context
from meshware.core.outcome import Outcome, Verdict
from meshware.security.trust import FALLBACK, FAULT, ROUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshware.core.call import Attempt, Call
    from meshware.core.reply import Reply
    from meshware.fallback.last_good import Keeping

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""

EXTENSIONS = {FALLBACK: "meshware_fallback", FAULT: "meshware_fault", ROUTE: "meshware_route"}
"""The keys under which a response's `extensions` say where it is from."""


def in_place_of(call: Call, failure: BaseException | Outcome, url: str) -> Reply | None:
    """What the caller gets in place of this failure, the client's own error or a final answer; None: the failure."""
    if not _covered(call, failure):
        return None
    fallback = call.plan.fallback
    reply = fallback.kept(call.request, url, time.monotonic())
    if reply is None and fallback.function is not None:
        try:
            value = fallback.function(call.request, failure, current_context())
            if isawaitable(value):
                if iscoroutine(value):
                    value.close()
                raise TypeError("the fallback is async, and this client is not")
            reply = fallback.made(value)
        except Exception as error:
            call.service.failed("fallback", error, time.monotonic())
            return None
    return _told(call, fallback.static if reply is None else reply)


async def in_place_of_async(call: Call, failure: BaseException | Outcome, url: str) -> Reply | None:
    """The same on a loop, where the user's function may be async; a sync one runs on the loop."""
    if not _covered(call, failure):
        return None
    fallback = call.plan.fallback
    reply = fallback.kept(call.request, url, time.monotonic())
    if reply is None and fallback.function is not None:
        try:
            value = fallback.function(call.request, failure, current_context())
            reply = fallback.made(await value if isawaitable(value) else value)
        except Exception as error:
            call.service.failed("fallback", error, time.monotonic())
            return None
    return _told(call, fallback.static if reply is None else reply)


def _covered(call: Call, failure: BaseException | Outcome) -> bool:
    fallback = call.plan.fallback
    if fallback is None:
        return False
    if isinstance(failure, Outcome):
        return bool(fallback.covers_answer(call.request, failure))
    return bool(fallback.covers_error(call.request, failure))


def _told(call: Call, reply: Reply | None) -> Reply | None:
    if reply is not None:
        for watch in call.service.on_fallback:
            watch(call, reply, time.monotonic())
    return reply


def keeping(call: Call, won: Attempt, url: str, headers: Mapping[str, str], *, decoded: bool) -> Keeping | None:
    """What takes the body of a good answer as it is read; None where nobody keeps it."""
    fallback, outcome = call.plan.fallback, won.outcome
    store = None if fallback is None else fallback.store
    if store is None or outcome is None or outcome.verdict is not Verdict.SUCCESS or outcome.stream:
        return None
    if call.request.method not in SAFE:
        store.forget(call.request, url)
        return None
    kept: Keeping | None = store.keeping(call.request, url, outcome.status, headers, decoded=decoded)
    return kept


def marked(reply: Reply, method: str) -> list[tuple[str, str]]:
    """The headers of the client's response: the reply's, how long it is, and where it is from."""
    length = [] if method == "HEAD" else [("content-length", str(len(reply.body)))]
    given: list[Any] = [each for each in reply.headers if each[0].lower() not in _OURS]
    return [*given, *length, (mark(reply), reply.source)]


def mark(reply: Reply) -> str:
    """The header that says what a response is from."""
    return {"fault": FAULT, "route": ROUTE}.get(reply.source, FALLBACK)


_OURS = {"content-length", "transfer-encoding", FALLBACK, FAULT, ROUTE}
