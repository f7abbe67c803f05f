"""The replicas: one process, a listening socket each, HTTP/1.1 with keep-alive.

A replica has slots and one queue in order of arrival. Its work is sleep, so that the processor is not what is short;
who waits begins when a slot should have been free, so that a busy machine is late with answers, but takes nothing off
what a replica can do. What its caller has given up is worked on all the same, as servers of HTTP/1.1 do. How much work
a request is, its caller says (`x-work`, seconds), so that it is the same whoever sends it; which ones a gray replica is
late with follows from the request's draw (`x-draw`), and from how many times this request (`x-number`) was here before.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any

from fleets.scenario import Live, State, changes, state

BODY = b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
GOOD, BAD = b"HTTP/1.1 200 OK\r\n" + BODY, b"HTTP/1.1 503 Service Unavailable\r\n" + BODY
FAST_FAILURE = 0.001
"""Seconds after which a failing replica says so."""

HEALTH = b"get /health"


class Connection(asyncio.Protocol):
    """One caller's connection: a request at a time."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """It is accepted."""
        self._transport = transport
        self._replica.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The caller has gone, or the replica crashed."""
        self._replica.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """A request is here once its head is."""
        self._read += data
        if self._read.endswith(b"\r\n\r\n"):
            head, self._read = self._read.lower(), b""
            self._replica.arrive(head, self)

    def answer(self, said: bytes) -> None:
        """To whoever is still there."""
        if not self._transport.is_closing():
            self._transport.write(said)


class Job:
    """A request in a slot: the work that is left of it, and when it will be done."""

    __slots__ = ("arrived", "connection", "finish", "timer", "work")

    def __init__(self, connection: Connection, work: float, arrived: float) -> None:
        self.connection, self.work, self.arrived = connection, work, arrived
        self.finish = 0.0
        self.timer: asyncio.TimerHandle | None = None


class Replica:
    """One server."""

    def __init__(self, number: int, port: int, turns: Counter[int], *, slots: int, speed: float) -> None:
        self.number, self.port = number, port
        self.asked = 0
        """Requests since the beginning of what is counted."""

        self.late: list[float] = []
        """By how many seconds work was done later than it should have been: how busy the machine is."""

        self.connections: set[Any] = set()
        self.begin = inf
        """When what is counted begins."""

        self._turns = turns  # of each request, at all replicas
        self._slots, self._speed = slots, speed
        self._state = State()
        self._queue: deque[Job] = deque()
        self._jobs: set[Job] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()

    async def listen(self) -> None:
        """Accept connections, from now on."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self._server = await self._loop.create_server(partial(Connection, self), sock=sock, backlog=1024)

    async def become(self, found: State) -> None:
        """Something has begun or ended."""
        before, self._state = self._state, found
        if found.refusing and not before.refusing:
            self._crash()
        elif before.refusing and not found.refusing:
            await self.listen()
        if self._pace(before) != self._pace(found):
            for job in self._jobs:
                self._again(job, self._pace(before))

    def arrive(self, head: bytes, connection: Connection) -> None:
        """A request."""
        found = self._state
        if found.silent or (found.standing and head.startswith(HEALTH)):
            return
        if found.failing:
            self._loop.call_later(FAST_FAILURE, connection.answer, BAD)
        elif head.startswith(HEALTH):
            connection.answer(GOOD)
            return
        self.asked += time.monotonic() >= self.begin
        if not found.failing:
            now = self._loop.time()
            self._queue.append(Job(connection, self._work(head), now))
            self._fill(now)

    def _work(self, head: bytes) -> float:
        number, gray = int(field(head, b"x-number")), self._state.gray
        turn = self._turns[number]
        self._turns[number] += 1
        if gray.strikes(float(field(head, b"x-draw")), turn):
            return gray.takes
        return float(field(head, b"x-work"))

    def _fill(self, free: float) -> None:
        """A slot has been free since then."""
        while self._queue and len(self._jobs) < self._slots:
            job = self._queue.popleft()
            self._jobs.add(job)
            self._start(job, max(free, job.arrived))

    def _start(self, job: Job, at: float) -> None:
        pace = self._pace(self._state)
        if pace:
            job.finish = at + job.work / pace
            job.timer = self._loop.call_at(job.finish, self._done, job)

    def _again(self, job: Job, pace: float) -> None:
        """At another pace from now on."""
        now = self._loop.time()
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None
            job.work = max(0.0, job.finish - now) * pace
        self._start(job, now)

    def _pace(self, found: State) -> float:
        return 0.0 if found.standing else self._speed / found.slower

    def _done(self, job: Job) -> None:
        self.late.append(self._loop.time() - job.finish)
        self._jobs.discard(job)
        job.connection.answer(GOOD)
        self._fill(job.finish)

    def _crash(self) -> None:
        assert self._server is not None
        self._server.close()
        for job in self._jobs:
            if job.timer is not None:
                job.timer.cancel()
        self._jobs.clear()
        self._queue.clear()
        for transport in tuple(self.connections):
            transport.abort()


def field(head: bytes, name: bytes) -> bytes:
    """What a header of a lowered head says."""
    begin = head.index(b"\r\n" + name + b":") + len(name) + 3
    return head[begin : head.index(b"\r\n", begin)].strip()


async def serve(scenario: Live, ports: Sequence[int], pipe: Any) -> dict[str, Any]:
    """Run the fleet. The pipe says when it starts (monotonic seconds), and then that it is over."""
    loop = asyncio.get_running_loop()
    turns: Counter[int] = Counter()
    replicas = [
        Replica(number, port, turns, slots=each.slots, speed=each.speed)
        for number, (each, port) in enumerate(zip(scenario.members(), ports, strict=True))
    ]
    for each in replicas:
        await each.listen()
    pipe.send(None)
    start = await heard(pipe)
    over = loop.create_task(heard(pipe))
    for each in replicas:
        each.begin = start + scenario.begin
    for moment in changes(scenario):
        await asyncio.wait([over], timeout=max(0.0, start + moment - time.monotonic()))
        for each in replicas:
            await each.become(state(scenario, each.number, moment))
    await over
    return {"asked": [each.asked for each in replicas], "late": [late for each in replicas for late in each.late]}


async def heard(pipe: Any) -> Any:
    """The next thing that the pipe says."""
    loop = asyncio.get_running_loop()
    found = loop.create_future()
    loop.add_reader(pipe.fileno(), lambda: (loop.remove_reader(pipe.fileno()), found.set_result(pipe.recv())))
    return await found
