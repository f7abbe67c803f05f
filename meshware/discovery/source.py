"""Source: the endpoints that one discovery finds for a service, each answer looked at and kept until the next.

What the discovery does wrong ends here: an entry that is no endpoint is left out, an answer that is none
counts as a failure, and while it fails its last set stays for ever. `fetch` runs on one of the housekeeper's
hands, `watch` on a thread of its own; all else happens on the housekeeper's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

from meshware.core.events import EndpointsRefused
from meshware.core.service import described
from meshware.discovery.answer import LONGEST, SHORTEST, Answer, Reader
from meshware.discovery.refusals import Refusals

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Endpoints, Hands
    from meshware.core.service import Service

LIMIT = 10.0
"""Seconds that one `fetch` may take, and the first answer of a `watch`."""

KEPT_EMPTY = 600.0
"""Seconds for which an empty answer does not count: more often than not it is the source that is wrong."""

CHEAP = 0.1
"""Seconds between two questions to whom asking costs next to nothing."""

BACK_OFF = (1.0, 30.0, 0.25)
"""Seconds before a failed source is asked again: first, longest, and the share by which they are spread."""


class Owner(Protocol):
    """Whom a source tells; on the housekeeper's thread."""

    def put(self, now: float) -> None:
        """Its endpoints are others."""
        ...

    def answered(self) -> None:
        """It has answered, good or bad."""
        ...


class Source:
    """Keeps the endpoints that a discovery finds for a service.

    `endpoints` is its last good set; `confirmed` when that was last said, None where it never was. `has_answered`:
    whether nobody need wait for its first answer. `due`: when it wants to be kept next.
    """

    def __init__(
        self, name: str, discovery: Any, *, service: Service, read: Callable[[Any], Endpoint], owner: Owner
    ) -> None:
        self.name = name
        self.endpoints: tuple[Endpoint, ...] = ()
        self.failures = 0
        self.error = ""
        self.confirmed: float | None = None
        self.has_answered = False
        self.due = -inf
        self._discovery = discovery
        self._watches = callable(getattr(discovery, "watch", None))
        self._service = service
        self._owner = owner
        self._longest = _longest_wait(discovery)
        self._reader = Reader(read, service.in_slices, shortest=min(SHORTEST, self._longest))
        self._refusals = Refusals()
        self._began = inf
        self._row = 0
        self._empty_since: float | None = None
        self._stop = Event()
        self._told: deque[Callable[[float], None]] = deque(maxlen=64)

    # For its owner

    def keep(self, now: float, hands: Hands) -> None:
        """Take what a watch has told, and ask again when it is time."""
        while self._told:
            self._told.popleft()(now)
        self._expire(now)
        if self._stop.is_set():
            return
        if now >= self.due:
            self._began, self.due = now, inf
            if not (self._start() if self._watches else self._ask(now, hands)):
                self.due = now + SHORTEST
        elif self._watches and not self.has_answered and now - self._began >= LIMIT:
            self._fail(TimeoutError(f"no answer in {LIMIT:g} s"), now)

    def recall(self, endpoints: tuple[Endpoint, ...], confirmed: float | None) -> None:
        """Begin with what was found before: a reload or a fork, not the first start."""
        self.endpoints, self.confirmed, self.has_answered = endpoints, confirmed, True

    def stop(self) -> None:
        """End the watch, drop what is still to come."""
        self._stop.set()

    @property
    def said(self) -> str:
        """Why there is nothing, where there is nothing."""
        if self.error:
            return self.error
        return "no answer yet" if self.confirmed is None else "found none"

    def status(self, now: float) -> dict[str, Any]:
        """As plain data; `age`: seconds since it last confirmed what is in force, None before the first answer."""
        age = None if self.confirmed is None else now - self.confirmed
        state = {"name": self.name, "age": age, "failures": self.failures, "error": self.error}
        refused = self._refusals.standing
        return state | {"refused": list(refused)} if refused else state

    # Asking

    def _ask(self, now: float, hands: Hands) -> bool:
        return hands.give(self, partial(self._fetched, now), limit=LIMIT, done=self._answered)

    def _fetched(self, now: float) -> Answer:
        return self._reader.look(self._discovery.fetch(now))

    def _answered(self, answer: Any, error: Exception | None, now: float) -> None:
        if self._stop.is_set():
            return
        if error is None:
            error = self._take(answer, now)
        if error is None:
            self.due = now + answer.valid_for
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
            self._tell(partial(self._published, self._reader.look(found)))
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

    def _take(self, answer: Answer, now: float) -> Exception | None:
        """Keep it as the last good set; or the error, for an answer of which nothing can be used."""
        if answer.refused and not answer.endpoints:
            more = f" (and {len(answer.refused) - 1} more)" if len(answer.refused) > 1 else ""
            return ValueError(f"left out {answer.refused[0]}{more}")
        told = self._refusals.due(answer.refused, now)
        if told:
            self._service.emit(EndpointsRefused(self._service.name, now, self.name, told))
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
        if self._empty_since is not None and now - self._empty_since >= KEPT_EMPTY:
            self._put((), now)

    def _put(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        if endpoints is not self.endpoints:
            self.endpoints = endpoints
            self._owner.put(now)

    def _fail(self, error: Exception, now: float) -> None:
        self.failures += 1
        self.error = described(error)
        self._service.failed(f"discovery {self.name}", error, now)
        self._arrive()

    def _again(self, now: float) -> None:
        """Ask again after a while, longer each time in a row."""
        first, longest, share = BACK_OFF
        longest = min(longest, self._longest)
        wait = min(longest, first * 2.0 ** min(self._row, 10))
        self._row += 1
        self.due = now + wait * (1 + share * (2 * self._service.rng.random() - 1))

    def _arrive(self) -> None:
        self.has_answered = True
        self._owner.answered()


def _longest_wait(discovery: Any) -> float:
    """What the discovery says of itself, if that makes sense."""
    wait = getattr(discovery, "longest_wait", LONGEST)
    return float(wait) if isinstance(wait, int | float) and wait >= CHEAP else LONGEST


def _plain(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(described(error))
