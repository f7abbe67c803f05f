"""Endpoint: one address of a service, what is open on it now, and what its meters have learned.

Identity is the address. In flight is not an integer: `open` holds every attempt until it has ended and
`waiting` those without headers yet. Attempts are stored at begin and popped with a default at every
ending; both are single dict operations, so they need no lock and may run inside a finalizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshware.core.availability import Availability, Bar

if TYPE_CHECKING:
    from meshware.core.call import Attempt
    from meshware.core.outcome import Outcome
    from meshware.core.policy import Meter, Reading

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""What most endpoints have of metadata, streams and readings: shared, since an idle one should cost next to nothing."""

NEVER = -inf  # one object for all: an idle endpoint should cost next to nothing

CROWD = 1e6
"""More is never in flight at one endpoint: who says so has gone mad."""

STREAM_WEIGHT = 0.1
"""What an open stream (event stream, upgrade) weighs in flight, beside 1 for a plain request."""


class Row(Protocol):
    """Cells that are written and read one by one."""

    def __setitem__(self, index: int, value: float, /) -> None: ...
    def __iter__(self) -> Iterator[float]: ...


class Pending(Protocol):
    """Where answers wait to be told to others."""

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, /) -> None: ...


class Locality(NamedTuple):
    """Where an endpoint runs: cloud or region, region or zone, zone; empty parts are unknown."""

    cloud: str = ""
    region: str = ""
    zone: str = ""

    @classmethod
    @lru_cache(maxsize=1024)  # thousands of endpoints run in a few places
    def parse(cls, text: str) -> Locality:
        """`cloud/region/zone`, with as many parts as are known."""
        return cls(*text.split("/", 2)) if text else cls()

    def __str__(self) -> str:
        return "/".join(self).rstrip("/")


class Membership:
    """Lives for as long as its endpoint is one of the service's: what is held for that is let go by a weak reference.

    Nobody but the endpoint may keep it.
    """

    __slots__ = ("__weakref__",)


class Endpoint:
    """One address, shared by every call of its service. Thread-safe: all updates are single assignments."""

    __slots__ = (
        "_membership", "address", "answered", "ask_at", "availability", "bars", "cell", "cells", "epoch", "fleet",
        "locality", "metadata", "open", "pending", "priority", "readings", "samplers", "silent", "streams", "waiting",
        "weight", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        address: str,
        *,
        weight: float = 1.0,
        locality: Locality = Locality(),  # noqa: B008 (immutable)
        metadata: Mapping[str, Any] | None = None,
        priority: int = 0,
    ) -> None:
        self.address = address
        self.locality = locality
        self.priority = priority
        self.metadata: Mapping[str, Any] = dict(metadata) if metadata else NOTHING
        self.availability = Availability()
        self.bars = self.availability.bars
        self.weigh(weight)
        self._membership: Membership | None = None
        self.epoch = 0
        self.answered = NEVER  # when its last good answer came
        self.silent = NEVER  # when a timeout last told that it answers nobody
        self.open: dict[Attempt, float] = {}
        self.waiting: dict[Attempt, float] = {}
        self.streams: Mapping[Attempt, float] = NOTHING
        self.cell: Row | None = None  # where it is told what is in flight here, and where that is told by everybody
        self.cells: Row | None = None
        self.pending: Pending | None = None  # where it is told how it answers
        self.fleet: dict[Meter, Any] = {}
        self.readings: Mapping[Meter, Reading] = NOTHING
        self.samplers: tuple[Reading, ...] = ()  # the same, as a call goes through them
        self.ask_at = inf  # when a load report is due: never, while no meter reads any

    def weigh(self, weight: float) -> None:
        """Set its share beside the others; with 0 it is not available."""
        self.weight = weight
        if weight > 0:
            self.availability.lift(Bar.WEIGHTLESS)
        else:
            self.availability.bar(Bar.WEIGHTLESS)

    def leave(self) -> None:
        """It is none of its service's any more."""
        self.availability.bar(Bar.REMOVED)
        self._membership = None

    @property
    def membership(self) -> Membership:
        """Its present one, made when first asked for; of one that was removed, one that nobody keeps."""
        found = self._membership
        if found is None:
            found = Membership()
            if Bar.REMOVED not in self.bars:
                self._membership = found
        return found

    def become(self, other: Endpoint) -> bool:
        """Be what is now said of its address; False when that is nothing new. What was learned stays."""
        if self._says_as(other):
            return False
        if self.weight != other.weight:
            self.weigh(other.weight)
        self.locality, self.metadata, self.priority = other.locality, other.metadata, other.priority
        return True

    def _says_as(self, other: Endpoint) -> bool:
        said = other.weight, other.locality, other.priority, other.metadata
        try:
            return (self.weight, self.locality, self.priority, self.metadata) == said
        except Exception:  # metadata that cannot be compared, such as an array: taken as new
            return False

    @property
    def host(self) -> str:
        """The address without its port and brackets."""
        host = self.address.rpartition(":")[0]
        return host[1:-1] if host.startswith("[") else host

    @property
    def port(self) -> int:
        """The last part of the address."""
        return int(self.address.rpartition(":")[2])

    @property
    def load(self) -> float:
        """Requests in flight, of all workers that share what they know; a stream counts a tenth."""
        cells = self.cells
        if cells is not None and 0 <= (load := sum(cells)) < CROWD:
            return load
        return self._own()

    def _own(self) -> float:
        return len(self.open) - (1 - STREAM_WEIGHT) * len(self.streams)

    def share(self, cell: Row, cells: Row, pending: Pending) -> None:
        """Tell what is in flight in the first of these rows, of one cell; all workers' cells are the second, and add
        up. They are read and written by item, and by any thread. Answers are put into `pending`."""
        self.cells, self.cell, self.pending = cells, cell, pending
        self.tell()

    def alone(self) -> None:
        """Nobody shares with this worker any more."""
        self.cell = self.cells = self.pending = None

    def tell(self) -> None:
        """What is in flight has changed. Safe inside a finalizer, and for an endpoint that shares nothing."""
        cell = self.cell
        if cell is not None:
            cell[0] = len(self.open) if self.streams is NOTHING else self._own()

    def attach(self, meter: Meter) -> Reading:
        """The endpoint's reading of a meter, made when a strategy first needs it."""
        reading = self.readings.get(meter)
        if reading is None:
            fleet = self.fleet[meter] if meter in self.fleet else self.fleet.setdefault(meter, meter.fleet())
            reading = meter.reading(fleet)
            self._read({**self.readings, meter: reading})
            if getattr(meter, "reports", None) is not None:
                self.ask_at = -inf
        return reading

    def asks(self, now: float) -> bool:
        """Whether an attempt that goes out now is to ask for a load report; then the next is due later."""
        if now < self.ask_at:
            return False
        waits = [getattr(meter, "reports", None) for meter in tuple(self.readings)]
        self.ask_at = now + min((wait for wait in waits if wait is not None), default=inf)
        return self.ask_at < inf

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """Feed one response time, in seconds, to every attached meter; `outcome` is what it was taken from.

        Raises what a meter raised, once all of them have it.
        """
        wrong, pending = None, self.pending
        if pending is not None:
            pending.sample(elapsed, failed, outcome)
        for reading in self.samplers:
            try:
                reading.sample(elapsed, failed, outcome, now)
            except Exception as error:
                wrong = error
        if wrong is not None:
            raise wrong

    def detach(self, meter: Meter) -> None:
        """Nobody needs this reading any more."""
        if meter in self.readings:
            self._read({each: reading for each, reading in self.readings.items() if each is not meter})

    def _read(self, readings: Mapping[Meter, Reading]) -> None:
        self.readings, self.samplers = readings, tuple(readings.values())

    def unlearn(self, fleet: dict[Meter, Any]) -> None:
        """Forget all meters, for those of another fleet to come."""
        self.readings, self.samplers, self.ask_at, self.fleet = NOTHING, (), inf, fleet

    def reset(self) -> None:
        """Have every attached meter forget. Raises what a meter raised, once all of them have."""
        wrong = None
        for reading in self.samplers:
            try:
                reading.reset()
            except Exception as error:
                wrong = error
        if wrong is not None:
            raise wrong

    def stream(self, attempt: Attempt, now: float) -> None:
        """An open attempt is a stream from now on. Of the first two at the same instant one may count in full."""
        if isinstance(self.streams, dict):
            self.streams[attempt] = now
        else:
            self.streams = {attempt: now}
        self.tell()

    def ended(self, attempt: Attempt) -> bool:
        """The attempt is over, however; True the first time. Safe inside a finalizer."""
        self.waiting.pop(attempt, None)
        if isinstance(self.streams, dict):
            self.streams.pop(attempt, None)
        known = self.open.pop(attempt, None) is not None
        if self.cell is not None:
            self.tell()
        return known

    def __repr__(self) -> str:
        barred = "" if not self.bars else " " + self.availability.state()
        return f"<Endpoint {self.address} open={len(self.open)}{barred}>"


def same_ends(old: tuple[Endpoint, ...], new: tuple[Endpoint, ...]) -> tuple[int, int]:
    """How many of the same objects both begin with, and of the rest, end with: of 10,000 nearly all, usually."""
    olds, news = len(old), len(new)
    most = min(olds, news)
    head = _longest(most, lambda low, high: old[low:high] == new[low:high])
    return head, _longest(most - head, lambda low, high: old[olds - high : olds - low] == new[news - high : news - low])


def _longest(most: int, same: Callable[[int, int], bool]) -> int:
    """The length of the longest run that is the same, by halves: tuples of the same objects are compared at once."""
    low = 0
    while low < most:
        middle = (low + most + 1) // 2
        if same(low, middle):
            low = middle
        else:
            most = middle - 1
    return low
