"""One cell: a scenario, a contender, a seed; its fleet, proxy and clients are processes of its own, forked from a lane.

The load is open: each call is timed from when it should have begun, whenever it was really sent. Every contender of a
seed gets the same arrivals with the same work; eight client processes get every eighth of them each.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

from fleets import fleet
from fleets.contenders import MESH_SETTINGS, Call, Contender, Decorated, Facts, Meshed, Proxied, Refused, TwoChoices
from fleets.figures import REFUSED, Called, Cell, summary
from fleets.fleet import heard
from fleets.oracle import Oracle
from fleets.peers import PEERS, running
from fleets.scenario import Live
from meshware.testing.simulation.workload import Arrival, workload

FORK = multiprocessing.get_context("fork")
SLACK = 0.05
"""Seconds after the deadline at which a contender that does not give up is made to."""

ORACLE = "oracle"
CONTENDERS: dict[str, Callable[[Facts], Contender]] = {
    ORACLE: Oracle,
    **{name: partial(Meshed, settings=settings) for name, settings in MESH_SETTINGS.items()},
    **dict.fromkeys(PEERS, Proxied),
    "p2c by hand": TwoChoices,
    "decorated client": Decorated,
}


class Job(NamedTuple):
    """Which cell."""

    scenario: Live
    contender: str
    seed: int


class Lane:
    """Runs cells one after another, on ports of its own."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._ports = ports(range(14_000 + 2_000 * number, 16_000 + 2_000 * number))

    def run(self, job: Job) -> Cell:
        """One cell."""
        used, began = cpu(), time.monotonic()
        replicas = [("127.0.0.1", next(self._ports)) for _ in job.scenario.members()]
        count = 1 if job.contender == ORACLE else job.scenario.processes
        with ExitStack() as stack:
            serving = stack.enter_context(child(_serve, job.scenario, [port for _, port in replicas]))
            serving.recv()
            proxy = None
            if job.contender in PEERS:
                proxy = stack.enter_context(running(PEERS[job.contender], next(self._ports), replicas)).address
            facts = Facts(job.scenario, replicas, proxy, f"bench-{self._number}", job.seed)
            clients = [stack.enter_context(child(_ask, job, facts, turn, count)) for turn in range(count)]
            for each in clients:
                each.recv()
            start = time.monotonic() + 0.1
            for each in (serving, *clients):
                each.send(start)
            calls = [called for each in clients for called in each.recv()]
            serving.send(None)
            seen = serving.recv()
        busy = (cpu() - used) / (time.monotonic() - began)
        return summary(job.scenario, calls, asked=seen["asked"], late=seen["late"], cpu=busy)


@contextmanager
def child(work: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """A process that does this, with the other end of a pipe as its last argument; ended with the block."""
    mine, theirs = FORK.Pipe()
    process = FORK.Process(target=work, args=(*arguments, theirs))
    process.start()
    theirs.close()
    try:
        yield mine
    finally:
        process.join(1.0)
        process.terminate()
        process.join(5.0)  # a lane ends its own children meanwhile
        process.kill()
        process.join()
        mine.close()


def ports(among: range) -> Iterator[int]:
    """Free ports in turn, each long before it comes again: a crashed replica's stays its own."""
    while True:
        for port in among:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("127.0.0.1", port))
                except OSError:
                    continue
            yield port


def cpu() -> float:
    """Seconds that this process and the children that have ended have used."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _serve(scenario: Live, at: Sequence[int], pipe: Any) -> None:
    """The fleet's process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()
    pipe.send(asyncio.run(fleet.serve(scenario, at, pipe)))


def _ask(job: Job, facts: Facts, turn: int, count: int, pipe: Any) -> None:
    """A client's process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    arrivals = share_of(job, turn, count)
    gc.freeze()
    pipe.send(asyncio.run(load(CONTENDERS[job.contender], facts, arrivals, pipe)))


def share_of(job: Job, turn: int, count: int) -> list[tuple[int, Arrival]]:
    """The calls of one of some client processes, each with its number: those of a seed are the same for everybody."""
    return list(enumerate(workload(job.scenario, job.seed)))[turn::count]


async def load(
    make: Callable[[Facts], Contender], facts: Facts, arrivals: Sequence[tuple[int, Arrival]], pipe: Any
) -> list[Called]:
    """Send each call at its time; returns when all are over. The pipe is told when all is ready, and says the start."""
    contender = make(facts)
    pipe.send(None)
    start = await heard(pipe)
    contender.begin(start)
    calls: list[Called] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, arrival in arrivals:
                wait = start + arrival.at - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                due = start + arrival.at
                call = Call(number, headers(number, arrival), due + facts.scenario.deadline)
                tasks.create_task(_one(contender, call, arrival.at, due, calls))
    finally:
        contender.close()
    return calls


async def _one(contender: Contender, call: Call, at: float, due: float, calls: list[Called]) -> None:
    began = time.monotonic()
    status: int | None = None
    try:
        async with asyncio.timeout(call.until + SLACK - began):
            status = await contender.call(call)
    except Refused:
        status = REFUSED
    except Exception as error:
        error.__traceback__ = None
    calls.append(Called(at, time.monotonic() - due, status, began - due))


def headers(number: int, arrival: Arrival) -> dict[str, str]:
    """What the fleet is told of a call."""
    return {"x-number": str(number), "x-work": f"{arrival.work:.6f}", "x-draw": f"{arrival.draw:.9f}"}
