"""Sources: where a service's endpoints come from, one discovery or several whose sets are merged.

Each keeps its own last good set. An address that several find is one endpoint, as the first of them says it.
Only the housekeeper's thread changes the service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from meshware.discovery.source import Source

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Hands
    from meshware.core.service import Service


class Sources:
    """The sources of one service, kept as one.

    `choice` holds what each was chosen by, in the settings' order; `made` the discoveries by their names, in the same.
    """

    def __init__(
        self,
        made: Sequence[tuple[str, Any]],
        *,
        choice: tuple[object, ...],
        service: Service,
        read: Callable[[Any], Endpoint],
    ) -> None:
        self.choice = choice
        self._service = service
        self._stopped, self._awaited = False, True
        self._taking = RLock()  # a reload that stops them waits for what is just put in force
        names = _told_apart([name for name, _ in made])
        self.each = tuple(
            Source(name, discovery, service=service, read=read, owner=self)
            for name, (_, discovery) in zip(names, made, strict=True)
        )

    @property
    def name(self) -> str:
        """All of their names."""
        return ", ".join(each.name for each in self.each)

    @property
    def due(self) -> float:
        """When they want to be kept next."""
        return min(each.due for each in self.each)

    # For the housekeeper

    def keep(self, now: float, hands: Hands) -> None:
        """Do what is due. Must not block."""
        for each in self.each:
            each.keep(now, hands)

    def recall(self, endpoints: Sequence[Endpoint], before: object, now: float) -> None:
        """Begin with what was found before, of which these are copies: a reload or a fork, not the first start.

        One that was there before has what it found itself; all others together the rest, until each has answered.
        """
        copies = {each.address: each for each in endpoints}
        before = before if isinstance(before, Sources) else None
        old = [None if before is None else before.chosen_by(choice) for choice in self.choice]
        found = {each.address for source in old if source is not None for each in source.endpoints}
        rest = tuple(each for address, each in copies.items() if address not in found)
        confirmed = None if before is None else before.confirmed
        for source, known in zip(self.each, old, strict=True):
            if known is None:
                source.recall(rest, confirmed)
            else:
                own = (copies.get(each.address) for each in known.endpoints)
                source.recall(tuple(each for each in own if each is not None), known.confirmed)
        self.put(now)

    def chosen_by(self, choice: object) -> Source | None:
        """The source that was made of such a choice."""
        return next((each for each, own in zip(self.each, self.choice, strict=True) if own == choice), None)

    def yield_waiting(self) -> None:
        """Calls that wait for a first answer wait for that of others from now on."""
        self._awaited = False

    def stop(self) -> None:
        """Nobody wants their answers any more; no call waits for one."""
        for each in self.each:
            each.stop()
        with self._taking:
            self._stopped = True
        self._arrive()

    # What is known

    @property
    def confirmed(self) -> float | None:
        """When the one that has said nothing for longest last said something; None where one never has."""
        times = [each.confirmed for each in self.each]
        known = [each for each in times if each is not None]
        return min(known) if len(known) == len(times) else None

    @property
    def said(self) -> str:
        """Why there is nothing, where there is nothing."""
        if len(self.each) == 1:
            return self.each[0].said
        return "; ".join(f"{each.name}: {each.said}" for each in self.each)

    def status(self, now: float) -> dict[str, Any]:
        """As plain data: of the one, or of all as one with each under `sources`."""
        each = [source.status(now) for source in self.each]
        if len(each) == 1:
            return each[0]
        confirmed = self.confirmed
        return {
            "name": self.name,
            "age": None if confirmed is None else now - confirmed,
            "failures": sum(source["failures"] for source in each),
            "error": "; ".join(f"{source['name']}: {source['error']}" for source in each if source["error"]),
            "sources": each,
        }

    # For its sources

    def put(self, now: float) -> None:
        """Have the service use what they have found, unless they were stopped meanwhile: it has others then."""
        merged = self._merged()
        with self._taking:
            if not self._stopped:
                self._service.replace(merged, now)

    def _merged(self) -> tuple[Endpoint, ...]:
        sets = [each.endpoints for each in self.each if each.endpoints]
        if len(sets) < 2:
            return sets[0] if sets else ()
        merged: dict[str, Endpoint] = {}
        for found in sets:
            for each in found:
                merged.setdefault(each.address, each)
        return tuple(merged.values())

    def answered(self) -> None:
        """The first that has found something ends the waiting; or the last, whatever it says."""
        if any(each.endpoints for each in self.each) or all(each.has_answered for each in self.each):
            self._arrive()

    def _arrive(self) -> None:
        if not self._awaited:
            return
        arrival, self._service.arrival = self._service.arrival, None
        if arrival is not None:
            arrival.come()


def _told_apart(names: Sequence[str]) -> list[str]:
    """`file[0]` and `file[1]` where there are two of a name."""
    often, seen = Counter(names), Counter[str]()
    told = []
    for name in names:
        told.append(f"{name}[{seen[name]}]" if often[name] > 1 else name)
        seen[name] += 1
    return told
