"""One call through httpx or httpx2, sync or async: its attempts sent, its answer handed out with its end watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from meshware.context import current as current_context
from meshware.core.errors import DeadlineExceeded, InsecureService, MeshError
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.outbound import fallbacks, faults
from meshware.outbound import httpx_wire as wires
from meshware.outbound.drive import drive, drive_async
from meshware.outbound.exchange import SLACK, answer_of, behind, edited, headers_for, host_for
from meshware.outbound.httpx_bodies import Following, body_class
from meshware.outbound.httpx_wire import Wire
from meshware.outbound.looks import look_of
from meshware.outbound.race import cut_of
from meshware.outbound.reaper import Cut, reaper
from meshware.outbound.scopes import Limit, Wanted

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call
    from meshware.core.fault import Fault
    from meshware.core.reply import Reply
    from meshware.core.service import Service
    from meshware.mesh import Mesh
    from meshware.outbound.httpx_direct import Parts
    from meshware.outbound.httpx_library import Library
    from meshware.outbound.httpx_ways import Way
    from meshware.outbound.mirrors import Copies, Reader


class HttpxCall:
    """What sync and async calls share: the request as the mesh sees it, and as it goes out."""

    body: Callable[..., Any]
    """Makes the stream that the client reads the answer by."""

    def __init__(self, library: Library, way: Way, mesh: Mesh, service: Service, request: Any) -> None:
        self.library, self.way, self.service, self.request = library, way, service, request
        self.limits = library.limits(request)
        self.target: bytes | None = None
        self.copies: Copies | None = None
        described = self._described()
        self.call: Call = mesh.call(service, described)
        if self.call.plan is not service:
            self._route(described)
        self.call.patient = self.way.reaches

    def _route(self, described: Request) -> None:
        """What a route has decided of the request: whose endpoints, which path, and where copies go."""
        call = self.call
        if call.service is not self.service:
            self.service, self.way = call.service, self.way.to_service(call.service)
        if call.request.path != described.path:
            self.target = call.request.target.encode("ascii")
        if call.plan.mirrors:
            from meshware.outbound.mirrors import Copies

            request = self.request
            body = request.content if isinstance(request.stream, self.library.module.ByteStream) else None
            host, secure = request.url.netloc.decode("ascii"), request.url.scheme == "https"
            self.copies = Copies(call, body, host=host, secure=secure)

    def _described(self) -> Request:
        request, context = self.request, current_context()
        path, _, query = request.url.raw_path.partition(b"?")
        self.file = self.library.file_of(request.stream)
        return Request(
            request.method,
            self.service.name,
            path.decode("ascii"),
            request.headers,
            query=query.decode("ascii"),
            replayable=self.file is not None or self.library.replayable(request.stream),
            timeout=self.limits.total,
            name=context.operation if context is not None else None,
        )

    def _secure(self) -> None:
        if self.request.url.scheme in ("https", "wss") and self.service.tls is None:
            raise InsecureService(self.service.name)

    def _timeout(self, patience: float = inf) -> dict[str, float | None]:
        """The caller's own timeouts for the client to keep; no step takes longer than `patience`."""
        limits = self.limits
        own = {"connect": limits.connect, "read": limits.read, "write": limits.write, "pool": limits.pool}
        if patience == inf:
            return own
        return {step: patience if seconds is None else min(seconds, patience) for step, seconds in own.items()}

    def _parts(self, attempt: Attempt, timeout: dict[str, float | None]) -> Parts:
        """What this attempt puts on its request; the caller's own is left as it is."""
        mine = headers_for(self.call, attempt, attempt.began)
        host = host_for(self.call, attempt)
        url = self.request.url
        if host is not None and self.request.headers.get("host") == url.netloc.decode("ascii"):
            mine["host"] = host
        extensions = {**self.request.extensions, "timeout": timeout}
        tls = self.service.tls
        if tls is not None and tls.server_name is not None:
            extensions["sni_hostname"] = tls.server_name
        if self.target is not None:
            extensions["target"] = self.target
        return *edited(self.call, mine, self.request.headers), extensions

    def _wire(self, attempt: Attempt, cut: Cut | None = None) -> Wire:
        wire = Wire(connect_for=self.limits.connect_for(attempt), meanwhile=self.call.sent, cut=cut)
        if self.way.blind:
            wire.begun, wire.sent = time.monotonic(), True
        return wire

    def _failed(self, wire: Wire, error: Exception, elapsed: float) -> Outcome:
        if self.way.blind and isinstance(error, self.library.unsent):
            wire.sent = False
        cause = self.library.cause_of(error, wire)
        return Outcome(elapsed=elapsed, cause=cause, error=error, sent=wire.sent, connect=wire.connected_in)

    def _answered(self, attempt: Attempt, wire: Wire, answer: Any, elapsed: float) -> Outcome:
        """What the headers say; whatever becomes of the answer from here on, its body is followed."""
        outcome = answer_of(
            answer.status_code,
            answer.headers,
            elapsed=elapsed,
            connect=wire.connected_in,
            endless=not wire.sized,
            asked=attempt.asked,
        )
        answer.stream = self.body(answer.stream, Following(self.call, attempt, outcome, self.late), wire, self.way.left)
        attempt.answer = answer
        return outcome

    def _pause(self, wire: Wire, answer: Any) -> float | None:
        """Seconds without a byte after which a body that has no deadline counts as broken; None: never."""
        if not wire.sized:
            headers = answer.headers
            if answer.status_code == 101 or headers.get("content-type", "").startswith("text/event-stream"):
                return None
        return self.service.idle

    def _taken(self, won: Attempt) -> Any:
        """The answer for the client; the attempt must not keep it alive."""
        answer, won.answer = won.answer, None
        if self.call.plan.answer_edits is not None:
            self.call.plan.answer_edits.apply(answer.headers)
        if self.copies is not None:
            self._read_along(won, answer, None)
        return answer

    def _ended_in(self, won: Attempt) -> Outcome:
        assert won.outcome is not None
        return won.outcome

    def _kept(self, won: Attempt, url: str) -> Any:
        """The answer, whose body is kept when it is good and read to its end."""
        answer = self._taken(won)
        if self.call.plan.fallback is not None:
            self._read_along(won, answer, fallbacks.keeping(self.call, won, url, answer.headers, decoded=False))
        return answer

    def _read_along(self, won: Attempt, answer: Any, beside: Reader | None) -> None:
        """Have whoever else wants the body read it as the client does."""
        if self.copies is not None:
            encoding = answer.headers.get("content-encoding")
            beside = self.copies.reader(self.call, self._ended_in(won), beside, encoding=encoding)
        answer.stream.following.reader = beside

    # What goes wrong on purpose

    def _break(self, fault: Fault | None) -> None:
        if fault is not None and fault.reset:
            raise self.broken()

    def broken(self) -> Exception:
        """A connection that was reset, as the client has it."""
        error: Exception = self.library.module.ReadError(faults.RESET, request=self.request)
        return error

    def aborted(self, attempt: Attempt, reply: Reply, elapsed: float) -> Outcome:
        """The reply as the attempt's answer."""
        answer, wire = self.library.replied(self.request, reply), self._wire(attempt)
        wire.framed(answer.headers.raw)
        return self._answered(attempt, wire, answer, elapsed)

    def cut_short(self, attempt: Attempt, count: int, *, counts: bool) -> None:
        """Have the body break off; unless it counts, the call hears that nobody wanted the rest."""
        body = attempt.answer.stream

        def broken() -> Exception:
            if not counts:
                body.following.end(Ending.DROPPED)
            error: Exception = self.library.module.RemoteProtocolError(faults.BROKEN_OFF, request=self.request)
            return error

        body.inner = faults.Short(body.inner, count, broken)

    def late(self) -> Exception:
        """The deadline has passed, as the client's own error."""
        error = DeadlineExceeded(self.call.service.name, self.call.deadline.timeout, self.call.number)
        return self.library.twin(error, self.request)


class SyncCall(HttpxCall):
    """One call on the calling thread."""

    def run(self) -> Any:
        """The answer of the attempt that is delivered; raises the client's errors, and ours as the client's."""
        self.body = body_class(self.library.module, "Sync")
        plan = self.call.plan
        if plan.reply is not None:
            return self.library.replied(self.request, plan.reply)
        if plan.fallback is not None or plan.faults is not None:
            return self._covered()
        return self._taken(self._driven(self.send))

    def _driven(self, send: Callable[[Attempt], Outcome], since: float | None = None) -> Attempt:
        try:
            self._secure()
            return drive(self.call, send, self.drop, since=since)
        except MeshError as error:
            raise self.library.twin(error, self.request) from error.__cause__

    def _covered(self) -> Any:
        """The same, with what is to go wrong on purpose, and the plan's fallback in the place of a failure."""
        url = str(self.request.url)
        since, fault = faults.into_call(self.call)
        aborted = faults.abort(fault)
        if aborted is not None:
            instead = fallbacks.in_place_of(self.call, aborted[0], url)
            return self.library.replied(self.request, instead or aborted[1])
        try:
            self._break(fault)
            won = self._driven(partial(faults.into_attempt, self, send=self.send), since)
        except (MeshError, *self.library.failures) as error:
            reply = None if isinstance(error, self.library.mendable) else fallbacks.in_place_of(self.call, error, url)
            if reply is None:
                raise
            return self.library.replied(self.request, reply)
        try:
            reply = fallbacks.in_place_of(self.call, self._ended_in(won), url)
            if reply is not None:
                self.drop(won)
        except BaseException:
            self.drop(won)
            raise
        if reply is not None:
            return self.library.replied(self.request, reply)
        if fault is not None and fault.partial_body is not None:
            self.cut_short(won, fault.partial_body, counts=False)
        return self._kept(won, url)

    def send(self, attempt: Attempt) -> Outcome:
        """Send one attempt; what the endpoint or the network did comes back as an outcome."""
        began = time.monotonic()
        self.way.tidy()
        if attempt.number > 1 and self.file is not None:
            self.file.rewind()
        if not self.way.reaches:
            attempt.hedge_at = None
        cut = cut_of(self.call, attempt)
        wire = self._wire(attempt, cut)
        reaper().watch(cut)
        timeout = self._timeout(behind(self.call, attempt))
        parts = self._parts(attempt, timeout)
        transport = self.way.to(attempt.endpoint)
        token = wires.current.set(wire)
        try:
            answer = self.way.send(transport, self.request, parts, attempt.endpoint)
        except self.library.failures as error:
            cut.release()
            return self._failed(wire, error, wire.took(began))
        except BaseException:
            cut.release()
            raise
        finally:
            wires.current.reset(token)
        elapsed = wire.took(began)
        wire.framed(answer.headers.raw)
        if not self._bounded(wire, cut, timeout, answer):
            answer.stream.close()
            return Outcome(elapsed=elapsed, cause=cut.cause(begun=True), connect=wire.connected_in)
        outcome = self._answered(attempt, wire, answer, elapsed)
        if self.service.judge is not None:
            self._look(answer, outcome)
        return outcome

    def _look(self, answer: Any, outcome: Outcome) -> None:
        """Have the service's classifier see as much of the body as it needs."""
        look = look_of(self.service, self.request.method, outcome)
        if look is not None:
            answer.stream.look(look, self.call.deadline.at)
            outcome.body = look.body

    def _bounded(self, wire: Wire, cut: Cut, timeout: dict[str, float | None], answer: Any) -> bool:
        """Bound the body; False when the attempt was cut as the headers came."""
        deadline = self.call.deadline
        until = deadline.at if deadline.chosen and answer.status_code != 101 else inf
        if not cut.put_off(until):
            return False
        if until < inf:
            reaper().watch(cut)
        if self.limits.read is None:
            timeout["read"] = until - time.monotonic() + SLACK if until < inf else self._pause(wire, answer)
        return True

    def drop(self, attempt: Attempt) -> None:
        """Close an answer that nobody will read."""
        attempt.answer.stream.close()


class AsyncCall(HttpxCall):
    """One call on the running loop."""

    async def run(self) -> Any:
        """The answer of the attempt that is delivered; raises the client's errors, and ours as the client's."""
        self.body = body_class(self.library.module, "Async")
        plan = self.call.plan
        if plan.reply is not None:
            return self.library.replied(self.request, plan.reply)
        if plan.fallback is not None or plan.faults is not None:
            return await self._covered()
        return self._taken(await self._driven(self.send))

    async def _driven(
        self, send: Callable[[Attempt], Coroutine[Any, Any, Outcome]], since: float | None = None
    ) -> Attempt:
        try:
            self._secure()
            async with Wanted(current_context()):
                return await drive_async(self.call, send, self.drop, since=since)
        except MeshError as error:
            raise self.library.twin(error, self.request) from error.__cause__

    async def _covered(self) -> Any:
        """The same, with what is to go wrong on purpose, and the plan's fallback in the place of a failure."""
        url = str(self.request.url)
        async with Wanted(current_context()):
            since, fault = await faults.into_call_async(self.call)
        aborted = faults.abort(fault)
        if aborted is not None:
            instead = await self._instead(aborted[0], url)
            return self.library.replied(self.request, instead or aborted[1])
        try:
            self._break(fault)
            won = await self._driven(partial(faults.into_attempt_async, self, send=self.send), since)
        except (MeshError, *self.library.failures) as error:
            mendable = isinstance(error, self.library.mendable)
            reply = None if mendable else await self._instead(error, url)
            if reply is None:
                raise
            return self.library.replied(self.request, reply)
        try:
            reply = await self._instead(self._ended_in(won), url)
            if reply is not None:
                await self.drop(won)
        except BaseException:
            await self.drop(won)
            raise
        if reply is not None:
            return self.library.replied(self.request, reply)
        if fault is not None and fault.partial_body is not None:
            self.cut_short(won, fault.partial_body, counts=False)
        return self._kept(won, url)

    async def _instead(self, failure: BaseException | Outcome, url: str) -> Reply | None:
        """By the user's function for as long as the inbound caller waits."""
        async with Wanted(current_context()):
            return await fallbacks.in_place_of_async(self.call, failure, url)

    async def send(self, attempt: Attempt) -> Outcome:
        """Send one attempt; what the endpoint or the network did comes back as an outcome."""
        began = time.monotonic()
        await self.way.tidy_async()
        wire = self._wire(attempt)
        timeout = self._timeout()
        parts = self._parts(attempt, timeout)
        transport = self.way.to(attempt.endpoint)
        token = wires.current.set(wire)
        limit = Limit(self.call, attempt)
        try:
            async with limit:
                answer = await self.way.send_async(transport, self.request, parts, attempt.endpoint)
        except TimeoutError as error:
            await self.way.sweep(transport)
            cause = limit.cause(begun=wire.begun > 0)
            return Outcome(elapsed=wire.took(began), cause=cause, error=error, sent=wire.sent)
        except self.library.failures as error:
            await self.way.sweep(transport)
            return self._failed(wire, error, wire.took(began))
        except BaseException:
            await self.way.sweep(transport)
            raise
        finally:
            wires.current.reset(token)
        wire.framed(answer.headers.raw)
        outcome = self._answered(attempt, wire, answer, wire.took(began))
        if self.limits.read is None and not self.call.deadline.chosen:
            timeout["read"] = self._pause(wire, answer)
        if self.service.judge is not None:
            await self._look(answer, outcome)
        return outcome

    async def _look(self, answer: Any, outcome: Outcome) -> None:
        """Have the service's classifier see as much of the body as it needs."""
        look = look_of(self.service, self.request.method, outcome)
        if look is not None:
            await answer.stream.look(look, self.call.deadline.at)
            outcome.body = look.body

    async def drop(self, attempt: Attempt) -> None:
        """Close an answer that nobody will read."""
        await attempt.answer.stream.aclose()
