"""Source: one service's endpoints as its discovery finds them, each answer looked at and swapped in whole.

What the discovery does wrong ends here: an entry that is no endpoint is left out, an answer that is none
counts as a failure, and while it fails the last set stays in force for ever. Only the housekeeper's thread
changes the service; `fetch` runs on one of its hands, `watch` on a thread of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from itertools import islice
from math import inf, isfinite
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.policy import Endpoints
from meshware.core.service import described

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Hands
    from meshware.core.service import Service

LIMIT = 10.0
"""Seconds that one `fetch` may take, and the first answer of a `watch`."""

KEPT_EMPTY = 600.0
"""Seconds for which an empty answer does not count: more often than not it is the source that is wrong."""

BACK_OFF = (1.0, 30.0, 0.25)
"""Seconds before a failed source is asked again: first, longest, and the share by which they are spread."""

SHORTEST, LONGEST = 1.0, 86_400.0
"""Seconds between two fetches, whatever `valid_for` says."""

MOST = 100_000
"""Entries of one answer that are looked at."""


class Answer(NamedTuple):
    """What was found and can be used; `refused` says of each other entry why not."""

    endpoints: tuple[Endpoint, ...]
    valid_for: float
    refused: tuple[str, ...]


class Source:
    """Keeps a service's endpoints as a discovery finds them.

    `choice` is the setting it was made from; `read` makes an Endpoint of one entry, or raises ValueError.
    """

    def __init__(
        self, name: str, discovery: Any, *, choice: object, service: Service, read: Callable[[Any], Endpoint]
    ) -> None:
        self.name = name
        self.choice = choice
        self.failures = 0
        self.error = ""
        self.confirmed: float | None = None
        self._discovery = discovery
        self._watches = callable(getattr(discovery, "watch", None))
        self._service = service
        self._read = read
        self._due = -inf
        self._began = inf
        self._row = 0
        self._empty_since: float | None = None
        self._stop = Event()
        self._taking = RLock()  # a reload that stops it waits for what it is just putting in force
        self._told: deque[Callable[[float], None]] = deque(maxlen=64)
        self._read_before: dict[Hashable, Endpoint] = {}  # entries of the last answer, and what they were read as

    # For the housekeeper

    def keep(self, now: float, hands: Hands) -> None:
        """Take what a watch has told, and ask again when it is time."""
        while self._told:
            self._told.popleft()(now)
        self._expire(now)
        if self._stop.is_set():
            return
        if now >= self._due:
            self._began, self._due = now, inf
            if not (self._start() if self._watches else self._ask(now, hands)):
                self._due = now + SHORTEST
        elif self._watches and self._service.arrival is not None and now - self._began >= LIMIT:
            self._fail(TimeoutError(f"no answer in {LIMIT:g} s"), now)

    def recall(self, endpoints: Iterable[Endpoint], confirmed: float | None, now: float) -> None:
        """Begin with what was found before: a reload or a fork, not the first start."""
        self._service.replace(endpoints, now)
        self.confirmed = confirmed

    def stop(self) -> None:
        """End the watch, drop what is still to come; no call waits for it any longer."""
        self._stop.set()
        with self._taking:
            self._arrive()

    @property
    def said(self) -> str:
        """Why there is nothing, where there is nothing."""
        if self.error:
            return self.error
        return "no answer yet" if self.confirmed is None else "found none"

    def status(self, now: float) -> dict[str, Any]:
        """As plain data; `age`: seconds since it last confirmed what is in force, None before the first answer."""
        age = None if self.confirmed is None else now - self.confirmed
        return {"name": self.name, "age": age, "failures": self.failures, "error": self.error}

    # Asking

    def _ask(self, now: float, hands: Hands) -> bool:
        return hands.give(self, partial(self._fetched, now), limit=LIMIT, done=self._answered)

    def _fetched(self, now: float) -> Answer:
        return self._looked_at(self._discovery.fetch(now))

    def _answered(self, answer: Any, error: Exception | None, now: float) -> None:
        if self._stop.is_set():
            return
        if error is None:
            error = self._take(answer, now)
        if error is None:
            self._due = now + answer.valid_for
        else:
            self._fail(error, now)
            self._again(now)

    # Being told

    def _start(self) -> bool:
        try:
            Thread(target=self._watch, name=f"meshware-watch-{self.name}", daemon=True).start()
        except RuntimeError:  # no thread to be had
            return False
        return True

    def _watch(self) -> None:
        """The life of a watch; what it says is for the housekeeper to take."""
        try:
            self._discovery.watch(self._publish, self._stop)
            ended: BaseException = RuntimeError("watch has returned")
        except BaseException as error:  # whatever ends it, the thread is over and another one will try
            ended = error
        self._tell(partial(self._ended, _plain(ended)))

    def _publish(self, found: Endpoints) -> None:
        try:
            self._tell(partial(self._published, self._looked_at(found)))
        except Exception as error:
            self._tell(partial(self._fail, error))

    def _tell(self, what: Callable[[float], None]) -> None:
        if not self._stop.is_set():
            self._told.append(what)
            self._service.wake()

    def _published(self, answer: Answer, now: float) -> None:
        error = self._take(answer, now)
        if error is not None:
            self._fail(error, now)

    def _ended(self, error: Exception, now: float) -> None:
        self._fail(error, now)
        self._again(now)

    # Taking

    def _looked_at(self, found: Any) -> Answer:
        """Entry by entry: those that are no endpoints are left out. Raises for what is no answer at all.

        One that stood in the last answer is the same endpoint, not read again.
        """
        if not isinstance(found, Endpoints):
            raise TypeError(f"{found!r:.80} is no `meshware.discovery.Endpoints`")
        if isinstance(found.found, str):
            raise TypeError("`found` is a list of endpoints, not a text")
        endpoints: dict[str, Endpoint] = {}
        known, read = self._read_before, {}
        refused = []
        for entry in self._service.in_slices(tuple(islice(found.found, MOST))):
            written = entry if type(entry) is str else _written(entry)
            endpoint = known.get(written)
            if endpoint is None:
                try:
                    endpoint = self._read(entry)
                except ValueError as error:
                    refused.append(f"{entry!r:.80}: {error}")
                    continue
            if written is not None:
                read[written] = endpoint
            if endpoint.address in endpoints:
                refused.append(f"{endpoint.address}: named twice")
            else:
                endpoints[endpoint.address] = endpoint
        self._read_before = read
        return Answer(tuple(endpoints.values()), _seconds(found.valid_for), tuple(refused))

    def _take(self, answer: Answer, now: float) -> Exception | None:
        """Put it in force; or the error, for an answer of which nothing can be used."""
        if answer.refused:
            more = f" (and {len(answer.refused) - 1} more)" if len(answer.refused) > 1 else ""
            unusable = ValueError(f"left out {answer.refused[0]}{more}")
            if not answer.endpoints:
                return unusable
            self._service.failed(f"discovery {self.name}", unusable, now)
        self._row, self.error, self.confirmed = 0, "", now
        if answer.endpoints:
            self._empty_since = None
            self._put(answer.endpoints, now)
        elif self._empty_since is None:
            self._empty_since = now
        self._arrive()
        return None

    def _expire(self, now: float) -> None:
        """An answer that has been empty for long enough is true."""
        if self._empty_since is not None and now - self._empty_since >= KEPT_EMPTY and self._service.endpoints:
            self._put((), now)

    def _put(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Have the service use these, unless the source was stopped meanwhile: it has others then."""
        with self._taking:
            if not self._stop.is_set():
                self._service.replace(endpoints, now)

    def _fail(self, error: Exception, now: float) -> None:
        self.failures += 1
        self.error = described(error)
        self._service.failed(f"discovery {self.name}", error, now)
        self._arrive()

    def _again(self, now: float) -> None:
        """Ask again after a while, longer each time in a row."""
        first, longest, share = BACK_OFF
        wait = min(longest, first * 2.0 ** min(self._row, 10))
        self._row += 1
        self._due = now + wait * (1 + share * (2 * self._service.rng.random() - 1))

    def _arrive(self) -> None:
        arrival, self._service.arrival = self._service.arrival, None
        if arrival is not None:
            arrival.come()


def _seconds(valid_for: Any) -> float:
    if isinstance(valid_for, bool) or not isinstance(valid_for, int | float) or not isfinite(valid_for):
        raise TypeError(f"`valid_for` is a number of seconds, not {valid_for!r:.80}")
    return min(LONGEST, max(SHORTEST, float(valid_for)))


def _written(entry: Any) -> Hashable | None:
    """An entry that is no text, as a key; None for one that may change under our hands, as metadata may."""
    if type(entry) is not dict:
        return None
    key = tuple(entry.items())
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _plain(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(described(error))
