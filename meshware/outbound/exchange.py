"""What every door puts on a request and reads off an answer, whichever client sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.context import LONGEST
from meshware.core.criticality import Criticality
from meshware.core.outcome import LoadReport, Outcome
from meshware.security.orca import read_report, read_service_time
from meshware.security.trust import (
    ATTEMPT,
    CRITICALITY,
    LOAD,
    LOAD_BINARY,
    PUSHBACK,
    REFUSED,
    REPORT,
    RETRIED,
    RETRY_AFTER,
    SERVER_TIMING,
    SHEDDABLE,
    TIMEOUT,
    pushback,
    retry_after,
)

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call

SLACK = 0.1
"""Seconds after a deadline at which the socket's own timeout would end what nobody else did."""

LEAST = 0.001
"""The shortest socket timeout; 0 would mean non-blocking."""

STALL = 1.0
"""Seconds without a byte after which a body that we cut was stalled, not merely long."""


_DEFAULT = Criticality.DEFAULT


class Limits(NamedTuple):
    """The caller's own timeouts: seconds to connect, per read, in all, per write, for a place in the client's pool.

    None: not said.
    """

    connect: float | None = None
    read: float | None = None
    total: float | None = None
    write: float | None = None
    pool: float | None = None

    def connect_for(self, attempt: Attempt) -> float:
        """Seconds that connecting may take, once it has begun: waiting for a place in the client's pool is not it."""
        seconds = attempt.connect_by - attempt.began
        return seconds if self.connect is None else min(self.connect, seconds)

    def patience(self, call: Call, attempt: Attempt) -> float:
        """Seconds that a single read or write may take, behind the deadline."""
        patience = behind(call, attempt)
        return patience if self.read is None else min(self.read, patience)


def behind(call: Call, attempt: Attempt) -> float:
    """Seconds until just after the call's deadline: when a socket's own timeout ends what nobody else did."""
    return max(LEAST, call.deadline.at + SLACK - attempt.began)


def finite(seconds: Any) -> float | None:
    """Seconds that limit something, at most a day; None for what does not."""
    return float(min(seconds, LONGEST)) if isinstance(seconds, int | float) and 0 < seconds < float("inf") else None


def headers_for(call: Call, attempt: Attempt, now: float) -> dict[str, str]:
    """What goes out with an attempt: the time its call has left, its number, a question, and what observers add."""
    headers = {TIMEOUT: f"{max(0.0, call.deadline.at - now):.3f}"}
    if attempt.number > 1:
        headers[ATTEMPT] = str(attempt.number)
    context = call.context
    if context is not None and context.criticality is not _DEFAULT:
        headers[CRITICALITY] = context.criticality.value
    if now >= attempt.endpoint.ask_at and attempt.endpoint.asks(now):
        headers[REPORT] = "1"
        attempt.asked = True
    for begin in call.service.on_begin:
        begin(call, attempt, headers, now)
    return headers


def edited(call: Call, mine: dict[str, str], given: Mapping[str, str | bytes]) -> tuple[dict[str, str], frozenset[str]]:
    """What an attempt puts on its request after what a route makes of the headers given, and which of those go."""
    edits = call.plan.edits
    if edits is None:
        return mine, NONE
    changed = edits.of(given)
    gone = frozenset(name for name, value in changed.items() if value is None)
    return mine | {name: value for name, value in changed.items() if value is not None}, gone


NONE: frozenset[str] = frozenset()


def host_for(call: Call, attempt: Attempt) -> str | None:
    """The Host header by the service's setting; None: the logical name, as the client writes it."""
    host = call.service.host
    if host == "logical":
        return None
    return attempt.endpoint.address if host == "endpoint" else host


def answer_of(
    status: int,
    headers: Mapping[str, str],
    *,
    elapsed: float,
    connect: float | None,
    endless: bool,
    asked: bool = False,
) -> Outcome:
    """The facts of an answer whose headers have come; `endless`: no length was told; `asked`: for a load report."""
    refused = headers.get(REFUSED) if status in _REFUSALS else None
    waits = status in (429, 503) and refused != SHEDDABLE  # what matters more is still served there
    pushed = headers.get(PUSHBACK) if status >= 400 else None
    wait = retry_after(headers.get(RETRY_AFTER)) if waits else None
    if pushed is not None:
        wait = pushback(pushed)
    return Outcome(
        elapsed=elapsed,
        status=status,
        connect=connect,
        report=report_of(headers) if asked else None,
        retry_after=wait,
        refused=refused is not None,
        final=pushed is not None and wait is None,
        retried=status >= 429 and RETRIED in headers,
        headers=headers,
        stream=status == 101 or (endless and headers.get("content-type", "").startswith("text/event-stream")),
    )


_REFUSALS = frozenset({429, 503, 504})
"""The statuses of refusals."""


def report_of(headers: Mapping[str, str]) -> LoadReport | None:
    """What the callee says of itself, in whichever header; else how long it says that this answer took it."""
    text, binary = headers.get(LOAD), headers.get(LOAD_BINARY)
    if text is None and binary is None:
        return read_service_time(headers.get(SERVER_TIMING))
    return read_report(text, binary)
