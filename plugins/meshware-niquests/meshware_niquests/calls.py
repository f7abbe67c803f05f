"""One call through niquests, sync or async: its attempts sent, its answer handed out.

Up to its headers a sync attempt is bounded by niquests' own total timeout. That cannot be put off, so the attempt
has the call's whole time and is not cut earlier to be tried elsewhere; async ones are. Bodies: see bodies.py.
"""

from __future__ import annotations

import os
import time
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlunsplit

from niquests._constant import READ_DEFAULT_TIMEOUT, WRITE_DEFAULT_TIMEOUT
from niquests.adapters import AsyncHTTPAdapter
from urllib3 import AsyncHTTPResponse, HTTPResponse, Timeout

from meshware.context import current as current_context
from meshware.core.errors import DeadlineExceeded, InsecureService, MeshError
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.request import Request
from meshware.outbound import fallbacks
from meshware.outbound.drive import drive, drive_async
from meshware.outbound.exchange import LEAST, Limits, answer_of, edited, finite, headers_for, host_for
from meshware.outbound.requests_replies import replied
from meshware.outbound.scopes import Limit, Wanted
from meshware_niquests.bodies import Following, follow
from meshware_niquests.errors import FAILURES, cause_of, twin

if TYPE_CHECKING:
    import niquests

    from meshware.core.call import Attempt, Call
    from meshware.core.reply import Reply
    from meshware.core.service import Service
    from meshware.mesh import Mesh

CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where a session takes `verify` from when nobody said anything for this call."""


class NiquestsCall:
    """What sync and async calls share."""

    def __init__(
        self,
        adapter: Any,
        pools: Any,
        mesh: Mesh,
        service: Service,
        request: niquests.PreparedRequest,
        url: SplitResult,
        **options: Any,
    ) -> None:
        self.adapter, self.pools, self.service, self.request, self.url = adapter, pools, service, request, url
        self.options = options | {"proxies": {}, "multiplexed": False}
        self.options["on_post_connection"] = self._connected
        self._told = options.get("on_post_connection")
        self._sent = False
        self.limits = limits_of(options.get("timeout"))
        self.position = getattr(request, "_body_position", None)
        context = current_context()
        replayable = request.body is None or isinstance(request.body, (str, bytes)) or isinstance(self.position, int)
        described = Request(
            str(request.method),
            service.name,
            url.path or "/",
            request.headers or {},
            query=url.query,
            replayable=replayable,
            streamed=bool(options.get("stream")),
            timeout=self.limits.total,
            name=context.operation if context is not None else None,
        )
        self.call: Call = mesh.call(service, described)
        self.service = self.call.service
        if self.call.plan.mirrors:
            self._mirror()

    def _mirror(self) -> None:
        """Have it copied. Nobody reads its answer along: copies that are compared by bodies are not sent."""
        from meshware.outbound.mirrors import Copies

        body = b"" if self.request.body is None else self.request.body
        whole = body if isinstance(body, str | bytes) else None
        Copies(self.call, whole, host=self.url.netloc, secure=self.url.scheme == "https")

    def _connected(self, info: Any) -> Any:
        """niquests has a connection for the attempt, new or kept."""
        self._sent = True
        return self._told(info) if self._told is not None else None

    def _secured(self) -> None:
        tls = self.service.tls
        if self.url.scheme != "https":
            return
        if tls is None:
            raise InsecureService(self.service.name)
        unsaid = (True, None, *map(os.environ.get, CA_BUNDLES))
        if tls.ca is not None and self.options.get("verify") in unsaid:
            self.options["verify"] = tls.ca
        if tls.cert is not None and self.options.get("cert") is None:
            self.options["cert"] = tls.cert if tls.key is None else (tls.cert, tls.key)

    def _prepared(self, attempt: Attempt) -> niquests.PreparedRequest:
        """The request with this attempt's headers; the caller's own is left as it is."""
        self._sent = False
        if attempt.number > 1 and isinstance(self.position, int):
            body: Any = self.request.body
            body.seek(self.position)
        made = self.request.copy()
        made.body = self.request.body
        mine, gone = edited(self.call, headers_for(self.call, attempt, attempt.began), made.headers)
        made.headers.update(mine)
        for name in gone:
            made.headers.pop(name, None)
        host = host_for(self.call, attempt)
        if host is not None and "Host" not in made.headers:
            made.headers["Host"] = host
        if self.call.request.path != (self.url.path or "/"):
            made.url = urlunsplit(self.url._replace(path=self.call.request.path))
        return made

    def _way(self, attempt: Attempt) -> Any:
        """niquests' adapter for the attempt's endpoint."""
        tls = self.service.tls
        return self.pools.to(self.url, attempt.endpoint, None if tls is None else tls.server_name)

    def _timeouts(self, attempt: Attempt, now: float) -> tuple[float, float, float]:
        """Seconds to connect, per read and in all: niquests holds the first two below the third."""
        limits, left = self.limits, self.call.deadline.at - now
        return max(LEAST, limits.connect_for(attempt)), limits.patience(self.call, attempt), max(LEAST, left)

    def _answered(self, attempt: Attempt, answer: Any, began: float) -> Outcome:
        headers, endless = answer.headers, "content-length" not in answer.headers
        outcome = answer_of(
            answer.status_code,
            headers,
            elapsed=time.monotonic() - began,
            connect=None,
            endless=endless,
            asked=attempt.asked,
        )
        answer.request, answer.connection = self.request, self.adapter  # by which digest auth sends again
        answer.url = self.request.url
        follow(answer.raw, Following(self.call, attempt, outcome, self.late, pause=self._pause(outcome)))
        attempt.answer = answer
        return outcome

    def _pause(self, outcome: Outcome) -> float:
        """Seconds without a byte after which the body counts as broken, whatever its deadline; inf: for ever."""
        if self.limits.read is not None:
            return self.limits.read
        return inf if outcome.stream or self.call.deadline.chosen else self.service.idle

    def _taken(self, won: Attempt) -> Any:
        """The answer for the caller; the attempt must not keep it alive."""
        answer, won.answer = won.answer, None
        if self.call.plan.answer_edits is not None:
            self.call.plan.answer_edits.apply(answer.headers)
        return answer

    def _replied(self, reply: Reply) -> Any:
        """What stands in the place of an answer; the async kind, too, reads such a body as it is."""
        raw = AsyncHTTPResponse if isinstance(self.adapter, AsyncHTTPAdapter) else HTTPResponse
        return replied(self.adapter, self.request, reply, raw=raw)

    def _failed(self, error: Exception, began: float) -> Outcome:
        elapsed = time.monotonic() - began
        return Outcome(elapsed=elapsed, cause=cause_of(error, sent=self._sent), error=error, sent=self._sent)

    def _ended_in(self, won: Attempt) -> Outcome:
        assert won.outcome is not None
        return won.outcome

    def late(self) -> Exception:
        """The deadline has passed, as niquests' own error."""
        return twin(DeadlineExceeded(self.service.name, self.call.deadline.timeout, self.call.number), self.request)


class SyncCall(NiquestsCall):
    """One call on the calling thread."""

    def run(self) -> Any:
        """The answer of the attempt that is delivered; raises niquests' errors, and ours as niquests'."""
        plan, url = self.call.plan, str(self.request.url)
        if plan.reply is not None:
            return self._replied(plan.reply)
        try:
            won = self._driven()
        except (MeshError, *FAILURES) as error:
            reply = fallbacks.in_place_of(self.call, error, url)
            if reply is None:
                raise
            return self._replied(reply)
        try:
            reply = fallbacks.in_place_of(self.call, self._ended_in(won), url)
        except BaseException:
            self.drop(won)
            raise
        if reply is None:
            return self._taken(won)
        self.drop(won)
        return self._replied(reply)

    def _driven(self) -> Attempt:
        try:
            self._secured()
            return drive(self.call, self.send, self.drop)
        except MeshError as error:
            raise twin(error, self.request) from error.__cause__

    def send(self, attempt: Attempt) -> Outcome:
        """Send one attempt; what the endpoint or the network did comes back as an outcome."""
        began = time.monotonic()
        options = self.options | {"timeout": self._timeouts(attempt, began)}
        try:
            answer = self._way(attempt).send(self._prepared(attempt), **options)
        except FAILURES as error:
            return self._failed(error, began)
        return self._answered(attempt, answer, began)

    def drop(self, attempt: Attempt) -> None:
        """Close an answer that nobody will read."""
        attempt.answer.close()
        self.call.ended(attempt, Ending.DROPPED, 0.0, time.monotonic())


class AsyncCall(NiquestsCall):
    """One call on the running loop."""

    async def run(self) -> Any:
        """The answer of the attempt that is delivered; raises niquests' errors, and ours as niquests'."""
        plan, url = self.call.plan, str(self.request.url)
        if plan.reply is not None:
            return self._replied(plan.reply)
        try:
            won = await self._driven()
        except (MeshError, *FAILURES) as error:
            reply = await self._instead(error, url)
            if reply is None:
                raise
            return self._replied(reply)
        try:
            reply = await self._instead(self._ended_in(won), url)
        except BaseException:
            await self.drop(won)
            raise
        if reply is None:
            return self._taken(won)
        await self.drop(won)
        return self._replied(reply)

    async def _driven(self) -> Attempt:
        try:
            self._secured()
            async with Wanted(current_context()):
                return await drive_async(self.call, self.send, self.drop)
        except MeshError as error:
            raise twin(error, self.request) from error.__cause__

    async def _instead(self, failure: BaseException | Outcome, url: str) -> Reply | None:
        """By the user's function for as long as the inbound caller waits."""
        async with Wanted(current_context()):
            return await fallbacks.in_place_of_async(self.call, failure, url)

    async def send(self, attempt: Attempt) -> Outcome:
        """Send one attempt; what the endpoint or the network did comes back as an outcome."""
        began = time.monotonic()
        options = self.options | {"timeout": self._timeouts(attempt, began)}
        try:
            async with Limit(self.call, attempt):
                answer = await self._way(attempt).send(self._prepared(attempt), **options)
        except TimeoutError as error:
            return Outcome(elapsed=time.monotonic() - began, cause=Cause.TIMEOUT, error=error, sent=self._sent)
        except FAILURES as error:
            return self._failed(error, began)
        return self._answered(attempt, answer, began)

    async def drop(self, attempt: Attempt) -> None:
        """Close an answer that nobody will read."""
        self.call.ended(attempt, Ending.DROPPED, 0.0, time.monotonic())
        await attempt.answer.raw.close()


def limits_of(timeout: Any) -> Limits:
    """From what niquests takes; its defaults are nobody's wish. Raises ValueError for what is no timeout."""
    if timeout in (None, READ_DEFAULT_TIMEOUT, WRITE_DEFAULT_TIMEOUT):
        return Limits()
    if isinstance(timeout, Timeout):
        started = timeout.clone()
        started.start_connect()
        connect, read, total = started.connect_timeout, started.read_timeout, started.total
    elif isinstance(timeout, tuple):
        connect, read, total = timeout if len(timeout) == 3 else (*timeout, None)
    else:
        connect = read = total = timeout
    Timeout(connect=connect, read=read, total=total)
    limits = Limits(finite(connect), finite(read), finite(total))
    if limits.total is not None or limits.connect is None or limits.read is None:
        return limits
    return limits._replace(total=limits.connect + limits.read)
