"""What became of an attempt: the facts (Outcome), what they say of the endpoint (Verdict), how a body ended.

The doors fill in the facts; the Classifier and the Call judge them. Nothing here knows a client.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from meshware.core.request import Request


class Verdict(Enum):
    """What an answer says of its endpoint; NEUTRAL says nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    OVERLOADED = "overloaded"
    NEUTRAL = "neutral"


SUCCESS, NEUTRAL, OVERLOADED = Verdict.SUCCESS, Verdict.NEUTRAL, Verdict.OVERLOADED
"""For what is asked for each call: Python 3.11 takes fifteen times as long to find a member in its enum."""


class Ending(Enum):
    """How an answer's body ended: read to EOF, an error while reading, or closed and lost early."""

    COMPLETE = "complete"
    BROKEN = "broken"
    DROPPED = "dropped"


COMPLETE, BROKEN, DROPPED = Ending.COMPLETE, Ending.BROKEN, Ending.DROPPED


class Cause(Enum):
    """Why an attempt has no answer. The value says what a log line shows."""

    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timeout"
    CONNECT = "connect failed"
    RESET = "connection broken"
    PROTOCOL = "not HTTP"
    TIMEOUT = "timeout"
    CUT = "cut: another attempt won"
    LOCAL = "local cause"


UNSENT = frozenset({Cause.REFUSED, Cause.CONNECT_TIMEOUT, Cause.CONNECT})
"""Causes after which the request provably never reached the endpoint."""

CONNECTION = frozenset({Cause.REFUSED, Cause.CONNECT_TIMEOUT, Cause.CONNECT})
"""Causes of the connection class: ejected until a background connect succeeds."""


TIMED = frozenset({Cause.TIMEOUT, Cause.CONNECT_TIMEOUT})
"""Causes that rest on a clock of ours."""


class LoadReport(NamedTuple):
    """What the callee says of itself (ORCA): utilisation 0..1 and more, rates a second, named figures.

    `service_time`: seconds that it usually works on a request, its queue not counted. `queue`: requests that wait or
    are worked on there, whoever sent them. `utilization` None: it says no more than how long it took (Server-Timing).
    As it was sent: nobody has looked whether it makes sense.
    """

    utilization: float | None
    rps: float = 0.0
    eps: float = 0.0
    service_time: float | None = None
    queue: float | None = None


MOST = LoadReport(utilization=1e3, rps=1e6, eps=1e6, service_time=180.0, queue=1e6)
"""More than this no endpoint can mean (a utilisation of 1,000 is some endpoints' way to tell of their queue)."""


def sensible(report: LoadReport) -> bool:
    """Whether all that it says is a number from 0 to what an endpoint can mean."""
    return wrong_figure(report) is None


def wrong_figure(report: LoadReport) -> str | None:
    """What an endpoint cannot mean in this report, in words; None: all of it makes sense."""
    for name, most, figure in zip(LoadReport._fields, MOST, report, strict=True):
        assert most is not None
        if figure is not None and not 0.0 <= figure <= most:
            return f"{name} must be from 0 to {most:g}, not {figure!r}"
    return None


class Outcome:
    """The facts of one attempt, at its headers or its error. Times are spans in seconds.

    `sent` is False only when the request provably never reached the endpoint. `stream` marks an answer
    whose body has no natural end (event stream, upgrade). `error` is the client's own exception. `headers` are the
    answer's, in any case; `body` its first bytes, where the service's classifier has asked for them, uncompressed. The
    call adds its verdict, and how many it `found` in flight at the endpoint when it began (None: nobody knows).
    `injected`: a fault that was asked for had its part in it. `refused`: the answer says that the request was never
    begun, as in an overload. `final`: it says that it must not be sent again (gRPC's push-back). `delayed`: we stood
    still ourselves meanwhile, which was taken off `elapsed`. `late`: it timed out, but at an endpoint that answered
    others meanwhile, or of whose silence another attempt has told: that is slow, and nothing that has failed.
    `doubtful`: it was cut early, the first since its endpoint's last answer: it may be the request that is heavy.
    `told`: another worker's, one of several of which only the means and the spread are known.
    """

    __slots__ = (
        "body", "cause", "connect", "delayed", "doubtful", "elapsed", "error", "final", "first_byte", "found",
        "headers", "injected", "late", "refused", "report", "retry_after", "retried", "sent", "status", "stream",
        "told", "verdict",
    )  # fmt: skip

    def __init__(
        self,
        *,
        elapsed: float,
        status: int | None = None,
        cause: Cause | None = None,
        error: BaseException | None = None,
        sent: bool = True,
        connect: float | None = None,
        first_byte: float | None = None,
        report: LoadReport | None = None,
        retry_after: float | None = None,
        retried: bool = False,
        refused: bool = False,
        final: bool = False,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.elapsed = elapsed
        self.status = status
        self.cause = cause
        self.error = error
        self.sent = sent
        self.connect = connect
        self.first_byte = first_byte
        self.report = report
        self.retry_after = retry_after
        self.retried = retried
        self.refused = refused
        self.final = final
        self.stream = stream
        self.headers = headers
        self.body = b""
        self.verdict = NEUTRAL
        self.found: float | None = 0
        self.injected = self.delayed = self.doubtful = self.late = self.told = False

    def __repr__(self) -> str:
        what = self.status if self.cause is None else self.cause.value
        return f"<Outcome {self.verdict.value}: {what} in {self.elapsed:.3f} s>"


class StatusClassifier:
    """The default: 5xx is a failure, 429, 503 with Retry-After and what says that it was refused an overload,
    all else a success.

    Thread-safe (it has no state). A local cause or our own cut says nothing of the endpoint.
    """

    needs_body = 0

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """The verdict on one answer or error; called once per attempt, on the caller's thread."""
        status = outcome.status
        if status is None:
            neutral = outcome.cause is Cause.LOCAL or outcome.cause is Cause.CUT
            return Verdict.NEUTRAL if neutral else Verdict.FAILURE
        if status < 500 and status != 429:
            return SUCCESS
        if status == 429 or outcome.refused or (status == 503 and outcome.retry_after is not None):
            return Verdict.OVERLOADED
        return Verdict.FAILURE
