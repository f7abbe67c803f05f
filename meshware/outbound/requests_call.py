"""One call through requests: what the session asked for as a call, its attempts sent, its answer handed out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import EmptyPoolError
from urllib3.util.timeout import Timeout

from meshware.context import current as current_context
from meshware.core.errors import DeadlineExceeded, InsecureService, MeshError
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.outbound import fallbacks, faults
from meshware.outbound import wire as wires
from meshware.outbound.drive import drive
from meshware.outbound.exchange import SLACK, Limits, answer_of, edited, finite, headers_for, host_for
from meshware.outbound.looks import look_of
from meshware.outbound.race import cut_of
from meshware.outbound.reaper import reaper
from meshware.outbound.requests_errors import cause_of, twin
from meshware.outbound.requests_replies import replied
from meshware.outbound.wire import Wire, WireResponse

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call
    from meshware.core.reply import Reply
    from meshware.core.service import Service
    from meshware.mesh import Mesh
    from meshware.outbound.mirrors import Copies, Reader

CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where a session takes `verify` from when nobody said anything for this call."""


def limits_of(timeout: Any) -> Limits:
    """From what requests takes. Raises ValueError, as requests does, for what is no timeout."""
    if timeout is None:
        return _NO_LIMITS
    if isinstance(timeout, Timeout):
        started = timeout.clone()
        started.start_connect()
        total, connect, read = started.total, started.connect_timeout, started.read_timeout
    elif isinstance(timeout, tuple):
        total, (connect, read) = None, timeout
    else:
        total = connect = read = timeout
    Timeout(connect=connect, read=read)
    limits = Limits(finite(connect), finite(read), finite(total))
    if limits.total is not None or limits.connect is None or limits.read is None:
        return limits
    return limits._replace(total=limits.connect + limits.read)


_NO_LIMITS = Limits()


class RequestsCall:
    """One call through requests: how its attempts are sent and dropped."""

    def __init__(
        self,
        adapter: HTTPAdapter,
        send: Callable[..., requests.Response],
        service: Service,
        request: requests.PreparedRequest,
        url: SplitResult,
        *,
        timeout: Any,
        options: dict[str, Any],
    ) -> None:
        self.adapter = adapter
        self.send_once, self.service, self.request, self.url, self.options = send, service, request, url, options
        self.limits = limits_of(timeout)
        self.position = None if request.body is None else _position(request)
        self.call: Call
        self.copies: Copies | None = None

    def run(self, mesh: Mesh) -> requests.Response:
        """The answer of the attempt that is delivered; raises requests' errors, and ours as requests'."""
        self.call = mesh.call(self.service, self._described())
        self.call.patient = True
        plan = self.call.plan
        if plan is not self.service:
            self.service = self.call.service
            if plan.reply is not None:
                return replied(self.adapter, self.request, plan.reply)
            if plan.mirrors:
                self.copies = self._copies()
        if plan.fallback is not None or plan.faults is not None:
            return self._covered()
        return self._delivered(self._driven(self.send))

    def _driven(self, send: Callable[[Attempt], Outcome], since: float | None = None) -> Attempt:
        try:
            if self.url.scheme == "https":
                self._secure()
            return drive(self.call, send, self.drop, since=since)
        except MeshError as error:
            raise twin(error, self.request) from error.__cause__

    def _covered(self) -> requests.Response:
        """The same, with what is to go wrong on purpose, and the plan's fallback in the place of a failure."""
        url = str(self.request.url)
        since, fault = faults.into_call(self.call)
        aborted = faults.abort(fault)
        if aborted is not None:
            instead = fallbacks.in_place_of(self.call, aborted[0], url)
            return replied(self.adapter, self.request, instead or aborted[1])
        try:
            if fault is not None and fault.reset:
                raise self.broken()
            won = self._driven(partial(faults.into_attempt, self, send=self.send), since)
            if fault is not None and fault.partial_body is not None:
                self.cut_short(won, fault.partial_body, counts=False)
        except (MeshError, requests.ConnectionError, requests.Timeout) as error:
            reply = fallbacks.in_place_of(self.call, error, url)
            if reply is None:
                raise
            return replied(self.adapter, self.request, reply)
        return self._delivered(won, url)

    def _delivered(self, won: Attempt, url: str | None = None) -> requests.Response:
        """The answer, or with the URL what is there in its place."""
        edits = self.call.plan.answer_edits
        reader: Reader | None = None
        try:
            if edits is not None:
                edits.apply(won.answer.headers)
            if url is not None:
                assert won.outcome is not None
                reply = fallbacks.in_place_of(self.call, won.outcome, url)
                if reply is not None:
                    self.drop(won)
                    return replied(self.adapter, self.request, reply)
                reader = fallbacks.keeping(self.call, won, url, won.answer.headers, decoded=True)
            if self.copies is not None:
                assert won.outcome is not None
                reader = self.copies.reader(self.call, won.outcome, reader, encoding=None)
            answer = self._deliver(won)
            return answer if reader is None else kept(answer, reader)
        except BaseException:  # interrupted: nobody will read the answer
            self.call.leave(won, time.monotonic())
            raise

    def _described(self) -> Request:
        request, context = self.request, current_context()
        return Request(
            str(request.method),
            self.service.name,
            self.url.path or "/",
            request.headers,
            query=self.url.query,
            replayable=self.position is not None or request.body is None or isinstance(request.body, str | bytes),
            streamed=bool(self.options["stream"]),
            timeout=self.limits.total,
            name=context.operation if context is not None else None,
        )

    def _copies(self) -> Copies:
        from meshware.outbound.mirrors import Copies

        body = b"" if self.request.body is None else self.request.body
        whole = body if isinstance(body, str | bytes) else None
        return Copies(self.call, whole, host=self.url.netloc, secure=self.url.scheme == "https")

    def _secure(self) -> None:
        """The service's TLS settings, under what the caller gave for this call."""
        tls = self.service.tls
        if tls is None:
            raise InsecureService(self.service.name)
        said = self.options["verify"] not in (True, *map(os.environ.get, CA_BUNDLES))
        if tls.ca is not None and not said:
            self.options["verify"] = tls.ca
        if tls.cert is not None and self.options["cert"] is None:
            self.options["cert"] = tls.cert if tls.key is None else (tls.cert, tls.key)

    def send(self, attempt: Attempt) -> Outcome:
        """Send one attempt; what the endpoint or the network did comes back as an outcome."""
        began = time.monotonic()
        wire = attempt.cancel = self._wire(attempt, self._headers(attempt, began))
        reaper().watch(wire.cut)
        if attempt.number > 1 and self.position is not None:
            body: Any = self.request.body
            body.seek(self.position)
        try:
            answer = self._sent(wire)
        except (requests.ConnectionError, requests.Timeout, EmptyPoolError) as error:
            wire.cut.release()
            return self._failed(wire, error, wire.took(began))
        attempt.answer = answer
        return self._answered(attempt, wire, answer, wire.took(began))

    def _sent(self, wire: Wire) -> requests.Response:
        token = wires.current.set(wire)
        try:
            return self.send_once(self.request, timeout=(wire.patience, wire.patience), **self.options)
        finally:
            wires.current.reset(token)

    def _wire(self, attempt: Attempt, headers: dict[str, str]) -> Wire:
        call, tls = self.call, self.service.tls
        cut = cut_of(call, attempt)
        connect_for, patience = self.limits.connect_for(attempt), self.limits.patience(call, attempt)
        wire = Wire(self.request, cut, connect_for=connect_for, patience=patience, endpoint=attempt.endpoint)
        wire.headers, wire.authority, wire.meanwhile = headers, self.url[:2], call.sent
        if tls is not None:
            wire.server_name = tls.server_name
        if call.plan is not call.service:
            self._route(wire)
        return wire

    def _route(self, wire: Wire) -> None:
        """What a route has decided of the request, on its way out: path and headers."""
        wire.headers, wire.without = edited(self.call, wire.headers, self.request.headers)
        if self.call.request.path != (self.url.path or "/"):
            wire.target = self.call.request.target

    def _headers(self, attempt: Attempt, now: float) -> dict[str, str]:
        headers = headers_for(self.call, attempt, now)
        host = host_for(self.call, attempt)
        if host is not None and "Host" not in self.request.headers:
            headers["host"] = host
        return headers

    def _failed(self, wire: Wire, error: Exception, elapsed: float) -> Outcome:
        if isinstance(error, EmptyPoolError):  # requests lets this one through as urllib3's
            error = requests.ConnectionError(error, request=self.request)
        return Outcome(
            elapsed=elapsed, cause=cause_of(error, wire), error=error, sent=wire.sent, connect=wire.connected_in
        )

    def _answered(self, attempt: Attempt, wire: Wire, answer: requests.Response, elapsed: float) -> Outcome:
        deadline = self.call.deadline
        if not wire.cut.put_off(deadline.at if deadline.chosen else float("inf")):
            answer.close()
            return Outcome(elapsed=elapsed, cause=wire.cut.cause(begun=True), connect=wire.connected_in)
        outcome = answer_of(
            answer.status_code,
            answer.headers,
            elapsed=elapsed,
            connect=wire.connected_in,
            endless=getattr(answer.raw, "length_remaining", 0) is None,
            asked=attempt.asked,
        )
        if self.service.judge is not None:
            self._look(wire, answer, outcome)
        return outcome

    def _look(self, wire: Wire, answer: requests.Response, outcome: Outcome) -> None:
        """Have the service's classifier see as much of the body as it needs."""
        look = look_of(self.service, str(self.request.method), outcome)
        inner = getattr(answer.raw, "_original_response", None)
        if look is not None and isinstance(inner, WireResponse):
            wire.bound(self._patience(outcome.stream))
            inner.look(look, self.call.deadline.at)
            outcome.body = look.body

    # What goes wrong on purpose

    def broken(self) -> Exception:
        """A connection that was reset, as requests has it."""
        return requests.ConnectionError(faults.RESET, request=self.request)

    def aborted(self, attempt: Attempt, reply: Reply, elapsed: float) -> Outcome:
        """The reply as the attempt's answer."""
        attempt.cancel = self._wire(attempt, {})
        attempt.answer = replied(self.adapter, self.request, reply)
        return answer_of(reply.status, attempt.answer.headers, elapsed=elapsed, connect=None, endless=False)

    def cut_short(self, attempt: Attempt, count: int, *, counts: bool) -> None:
        """Have the body break off; of a class of the user's own it does not."""
        meshed = meshed_response(attempt.answer)
        if meshed is not None:
            meshed._short = count, attempt.cancel if counts else None

    def drop(self, attempt: Attempt) -> None:
        """Close an answer that nobody will read."""
        attempt.answer.close()
        self.call.ended(attempt, Ending.DROPPED, 0.0, time.monotonic())

    def _deliver(self, attempt: Attempt) -> requests.Response:
        """Hand the answer out, its body bounded and its end watched; the attempt must not keep it alive."""
        wire: Wire = attempt.cancel
        answer: requests.Response = attempt.answer
        outcome = attempt.outcome
        attempt.cancel = attempt.answer = None
        assert outcome is not None
        if not wire.sent:  # answered by what somebody has put in the place of requests' own `send`, such as a mock
            wire.cut.release()
            self.call.ended(attempt, Ending.COMPLETE, outcome.elapsed, time.monotonic())
            return answer
        wire.bound(self._patience(outcome.stream))
        wire.follow(answer.raw, partial(_ended, self.call, attempt, outcome.elapsed - wire.reading + wire.looked))
        if self.call.deadline.chosen:
            reaper().watch(wire.cut)
            meshed = meshed_response(answer)
            if meshed is not None:
                meshed._body = self.call, wire
        return answer

    def _patience(self, endless: bool) -> float | None:
        """Seconds without a byte after which the body counts as broken; None: for ever."""
        if self.limits.read is not None:
            return self.limits.read
        if self.call.deadline.chosen:
            return self.call.deadline.remaining(time.monotonic()) + SLACK
        return None if endless else self.service.idle


def _ended(call: Call, attempt: Attempt, elsewhere: float, ending: Ending, reading: float) -> None:
    call.ended(attempt, ending, elsewhere + reading, time.monotonic())


class MeshedResponse(requests.Response):
    """What `requests.Response` is, but a body that we cut at the deadline says so."""

    _body: tuple[Call, Wire] | None = None
    _reader: Reader | None = None
    _short: tuple[int, Wire | None] | None = None

    def iter_content(self, chunk_size: Any = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The body in pieces; every way to it goes through here."""
        chunks = super().iter_content(chunk_size, decode_unicode)
        if self._short is not None:
            chunks = self._broken_off(chunks)
        reader, self._reader = self._reader, None  # who comes second has not all of it
        if reader is not None and not decode_unicode:
            chunks = _keep(chunks, reader)
        return chunks if self._body is None else self._cut(chunks, *self._body)

    def _broken_off(self, chunks: Iterator[Any]) -> Iterator[Any]:
        """What comes before the body breaks off; with a wire, as if the endpoint had done it."""
        assert self._short is not None
        left, wire = self._short
        for chunk in chunks:
            if left > 0:
                yield chunk[:left]
            left -= len(chunk)
            self._short = max(0, left), wire
            if left < 0:
                if wire is not None:
                    wire.failed = True
                self.raw.close()
                raise requests.exceptions.ChunkedEncodingError(faults.BROKEN_OFF, request=self.request)

    def _cut(self, chunks: Iterator[Any], call: Call, wire: Wire) -> Iterator[Any]:
        try:
            yield from chunks
        except requests.RequestException as error:
            if not wire.cut.fired and time.monotonic() < call.deadline.at:  # later, the reaper was late
                raise
            deadline = DeadlineExceeded(call.service.name, call.deadline.timeout, call.number)
            raise twin(deadline, self.request) from error


def meshed_response(answer: requests.Response) -> MeshedResponse | None:
    """The answer as one of ours; None for a class of the user's own, which is left alone."""
    if type(answer) is requests.Response:
        made: Any = answer
        made.__class__ = MeshedResponse
    return answer if isinstance(answer, MeshedResponse) else None


def kept(answer: requests.Response, reader: Reader) -> requests.Response:
    """The answer, along whose body somebody else reads."""
    meshed = meshed_response(answer)
    if meshed is not None:
        meshed._reader = reader
    return answer


def _keep(chunks: Iterator[bytes], reader: Reader) -> Iterator[bytes]:
    for chunk in chunks:
        reader.add(chunk)
        yield chunk
    reader.whole(time.monotonic())


def _position(request: requests.PreparedRequest) -> int | None:
    """Where a file's body began, when it can be sent again from there."""
    position = getattr(request, "_body_position", None)
    return position if isinstance(position, int) and hasattr(request.body, "seek") else None
