"""The board: what all workers of one host that run the same settings know together, in one memory-mapped file.

There is no server, and no lock on a call's path. A call writes how many it has in flight to one cell, and sums those
of the endpoints that it has drawn. All else is exchanged by the housekeeper, 50 times a second: answers and failures
go into the local meters as if they had been ours, ejections are followed, budgets and limits are summed.

Each worker has a row, owned by a record lock that the kernel drops at its death; the next sweep of any other wipes
what the dead one had in flight. A worker that cannot share, for whatever reason, is right all the same, and only
knows less: it says why, once.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterable
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from meshware.core.events import BoardLost, BoardsApart
from meshware.sharing import cells, layout
from meshware.sharing.cells import Cells, Unusable, opened
from meshware.sharing.counts import Count, Counts, counted, fold, remove
from meshware.sharing.directory import directory, identity, key, stem
from meshware.sharing.layout import CELLS, SERVICES, WORKERS, start_of, strided, table
from meshware.sharing.place import Place
from meshware.sharing.purse import Purse
from meshware.sharing.rows import Rows, inhabited
from meshware.sharing.slots import Slots

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.service import Service

SECOND = 1.0
"""Between two looks at what changes slowly: what is recent, and whose places are whose."""

QUIET = 2.0
"""Seconds after the last answer in which sweeps go on."""

SELDOM = 0.2
"""Requests a second up to which a server is idle: who asks then hears of what was a moment ago."""

MUCH = 1e9
"""So busy no worker is."""

PATIENCE = 50
"""Tries, a millisecond apart, to leave nothing behind."""

STEP = 4
"""Rows are looked at in steps of so many: a worker that comes or goes seldom changes what a pick adds up."""

BOARD = re.compile(r"\.[0-9a-f]{16}$")
"""How the name of a board ends; the files of counts beside it have further suffixes."""

NO_OTHERS = (0.0,) * len(layout.SERVED)
NO_SERVICES, NO_WORKERS = array("d", bytes(8 * SERVICES)), array("d", bytes(8 * WORKERS))


class Serves(Protocol):
    """What a worker is busy with itself (health/load.py): figures in the order of the board's that add up over workers.

    `others`: what the host's other workers are busy with.
    """

    others: tuple[float, ...]

    def own(self, now: float) -> tuple[float, ...]:
        """What this one is busy with."""
        ...


class Board:
    """One worker's part in it. Thread-safe; `sweep` is the housekeeper's.

    `services` are those that are called now, `fingerprint` a text of all settings: workers share what they learn with
    those of the same service name, environment and settings. `chosen`: the directory to lie in, if one was named.
    """

    def __init__(
        self,
        *,
        service: str,
        environment: str,
        fingerprint: Callable[[], str],
        chosen: str | None,
        services: Callable[[], Iterable[Service]],
        serves: Serves,
        emit: Callable[[object], None],
    ) -> None:
        self._fingerprint = fingerprint
        self._service, self._stem, self._chosen = service, stem(service, environment), chosen
        self._services, self._serves, self._emit = services, serves, emit
        self._lock = RLock()
        self._mapped: Cells
        self._rows: Rows
        self._identity: int
        self._path: Path
        self._ints: memoryview[int]
        self._floats: memoryview[float]
        self.reason = ""  # why it is not used, where it is not
        self._reset()

    def _reset(self) -> None:
        self.row: int | None = None
        self.sweeps = 0
        self._high = 0
        self._busy_until = self._looked = 0.0
        self._news: list[float] = []
        self._places: dict[Endpoint, Place] = {}
        self._purses: dict[Service, Purse] = {}
        self._seated: dict[Service, tuple[Endpoint, ...]] = {}
        self._counts: Counts | None = None

    # For the housekeeper

    def sweep(self, now: float) -> bool:
        """Exchange what there is to exchange; whether another sweep is wanted soon."""
        with self._lock:
            if self.reason:
                return False
            try:
                if self.row is None and not self._join(now):
                    return True
                return self._swept(now)
            except (Unusable, OSError) as error:
                self._lose(str(error), now)
                return False

    def _swept(self, now: float) -> bool:
        if not cells.intact(self._ints, cells=CELLS, identity=self._identity):
            raise Unusable(f"{self._path}: somebody else has written to it")
        self.sweeps += 1
        self._bury()
        if now - self._looked >= SECOND:
            self._look(now)
        self._seat(now)
        self._exchange(now)
        self._talk(now)
        self._serve(now)
        return now < self._busy_until

    def close(self, now: float) -> None:
        """Leave; the last one takes the files away."""
        with self._lock:
            if self.row is not None:
                self._leave(now)
            self.reason = "closed"

    def after_fork(self) -> None:
        """In the child: the parent's row is the parent's, and what it has in flight too."""
        self._lock = RLock()
        for endpoint in self._places:
            endpoint.alone()
        self._reset()

    def status(self) -> dict[str, Any]:
        """As plain data: where it is, who shares it, what all have in flight; or why it is not used."""
        with self._lock:
            if self.row is None:
                return {"path": None, "reason": self.reason or "not joined yet"}
            in_flight: dict[str, dict[str, float]] = {}
            for endpoint, place in self._places.items():
                in_flight.setdefault(place.service.name, {})[endpoint.address] = endpoint.load
            workers = [pid for pid in self._ints[table("pid")].tolist() if pid]
            return {"path": str(self._path), "workers": workers, "sweeps": self.sweeps, "in_flight": in_flight}

    def counts(self) -> dict[str, Count]:
        """Answers by service, over all workers that are or were; none while the board is not used."""
        with self._lock:
            if self.row is None:
                return {}
            return {each.service.name: counted(self._path, each.slot) for each in self._purses.values()}

    # Joining and leaving

    def _join(self, now: float) -> bool:
        """Claim a row; False when somebody else is at the gate: at the next sweep then."""
        self._identity = identity(self._fingerprint())
        self._path = directory(self._chosen) / f"{self._stem}.{self._identity:016x}"
        mapped = opened(self._path, cells=CELLS, identity=self._identity)
        if mapped.owner is not None and mapped.owner() not in (None, self):
            raise Unusable("another mesh of this process has the same settings")
        rows = Rows(mapped.descriptor, WORKERS)
        with rows.gate() as alone:
            if not alone or not cells.same_file(self._path, mapped):
                return False
            row = rows.claim()
            if row is None:
                raise Unusable(f"{self._path}: all {WORKERS} places are taken")
            try:
                fold(self._path, row)
                counts = Counts(self._path, row)
            except BaseException:
                rows.leave(row)
                raise
        mapped.owner = ref(self)
        self._mapped, self._rows, self.row, self._counts = mapped, rows, row, counts
        self._ints, self._floats = mapped.views()
        self._wipe(row)
        self._ints[start_of("pid") + row] = os.getpid()
        if self._others_apart():
            self._emit(BoardsApart(self._service, now, str(self._path.parent)))
        return True

    def _leave(self, now: float) -> None:
        assert self.row is not None
        for place in self._places.values():
            self._publish(place)
            place.end(now)
        for purse in self._purses.values():
            purse.end()
        self._serves.others = NO_OTHERS
        # who does not get through leaves his counts to the next sweep of another
        with self._rows.gate(PATIENCE) as alone:
            self._wipe(self.row, gone=alone)
            if alone and self._rows.alone(self.row):
                self._path.unlink(missing_ok=True)
                remove(self._path)
            elif alone:
                fold(self._path, self.row)
            self._rows.leave(self.row)
        self._mapped.owner = None
        self._reset()

    def _lose(self, reason: str, now: float) -> None:
        """Go on alone, and say why. What is written there by others may be anything: nothing is touched any more."""
        self.reason = reason
        for place in self._places.values():
            place.alone(now)
            place.service.change()
        for purse in self._purses.values():
            purse.alone()
        self._serves.others = NO_OTHERS
        if self.row is not None:
            self._rows.leave(self.row)
        self._reset()
        self._emit(BoardLost(self._service, now, reason))

    def _others_apart(self) -> bool:
        """Whether workers of this name run here with other settings."""
        paths = self._path.parent.glob(f"{self._stem}.*")
        return any(inhabited(each) for each in paths if BOARD.search(each.name) and each != self._path)

    def _wipe(self, row: int, *, gone: bool = True) -> None:
        """Nobody is in this row any more. Versions are odd meanwhile, so that nobody adds up half of it.

        Only places that are somebody's are touched: the memory of the others is none of ours.
        """
        floats = self._floats
        for slot, whose in enumerate(self._ints[table("endpoint")]):
            if whose:
                at = slot * WORKERS + row
                floats[start_of("version") + at] = 1.0
                for name in layout.OF_ENDPOINTS[1:]:
                    floats[start_of(name) + at] = 0.0
                floats[start_of("version") + at] = 0.0
        for name in layout.OF_SERVICES:
            floats[strided(name, row)] = NO_SERVICES
        for name in layout.OF_WORKERS[1:]:
            floats[start_of(name) + row] = 0.0
        if gone:
            self._ints[start_of("pid") + row] = 0

    # In each sweep

    def _bury(self) -> None:
        """Wipe what workers that are dead had in flight, at once; and keep what they have counted."""
        pids = self._ints[table("pid")].tolist()
        for row, pid in enumerate(pids):
            if not pid or row == self.row:
                continue
            with self._rows.orphan(row) as dead:
                if dead:
                    self._wipe(row, gone=self._kept(row))
        high = max(row for row, pid in enumerate(pids) if pid or row == self.row) + 1
        high = min(WORKERS, -(-high // STEP) * STEP)
        if high != self._high:
            self._high = high
            for place in self._places.values():
                place.widen(high)

    def _kept(self, row: int) -> bool:
        with self._rows.gate() as alone:
            if alone:
                fold(self._path, row)
            return alone

    def _look(self, now: float) -> None:
        """Once a second: less is recent; our places are still wanted, and still ours."""
        keys, seen = self._ints[table("endpoint")], start_of("endpoint_seen")
        for endpoint, place in tuple(self._places.items()):
            place.fade(now - self._looked)
            self._floats[seen + place.slot] = now
            if keys[place.slot] != place.key:
                self._unseat(endpoint, now)
                self._seated.clear()
        self._looked = now

    def _seat(self, now: float) -> None:
        """Places for the endpoints that are called; none for those that have gone."""
        services = [each for each in self._services() if each.used and not each.retired]
        if all(self._seated.get(each) is each.endpoints for each in services) and len(services) == len(self._seated):
            return
        wanted = {endpoint: service for service in services for endpoint in service.endpoints}
        for endpoint in self._places.keys() - wanted.keys():
            self._unseat(endpoint, now)
        for service in self._purses.keys() - set(services):
            self._purses.pop(service).end()
        with self._rows.gate() as alone:
            if alone:
                self._make_room(wanted, now)
                self._seated = {each: each.endpoints for each in services}

    def _make_room(self, wanted: dict[Endpoint, Service], now: float) -> None:
        assert self.row is not None
        taken = Slots(self._ints[table("service")])
        for service in dict.fromkeys(wanted.values()):
            slot = None if service in self._purses else taken.slot(key(service.name))
            if slot is not None:
                purse = self._purses[service] = Purse(service, self._floats, slot=slot, row=self.row)
                purse.begin(self._high)
        taken = Slots(self._ints[table("endpoint")], self._floats[table("endpoint_seen")])
        for endpoint, service in wanted.items():
            if endpoint not in self._places:
                named = key(f"{service.name} {endpoint.address}")
                slot = taken.slot(named, now, self._empty)
                if slot is None:  # more than there is room for: each worker knows its own
                    return
                self._begin(Place(endpoint, service, self._floats, key=named, slot=slot, row=self.row), now)

    def _begin(self, place: Place, now: float) -> None:
        self._places[place.endpoint] = place
        self._news = []  # what was said of it may be old
        place.begin(self._high, now)
        place.service.change()

    def _unseat(self, endpoint: Endpoint, now: float) -> None:
        place = self._places.pop(endpoint)
        place.end(now)
        place.service.change()

    def _empty(self, slot: int) -> None:
        """Another endpoint gets this place."""
        for name in layout.OF_ENDPOINTS:
            start = start_of(name) + slot * WORKERS
            self._floats[start : start + WORKERS] = NO_WORKERS

    def _exchange(self, now: float) -> None:
        """Answers, and what each service may spend and have in flight."""
        for place in self._places.values():
            if self._publish(place) or place.endpoint.open:
                self._busy_until = now + QUIET
            place.hear(self._high, now)
        for purse in self._purses.values():
            purse.share(self._high)

    def _publish(self, place: Place) -> bool:
        """Whether there was anything to say of this endpoint."""
        answers = place.publish()
        if answers and self._counts is not None and place.service in self._purses:
            self._counts.add(self._purses[place.service].slot, answers)
        return bool(answers)

    def _serve(self, now: float) -> None:
        """What this worker is busy with, and what all the others are."""
        assert self.row is not None
        own, others = self._serves.own(now), []
        for name, figure in zip(layout.SERVED, own, strict=True):
            start = start_of(name)
            others.append(sum(self._floats[start : start + self._high]) - self._floats[start + self.row])
            self._floats[start + self.row] = figure
        if not all(isfinite(each) and -1 < each < MUCH for each in others):
            raise Unusable("nonsense is said of what workers are busy with")
        self._serves.others = tuple(max(0.0, each) for each in others)
        if own[0] or own[2] > SELDOM:
            self._busy_until = now + QUIET

    def _talk(self, now: float) -> None:
        """Say which endpoints we have ejected or taken back, and follow what the others say."""
        assert self.row is not None
        news = start_of("news")
        for place in self._places.values():
            if place.say(*place.service.ejection.word(place.endpoint)):
                self._floats[news + self.row] = now
        heard = list(self._floats[news : news + self._high])
        if heard == self._news:
            return
        self._news = heard
        for endpoint, place in self._places.items():
            place.service.ejection.follow(endpoint, *place.word(self._high), now)
