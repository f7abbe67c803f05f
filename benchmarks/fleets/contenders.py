"""Who sends the calls: by hand, as people write it today, with meshware, or through a proxy.

Each is made in its own process with the fleet's addresses, and asked to make one call after another; `Call` has all
that is said of one. An answer is a status; what is raised is an error, a Refused one by its own choice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import pybreaker
import tenacity

from fleets.scenario import Live
from fleets.wire import Address, Answer, Broken, Client, Unsent
from meshware.core.call import Attempt
from meshware.core.call import Call as MeshCall
from meshware.core.errors import CircuitOpen, NoEndpoint, Overloaded
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.outbound.drive import drive_async
from meshware.outbound.exchange import answer_of, headers_for
from meshware.outbound.scopes import Limit

TRY = 0.5
"""Seconds that those who are careful give a single try."""


class Refused(Exception):
    """The contender has not sent the call, of its own accord."""


class Call(NamedTuple):
    """One call: its number, the headers that tell the fleet its work, when its caller gives up (monotonic)."""

    number: int
    headers: Mapping[str, str]
    until: float


class Contender(Protocol):
    """Made in the process that calls."""

    def begin(self, start: float) -> None:
        """The first call comes no earlier (monotonic seconds); nothing to be done, for most."""

    async def call(self, call: Call) -> int:
        """The status of its answer."""
        ...

    def close(self) -> None:
        """No call follows."""
        ...


class Facts(NamedTuple):
    """What a contender is made from: the scenario, the replicas, and the proxy, if there is one."""

    scenario: Live
    replicas: Sequence[Address]
    proxy: Address | None = None
    name: str = "bench"
    seed: int = 0


class Plain(Contender):
    """Sends each call once, to whichever replica `pick` says."""

    def __init__(self, facts: Facts) -> None:
        self.replicas = facts.replicas
        self.client = Client()
        self.open = dict.fromkeys(facts.replicas, 0)
        self.rng = random.Random(facts.seed)

    def pick(self) -> Address:
        """Where the next call goes."""
        raise NotImplementedError

    async def call(self, call: Call) -> int:
        """Once."""
        return (await self.sent(call)).status

    async def sent(self, call: Call) -> Answer:
        """One try."""
        address = self.pick()
        self.open[address] += 1
        try:
            return await self.client.get(address, call.headers)
        finally:
            self.open[address] -= 1

    def close(self) -> None:
        """No connection stays."""
        self.client.close()


class TwoChoices(Plain):
    """The power of two choices, as one writes it by hand: of two at random the one with fewer calls in flight."""

    def pick(self) -> Address:
        """One of two."""
        return min(self.rng.sample(self.replicas, 2), key=self.open.__getitem__)


class Proxied(Plain):
    """Leaves everything to the proxy."""

    def __init__(self, facts: Facts) -> None:
        assert facts.proxy is not None
        super().__init__(facts._replace(replicas=[facts.proxy]))

    def pick(self) -> Address:
        """The proxy."""
        return self.replicas[0]


class ServerError(Exception):
    """What a retry loop catches: an answer of 500 and more."""


class Decorated(Plain):
    """What people write: addresses in turn, tenacity's retries around a pybreaker, a timeout for each try."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        turn = list(facts.replicas)
        self.rng.shuffle(turn)
        self._turn = cycle(turn)
        self._breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=1)
        self._retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(3),
            wait=tenacity.wait_random_exponential(multiplier=0.025, max=0.25),
            retry=tenacity.retry_if_exception_type((OSError, ServerError)),
            reraise=True,
        )

    def pick(self) -> Address:
        """The next in turn."""
        return next(self._turn)

    async def call(self, call: Call) -> int:
        """Up to three tries, unless the breaker is open."""
        try:
            return await self._retrying.copy()(self._try, call)
        except pybreaker.CircuitBreakerError as error:
            raise Refused from error

    async def _try(self, call: Call) -> int:
        with self._breaker.calling():
            async with asyncio.timeout(TRY):
                status = (await self.sent(call)).status
            if status >= 500:
                raise ServerError(status)
            return status


class Meshed(Contender):
    """meshware by its public way in for a client that it does not know: `Mesh.call` and the async driver."""

    def __init__(self, facts: Facts, settings: Mapping[str, Any]) -> None:
        self._mesh = Mesh.from_settings(settings_of(facts.name, facts.replicas, settings))
        self._service = self._mesh.services["fleet"]
        self._client = Client()

    async def call(self, call: Call) -> int:
        """With what the caller has left as its timeout, as a client of the mesh would say it."""
        request = Request("GET", "fleet", "/items", call.headers, timeout=call.until - time.monotonic())
        exchange = Exchange(self._client, self._mesh.call(self._service, request))
        try:
            won = await drive_async(exchange.call, exchange.send, exchange.drop)
        except (CircuitOpen, NoEndpoint, Overloaded) as error:
            raise Refused(type(error).__name__) from error
        exchange.ended(won, Ending.COMPLETE)
        assert won.outcome is not None
        assert won.outcome.status is not None
        return won.outcome.status

    def close(self) -> None:
        """No thread and no connection stays."""
        self._mesh.close()
        self._client.close()


class Exchange:
    """The door: sends the attempts of one call (meshware/outbound/httpx_call.py is the model)."""

    def __init__(self, client: Client, call: MeshCall) -> None:
        self._client, self.call = client, call

    async def send(self, attempt: Attempt) -> Outcome:
        """One attempt; what the endpoint or the network did comes back as an outcome."""
        began, sent = time.monotonic(), False
        address = attempt.endpoint.host, attempt.endpoint.port
        headers = {**self.call.request.headers, **headers_for(self.call, attempt, attempt.began)}
        limit = Limit(self.call, attempt)
        try:
            async with limit:
                connection = await self._client.connected(address, attempt.connect_by - attempt.began)
                sent = True
                answer = await self._client.ask(connection, headers)
        except TimeoutError as error:
            cause = limit.cause(begun=True)
            return Outcome(elapsed=time.monotonic() - began, cause=cause, error=error, sent=sent)
        except Unsent as error:
            cause = Cause.REFUSED if error.refused else Cause.CONNECT_TIMEOUT
            return Outcome(elapsed=time.monotonic() - began, cause=cause, error=error, sent=False)
        except Broken as error:
            return Outcome(elapsed=time.monotonic() - began, cause=Cause.RESET, error=error)
        attempt.answer = answer
        return answer_of(
            answer.status,
            answer.headers,
            elapsed=time.monotonic() - began,
            connect=None,
            endless="content-length" not in answer.headers,
        )

    async def drop(self, attempt: Attempt) -> None:
        """An answer that nobody will read."""
        self.ended(attempt, Ending.DROPPED)

    def ended(self, attempt: Attempt, ending: Ending) -> None:
        """The body has come with the headers."""
        assert attempt.outcome is not None
        self.call.ended(attempt, ending, attempt.outcome.elapsed, time.monotonic())


MESH_SETTINGS: dict[str, dict[str, Any]] = {
    "meshware": {},
    "meshware, no board": {"board": {"enabled": False}},
}
"""What is set beside the endpoints, by contender."""


def settings_of(name: str, replicas: Sequence[Address], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The mesh's settings: where the replicas are; all else by default, but for `settings`."""
    endpoints = [f"{host}:{port}" for host, port in replicas]
    return {"service": name, "services": {"fleet": {"endpoints": endpoints}}, **settings}
