"""The yardstick: a central queue in front of all replicas, kept by one who knows the fleet.

It knows every queue (it is the only caller), every speed and what is wrong with each replica at each moment; neither
the work of a request, which calls a gray replica is late with, nor the future. What is under way at a replica that
breaks is sent elsewhere at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from fleets.contenders import Call, Facts
from fleets.scenario import Live, changes, work
from fleets.wire import Answer, Broken, Client, Unsent


class Slots(NamedTuple):
    """A replica as the queue sees it: how many slots are free, of how many, and what a request is expected to take."""

    free: int
    slots: int
    work: float


def choice(fleet: Sequence[Slots], waiting: int) -> int | None:
    """Which replica the head of the queue goes to now; None: those who wait had better wait for a faster one.

    The fastest of those with a free slot, if the last of the queue would have to wait so long for a faster one that
    it would not be done sooner there (a threshold on the queue: Lin and Kumar 1984).
    """
    able = [number for number, each in enumerate(fleet) if each.free > 0 and each.work < inf]
    if not able:
        return None
    best = min(able, key=lambda number: fleet[number].work)
    faster = [each for each in fleet if each.work < fleet[best].work]
    if faster:
        turn = 1 / sum(each.slots / each.work for each in faster)
        if waiting * turn + min(each.work for each in faster) < fleet[best].work:
            return None
    return best


class Oracle:
    """Sends each call once, unless its replica breaks meanwhile."""

    def __init__(self, facts: Facts) -> None:
        self._scenario, self._replicas = facts.scenario, facts.replicas
        self._slots = [each.slots for each in facts.scenario.members()]
        self._queue: deque[asyncio.Future[int]] = deque()
        self._taken = [0] * len(facts.replicas)
        self._under_way: list[set[asyncio.Task[Answer]]] = [set() for _ in facts.replicas]
        self._moved: set[asyncio.Task[Answer]] = set()
        self._client = Client()
        self._works = self._known(facts.scenario, 0.0)

    def begin(self, start: float) -> None:
        """It knows when what will change."""
        loop = asyncio.get_running_loop()
        for moment in changes(self._scenario):
            loop.call_later(max(0.0, start + moment - time.monotonic()), self._change, moment)

    async def call(self, call: Call) -> int:
        """Wait for a slot, and send it; again if the replica breaks before it has answered."""
        while True:
            place = await self._slot()
            sent = asyncio.ensure_future(self._client.get(self._replicas[place], call.headers))
            self._under_way[place].add(sent)
            try:
                return (await sent).status
            except (Broken, Unsent):
                continue
            except asyncio.CancelledError:
                if sent not in self._moved:  # the caller has given up
                    raise
                self._moved.discard(sent)
            finally:
                self._under_way[place].discard(sent)
                self._give_back(place)

    async def _slot(self) -> int:
        """The number of a replica that has one to spare, when it is this call's turn."""
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # given at the same moment
                self._give_back(turn.result())
            raise

    def _give_back(self, place: int) -> None:
        self._taken[place] -= 1
        self._serve()

    def _serve(self) -> None:
        """Give free slots to those who wait."""
        while self._queue:
            if self._queue[0].done():  # its caller has given up
                self._queue.popleft()
                continue
            place = choice(self._fleet(), len(self._queue))
            if place is None:
                return
            self._taken[place] += 1
            self._queue.popleft().set_result(place)

    def _fleet(self) -> list[Slots]:
        facts = zip(self._slots, self._taken, self._works, strict=True)
        return [Slots(slots - taken, slots, expected) for slots, taken, expected in facts]

    def _change(self, moment: float) -> None:
        """What is under way at the broken goes elsewhere, if there is anywhere."""
        self._works = self._known(self._scenario, moment)
        if min(self._works) < inf:
            broken = [sent for place, each in enumerate(self._works) if each == inf for sent in self._under_way[place]]
            self._moved.update(broken)
            for sent in broken:
                sent.cancel()
        self._serve()

    @staticmethod
    def _known(scenario: Live, moment: float) -> list[float]:
        return [work(scenario, number, moment) for number, _ in enumerate(scenario.members())]

    def close(self) -> None:
        """No connection stays."""
        self._client.close()
