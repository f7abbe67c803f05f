"""The board: what all workers of one host that run the same settings know together, in one memory-mapped file.

There is no server, and no lock on a call's path. A call writes how many it has in flight to one cell, and sums those
of the endpoints that it has drawn. All else is exchanged by the housekeeper, 50 times a second: answers and failures
go into the local meters as if they had been ours, ejections are followed, budgets and limits are summed.

Each worker has a row, owned by a record lock that the kernel drops at its death; the next sweep of any other wipes
what the dead one had in flight. A worker that cannot share, for whatever reason, is right all the same, and only
knows less: it says why, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from meshware.core.events import BoardLost, BoardsApart
from meshware.sharing.cells import Unusable
from meshware.sharing.counts import Count, counted
from meshware.sharing.directory import board, key, stem
from meshware.sharing.layout import SERVED, SHIFTS, start_of, table
from meshware.sharing.membership import Membership
from meshware.sharing.place import Place
from meshware.sharing.purse import Purse
from meshware.sharing.rows import inhabited
from meshware.sharing.slots import Slots
from meshware.sharing.watch import Watch, Watched

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.service import Service

SECOND = 1.0
"""Between two looks at what changes slowly: what is recent, and whose places are whose."""

AWAKE = 5.0
"""Seconds after its last sweep for which a worker is taken for awake; an idle one sweeps once a second."""

QUIET = 2.0
"""Seconds after the last answer in which sweeps go on."""

SELDOM = 0.2
"""Requests a second up to which a server is idle: who asks then hears of what was a moment ago."""

MUCH = 1e9
"""So busy no worker is."""

BOARD = re.compile(r"\.[0-9a-f]{16}$")
"""How the name of a board ends; the files of counts beside it have further suffixes."""

NO_OTHERS = (0.0,) * len(SERVED)


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

    `services` are those that are called now, `shifts` all that there are, `fingerprint` a text of all settings: workers
    share what they learn with those of the same service name, environment and settings. `chosen`: the directory to lie
    in, if one was named.
    """

    def __init__(
        self,
        *,
        service: str,
        environment: str,
        fingerprint: Callable[[], str],
        chosen: str | None,
        services: Callable[[], Iterable[Service]],
        shifts: Callable[[], Iterable[Watched]],
        serves: Serves,
        emit: Callable[[object], None],
    ) -> None:
        self._fingerprint = fingerprint
        self._service, self._environment, self._chosen = service, environment, chosen
        self._services, self._shifts, self._serves, self._emit = services, shifts, serves, emit
        self._lock = RLock()
        self.reason = ""  # why it is not used, where it is not
        self._reset()

    def _reset(self) -> None:
        self._member: Membership | None = None
        self.sweeps = 0
        self._busy_until = self._looked = 0.0
        self._news: list[float] = []
        self._was_first = False
        self._places: dict[Endpoint, Place] = {}
        self._purses: dict[Service, Purse] = {}
        self._seated: dict[Service, tuple[Endpoint, ...]] = {}
        self._watches: dict[Watched, Watch] = {}

    # For the housekeeper

    def sweep(self, now: float) -> bool:
        """Exchange what there is to exchange; whether another sweep is wanted soon."""
        with self._lock:
            if self.reason:
                return False
            try:
                member = self._member or self._join(now)
                return member is None or self._swept(member, now)
            except (Unusable, OSError) as error:
                self._lose(str(error), now)
                return False

    def _swept(self, member: Membership, now: float) -> bool:
        member.check()
        self.sweeps += 1
        if member.bury(now):
            for place in self._places.values():
                place.widen(member.high)
        if now - self._looked >= SECOND:
            self._look(member, now)
        self._seat(member, now)
        self._exchange(member, now)
        self._talk(member, now)
        self._serve(member, now)
        self._watch(member, now)
        return now < self._busy_until

    def close(self, now: float) -> None:
        """Leave; the last one takes the files away."""
        with self._lock:
            try:
                if self._member is not None:
                    self._leave(self._member, now)
            except (Unusable, OSError) as error:  # its files are not what they were: nobody's closing fails for that
                self._lose(str(error), now)
            self.reason = "closed"

    def after_fork(self) -> None:
        """In the child: the parent's row is the parent's, and what it has in flight too."""
        self._lock = RLock()
        for endpoint in self._places:
            endpoint.alone()
        self._serves.others = NO_OTHERS
        self._reset()

    def status(self) -> dict[str, Any]:
        """As plain data: where it is, who shares it, what all have in flight; or why it is not used."""
        with self._lock:
            member = self._member
            if member is None:
                return {"path": None, "reason": self.reason or "not joined yet"}
            in_flight: dict[str, dict[str, float]] = {}
            for endpoint, place in self._places.items():
                in_flight.setdefault(place.service.name, {})[endpoint.address] = endpoint.load
            known = {"path": str(member.path), "workers": member.workers(), "sweeps": self.sweeps}
            return known | {"in_flight": in_flight}

    def counts(self) -> dict[str, Count]:
        """Answers by service, over all workers that are or were; none while the board is not used."""
        with self._lock:
            member = self._member
            if member is None:
                return {}
            return {each.service.name: counted(member.path, each.slot) for each in self._purses.values()}

    # Joining and leaving

    def _join(self, now: float) -> Membership | None:
        """None when somebody else is at the gate: at the next sweep then."""
        path, number = board(self._service, self._environment, self._fingerprint(), self._chosen)
        member = self._member = Membership.join(path, number, self)
        if member is not None and self._others_apart(path):
            self._emit(BoardsApart(self._service, now, str(path.parent)))
        return member

    def _leave(self, member: Membership, now: float) -> None:
        for place in self._places.values():
            self._publish(member, place)
            place.end(now)
        for watch in self._watches.values():
            watch.share(now)
        for purse in self._purses.values():
            purse.end()
        self._serves.others = NO_OTHERS
        member.leave()
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
        if self._member is not None:
            self._member.give_up()
        self._reset()
        self._emit(BoardLost(self._service, now, reason))

    def _others_apart(self, path: Path) -> bool:
        """Whether workers of this name run here with other settings."""
        others = path.parent.glob(f"{stem(self._service, self._environment)}.*")
        return any(inhabited(each) for each in others if BOARD.search(each.name) and each != path)

    # In each sweep

    def _look(self, member: Membership, now: float) -> None:
        """Once a second: less is recent; our places are still wanted, and still ours."""
        keys, seen = member.ints[table("endpoint")], start_of("endpoint_seen")
        for endpoint, place in tuple(self._places.items()):
            place.fade(now - self._looked)
            member.floats[seen + place.slot] = now
            if keys[place.slot] != place.key:
                self._unseat(endpoint, now)
                self._seated.clear()
        self._looked = now

    def _seat(self, member: Membership, now: float) -> None:
        """Places for the endpoints that are called; none for those that have gone."""
        services = [each for each in self._services() if (each.used or each.checks is not None) and not each.retired]
        if all(self._seated.get(each) is each.endpoints for each in services) and len(services) == len(self._seated):
            return
        wanted = {endpoint: service for service in services for endpoint in service.endpoints}
        for endpoint in self._places.keys() - wanted.keys():
            self._unseat(endpoint, now)
        for service in self._purses.keys() - set(services):
            self._purses.pop(service).end()
        with member.rows.gate() as alone:
            if alone:
                self._make_room(member, wanted, now)
                self._seated = {each: each.endpoints for each in services}

    def _make_room(self, member: Membership, wanted: dict[Endpoint, Service], now: float) -> None:
        slots = Slots(member.ints[table("service")])
        for service in dict.fromkeys(wanted.values()):
            slot = None if service in self._purses else slots.slot(key(service.name))
            if slot is not None:
                purse = self._purses[service] = Purse(service, member.floats, slot=slot, row=member.row)
                purse.begin(member.high)
        slots = Slots(member.ints[table("endpoint")], member.floats[table("endpoint_seen")])
        for endpoint, service in wanted.items():
            if endpoint not in self._places:
                named = key(f"{service.name} {endpoint.address}")
                slot = slots.slot(named, now, member.empty)
                if slot is None:  # more than there is room for: each worker knows its own
                    return
                place = Place(endpoint, service, member.floats, key=named, slot=slot, row=member.row)
                self._begin(place, member.high, now)

    def _begin(self, place: Place, high: int, now: float) -> None:
        self._places[place.endpoint] = place
        self._news = []  # what was said of it may be old
        place.begin(high, now)
        place.service.change()

    def _unseat(self, endpoint: Endpoint, now: float) -> None:
        place = self._places.pop(endpoint)
        place.end(now)
        place.service.change()

    def _exchange(self, member: Membership, now: float) -> None:
        """Answers, and what each service may spend and have in flight."""
        for place in self._places.values():
            if self._publish(member, place) or place.endpoint.open:
                self._busy_until = now + QUIET
            place.hear(member.high, now)
        for purse in self._purses.values():
            purse.share(member.high)

    def _publish(self, member: Membership, place: Place) -> bool:
        """Whether there was anything to say of this endpoint."""
        heard = place.publish()
        if heard is not None and place.service in self._purses:
            member.counts.add(self._purses[place.service].slot, heard)
        return heard is not None

    def _serve(self, member: Membership, now: float) -> None:
        """What this worker is busy with, and what all the others are."""
        floats, row = member.floats, member.row
        own, others = self._serves.own(now), []
        for name, figure in zip(SERVED, own, strict=True):
            start = start_of(name)
            others.append(sum(floats[start : start + member.high]) - floats[start + row])
            floats[start + row] = figure
        if not all(isfinite(each) and -1 < each < MUCH for each in others):
            raise Unusable("nonsense is said of what workers are busy with")
        self._serves.others = tuple(max(0.0, each) for each in others)
        if own[0] or own[2] > SELDOM:
            self._busy_until = now + QUIET

    def _watch(self, member: Membership, now: float) -> None:
        """What was counted of shifts here, and by the others."""
        shifts = tuple(self._shifts())[:SHIFTS]
        if tuple(self._watches) != shifts:
            with member.rows.gate() as alone:
                if alone:
                    self._watches = {each: self._watches.get(each) or self._place(each, member) for each in shifts}
        for watch in self._watches.values():
            watch.share(now)

    def _place(self, shift: Watched, member: Membership) -> Watch:
        slot = Slots(member.ints[table("shift")]).slot(key(shift.name))
        if slot is None:
            raise Unusable("nonsense is said of whose shifts' places are")
        return Watch(shift, member.ints, member.floats, slot=slot, row=member.row)

    def _talk(self, member: Membership, now: float) -> None:
        """Say which endpoints we have ejected or taken back, and follow what the others say."""
        news = start_of("news")
        for place in self._places.values():
            said = place.say(*place.service.ejection.word(place.endpoint))
            if place.report() or said:
                member.floats[news + member.row] = now
        heard, first = list(member.floats[news : news + member.high]), self._first(member, now)
        if heard == self._news and first is self._was_first:
            return
        self._news, self._was_first = heard, first
        for endpoint, place in self._places.items():
            place.service.ejection.follow(endpoint, *place.word(member.high), now)
            place.obey(member.high, first, now)

    def _first(self, member: Membership, now: float) -> bool:
        """Whether this is the first row whose worker is there and awake: that one checks health for all."""
        beats = start_of("beat")
        member.floats[beats + member.row] = now
        return not any(now - AWAKE < beat < now + AWAKE for beat in member.floats[beats : beats + member.row])
