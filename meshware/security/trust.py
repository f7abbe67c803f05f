"""Which headers we read, from whom, and in what grammar: the only place that knows. Fails closed.

A deadline is taken from anybody, since it can only shorten. Marks are taken from trusted peers only.
What a *called* endpoint answers moves only that endpoint. Numbers are ASCII digits with an optional
fraction and nothing else: `float()` would take nan, inf, "1_0", other scripts' digits and spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple, TypeVar

from meshware.core.criticality import Criticality
from meshware.core.fault import Fault, Ordered

TIMEOUT = "x-meshware-timeout"
"""Seconds left for the attempt, relative, so clocks need not agree."""

GRPC_TIMEOUT = "grpc-timeout"
"""The same, as gRPC says it: `500m` is half a second."""

ENVOY_TIMEOUT = "x-envoy-expected-rq-timeout-ms"
"""The same, as Envoy says it: milliseconds."""

ATTEMPT = "x-meshware-attempt"
"""The number of the attempt, from 2 on."""

RETRIED = "x-meshware-retried"
"""On an answer: this tier has already retried, so the tier above does not."""

REPORT = "x-meshware-report"
"""On a request: the caller would like to hear how busy this server is."""

FAULT = "x-meshware-fault"
"""On a request: what is to go wrong with the calls made for it. On an answer of ours: it was made by a fault."""

FAULT_DELAY_CAP = 10.0
"""Seconds; a longer delay is cut to it."""

FAULT_LONGEST = 200
"""Characters of such a wish that are looked at."""

CRITICALITY = "x-meshware-criticality"
"""On a request: `critical`, `default` or `sheddable`; calls made for it say the same."""

CALLER = "x-meshware-caller"
"""On a request: who makes it, by a name that rate limits are kept by."""

REQUEST_START = "x-request-start"
QUEUE_START = "x-queue-start"
"""On a request: when the server in front got it, since 1970, as nginx, Apache and Heroku say it."""

REFUSED = "x-meshware-refused"
"""On an answer: the request was refused unread, and why; the server is loaded, not broken."""

SHEDDABLE = "sheddable"
"""Said there, it means that what matters more than this request is still served."""

LOAD = "endpoint-load-metrics"
LOAD_BINARY = "endpoint-load-metrics-bin"
"""On an answer: how busy the server is, in the words of ORCA (see orca.py)."""

SERVER_TIMING = "server-timing"

FALLBACK = "x-meshware-fallback"
"""On a response that no endpoint sent: what it is from (`last-good`, `callable`, `static`). Never read."""

ROUTE = "x-meshware-route"
"""On a response that no endpoint sent: a route has made it (`route`). Never read."""

RETRY_AFTER = "retry-after"
RETRY_AFTER_CAP = 10.0
"""Seconds; a longer wish is cut to it."""

PUSHBACK = "grpc-retry-pushback-ms"
"""On an answer: milliseconds to wait before a retry; anything that is no such number forbids it (gRPC's A6)."""

RULES = {
    TIMEOUT: "request, from anybody: a deadline; it never lengthens the configured maximum",
    GRPC_TIMEOUT: "request, from anybody: the same; 1 to 8 digits and one of H M S m u n",
    ENVOY_TIMEOUT: "request, from anybody: the same; at most 9 digits, milliseconds. The least of the three holds",
    ATTEMPT: "request, from trusted peers: the attempt's number",
    CRITICALITY: "request, from trusted peers: `critical`, `default` or `sheddable`",
    CALLER: "request, from trusted peers: 1 to 64 of A-Z a-z 0-9 . _ : / -",
    REQUEST_START: "request, from trusted peers: seconds, ms, us or ns since 1970, with or without `t=`",
    QUEUE_START: "request, the same, when the former is not there",
    REFUSED: "answer, 429, 503 and 504: an overload and no failure; `sheddable` says that others are still served",
    REPORT: "request, from trusted peers: `1` asks for a load report; nobody else gets one",
    FAULT: "request, from trusted peers where `fault_headers` is on: a fault in the calls to one service; capped",
    LOAD: "answer, when a strategy in force listens: ORCA as TEXT, JSON or BIN; moves only that endpoint",
    LOAD_BINARY: "answer, the same as protobuf in base64, when the former is not there",
    SERVER_TIMING: "answer, when neither is there: `total;dur=` in milliseconds, as the callee's own time",
    RETRIED: "answer: the callee has retried; this answer is not retried again",
    RETRY_AFTER: f"answer, 429 and 503: whole seconds, at most {RETRY_AFTER_CAP:.0f}",
    PUSHBACK: f"answer, 400 and above: milliseconds, at most {RETRY_AFTER_CAP:.0f} s; all else: no retry",
    "cache-control": "request and answer, where last good answers are kept: what must not be kept or used",
    "vary": "answer, the same: the request's headers that it is kept for",
    "set-cookie": "answer, the same: with it nothing is kept, unless the settings say so; it is never shown again",
    "authorization": "request, the same: as with `set-cookie`; what is kept is for the same credentials only",
    "cookie": "request, the same",
    "range": "request, the same: a part is not kept",
    "content-type": "answer: text/event-stream marks a body without a natural end; `classify` looks into JSON only",
    "content-encoding": "answer, with `classify`: gzip and deflate are undone for the look, nothing else is looked at",
    "grpc-status": "answer, with `classify` grpc: moves only that endpoint",
}
"""Every header that meshware reads, and its rule."""

REQUEST = (
    TIMEOUT, GRPC_TIMEOUT, ENVOY_TIMEOUT, ATTEMPT, REPORT, FAULT, CRITICALITY, CALLER, REQUEST_START, QUEUE_START,
)  # fmt: skip
"""What the doors in read of a request."""

MARKS = frozenset(REQUEST) - {TIMEOUT, GRPC_TIMEOUT, ENVOY_TIMEOUT}
"""Those that only trusted peers are believed."""

T = TypeVar("T")

KNOWN = 1024
"""Peers of which it is kept whether they are trusted: to read an address costs more than all else of a request."""

LONGEST_ADDRESS = 64
"""Characters of an address that is looked at, and kept: some servers take it from a header."""

Said = Mapping[str, Sequence[str]]
"""All values of the headers that are there."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_START = re.compile(r"(?:t=)?([0-9]{10}(?:\.[0-9]{1,9})?|[0-9]{13}(?:\.[0-9]{1,6})?|[0-9]{16}|[0-9]{19})", re.ASCII)
_CALLER = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
_CRITICALITIES = {each.value: each for each in Criticality}


def seconds(text: str) -> float | None:
    """Seconds as we write them; None for anything else. Never raises; long input costs nothing."""
    return float(text) if len(text) <= 19 and _SECONDS.fullmatch(text) else None


def retry_after(text: str | None) -> float | None:
    """`Retry-After` in whole seconds, capped; None when absent or in any other form."""
    if text is None or len(text) > 9 or not _WHOLE.fullmatch(text):
        return None
    return min(float(text), RETRY_AFTER_CAP)


def pushback(text: str) -> float | None:
    """`grpc-retry-pushback-ms` in seconds, capped; None, for a negative or unreadable one, forbids a retry."""
    return min(int(text) / 1000, RETRY_AFTER_CAP) if len(text) <= 9 and _WHOLE.fullmatch(text) else None


def grpc_timeout(text: str) -> float | None:
    """`grpc-timeout` in seconds: a whole number of at most 8 digits, more than 0, and its unit; else None."""
    found = _GRPC.fullmatch(text) if len(text) <= 9 else None
    return None if found is None else int(found[1]) * _UNITS[found[2]] or None


def envoy_timeout(text: str) -> float | None:
    """Envoy's whole milliseconds in seconds; None for 0, which is no limit there, and for any other form."""
    return (int(text) / 1000 or None) if len(text) <= 9 and _WHOLE.fullmatch(text) else None


def started(text: str) -> float | None:
    """Seconds since 1970 at which a server in front got the request; None in any other form.

    How many digits there are tells the unit: 10 seconds, 13 milliseconds, 16 microseconds, 19 nanoseconds.
    """
    found = _START.fullmatch(text) if len(text) <= 24 else None
    if found is None:
        return None
    whole = found[1].partition(".")[0]
    return float(found[1]) / 10.0 ** (len(whole) - 10)


class Inbound(NamedTuple):
    """What a request's headers say. `timeout` is seconds, 0.0 when already expired, None when not said; `asked`:
    a load report is asked for, by one who may have it. `started`: when a server in front got it, seconds since 1970.
    """

    timeout: float | None = None
    attempt: int = 1
    asked: bool = False
    fault: Ordered | None = None
    criticality: Criticality | None = None
    caller: str | None = None
    started: float | None = None


def read_headers(said: Said, *, trusted: bool, maximum: float | None = None) -> Inbound:
    """Read what may be read of all values of the headers. A repeated or unreadable one says nothing.

    A deadline of 0 means that it has passed. None comes out longer than `maximum`.
    """
    timeout = maximum
    for header, read in _TIMEOUTS:
        if header in said:
            told = _single(said, header, read)
            if told is not None and (timeout is None or told < timeout):
                timeout = told
    return _marked(said, timeout) if trusted else Inbound(timeout)


_TIMEOUTS = ((TIMEOUT, seconds), (GRPC_TIMEOUT, grpc_timeout), (ENVOY_TIMEOUT, envoy_timeout))


def _marked(said: Said, timeout: float | None) -> Inbound:
    """What a trusted peer says beside the deadline."""
    attempt = _single(said, ATTEMPT, seconds)
    return Inbound(
        timeout,
        max(1, int(attempt)) if attempt is not None and attempt < 100 else 1,
        asks(said.get(REPORT, ())),
        fault_order(said.get(FAULT, ())),
        _single(said, CRITICALITY, _CRITICALITIES.get),
        _single(said, CALLER, _caller),
        _single(said, REQUEST_START if said.get(REQUEST_START) else QUEUE_START, started),
    )


def _caller(text: str) -> str | None:
    return text if len(text) <= 64 and _CALLER.fullmatch(text) else None


_NAME = r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?(?::[1-9][0-9]{0,4})?"
_FAULT = re.compile(
    rf"({_NAME});(?:delay=([0-9]{{1,5}}(?:\.[0-9]{{1,3}})?)|abort=([45][0-9]{{2}})|(reset)|body=([0-9]{{1,7}}))"
    r"(?:;percentage=(100|[0-9]{1,2}))?",
    re.ASCII,
)


def fault_order(values: Sequence[str]) -> Ordered | None:
    """A trusted caller's wish: `inventory;abort=503;percentage=50`, `...;delay=0.5`, `...;reset`, `...;body=100`.

    All values of the header are given; a repeated or unreadable one says nothing.
    """
    if len(values) != 1 or len(values[0]) > FAULT_LONGEST:
        return None
    found = _FAULT.fullmatch(values[0])
    if found is None:
        return None
    service, delay, abort, reset, body, percentage = found.groups()
    fault = Fault(
        delay=None if delay is None else min(float(delay), FAULT_DELAY_CAP),
        abort=None if abort is None else int(abort),
        reset=reset is not None,
        partial_body=None if body is None else int(body),
        share=1.0 if percentage is None else int(percentage) / 100,
    )
    return Ordered(service, fault)


def asks(values: Sequence[str]) -> bool:
    """Whether these values of REPORT, all that there are, ask for a load report: exactly one of them, and `1`."""
    return len(values) == 1 and values[0] == "1"


def _single(said: Said, header: str, read: Callable[[str], T | None]) -> T | None:
    values = said.get(header, ())
    return read(values[0]) if len(values) == 1 else None


class TrustedPeers:
    """Tells by its address whether a peer is trusted. Nobody is, unless named. Thread-safe."""

    def __init__(self, networks: Iterable[str | IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(ip_network(str(each)) for each in networks)
        self._known = lru_cache(KNOWN)(self._look) if self._networks else _stranger

    def __bool__(self) -> bool:
        """Whether there is anybody who is trusted."""
        return bool(self._networks)

    def __call__(self, address: str) -> bool:
        """Whether this peer's marks are believed; an address that cannot be read is a stranger's."""
        return len(address) <= LONGEST_ADDRESS and self._known(address)

    def _look(self, address: str) -> bool:
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(peer, "ipv4_mapped", None)  # how a dual-stack server sees an IPv4 peer
        return any((mapped or peer) in network for network in self._networks)


def _stranger(address: str) -> bool:
    return False
