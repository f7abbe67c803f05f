"""Service: a logical name, its policies, and the present snapshot of its endpoints, swapped whole.

The healthy path of `pick` reads the picker, the endpoint's empty dict of bars, and what was tried.
Everything dearer happens when the world changes (`replace`, `refresh`), off the call path.

A mesh may have 10,000 services of which a process calls three. So a part (a policy, the picker, the inbox) is
made when it is first asked for, or when calls begin; until then a service is its name, its settings and its endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from meshware.core.availability import Bar
from meshware.core.endpoint import same_ends
from meshware.core.events import EndpointsChanged, PanicTurned, PluginFailed
from meshware.core.lateness import PUNCTUAL, Lateness
from meshware.core.pool import Over, Pool

if TYPE_CHECKING:
    from collections import deque
    from contextlib import AbstractContextManager

    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.operations import Operations
    from meshware.core.outcome import Outcome, Verdict
    from meshware.core.policy import (
        Arrival,
        AttemptTimeout,
        Budget,
        Checks,
        Circuit,
        Ejection,
        Guard,
        Hedging,
        Judge,
        Limiter,
        Meter,
        Parts,
        Permits,
        Picker,
        RetryPolicy,
        Rng,
        Source,
        Strategy,
    )
    from meshware.core.request import Request
    from meshware.core.subset import Subset

T = TypeVar("T")

PANIC_SPARES = frozenset({Bar.EJECTED, Bar.UNHEALTHY, Bar.OVERLOADED, Bar.WARMING})
"""Bars that panic overrides: suspicions, not orders."""

RETURNING = 60.0
"""Seconds within which an address that comes back is the same endpoint; later it is a new one."""


SLICE = 1000
"""Endpoints that are gone through before other threads are let run: a fraction of a millisecond."""

FEW_WORDS = 16
"""So many words of good answers, of which each leaves two, may wait until a request is out."""

FEW = 256
"""Of more endpoints the picker is made at once; of so few, by the first call: that takes well under a millisecond."""

PARTS = frozenset({
    "attempt_timeout", "budget", "circuit", "classify", "ejection", "fallback", "guard", "hedging", "hedging_wanted",
    "inbox", "limiter", "on_abandon", "on_answer", "on_begin", "on_done", "on_end", "on_fallback", "on_fault",
    "on_mirror", "operations", "refreshing", "retry", "seat", "strategy", "wake",
})  # fmt: skip
"""What is made when it is first asked for, by a method of `Parts` with its name."""


HOOKS = frozenset(name for name in PARTS if name.startswith("on_"))
"""The methods of observers, and of strategies, that are called for each call."""


class Seat:
    """Which service a name stands for now: a part of one that was handed on by a reload finds its service here."""

    __slots__ = ("service",)

    def __init__(self, service: Service) -> None:
        self.service = service


class Service(Pool):
    """What every call of one logical name shares. Its parts are made once, by assembly, when first asked for.

    `emit` takes events; `settings` is what the parts are made of. Thread-safe: snapshots are immutable and swapped by
    one assignment.
    """

    __slots__ = (
        *sorted(PARTS), "__weakref__", "_gone", "arrival", "attended", "changed", "checks", "connect_timeout", "emit",
        "endpoints", "faults", "feasible", "fleet", "heir", "host", "idle", "judge", "lateness", "learner", "name",
        "panic", "panic_below", "parts", "penalty", "picker", "pressing", "retired", "rng", "routes", "settings",
        "source", "subsets", "timeout", "timeout_chosen", "tls", "used", "warm_floor",
    )  # fmt: skip

    strategy: Strategy
    ejection: Ejection
    circuit: Circuit
    guard: Guard
    retry: RetryPolicy
    budget: Budget
    hedging: Hedging | None
    hedging_wanted: Hedging
    """For calls that somebody wants hedged where that is off."""
    limiter: Limiter | None
    attempt_timeout: AttemptTimeout
    classify: Callable[[Request, Outcome], Verdict]
    operations: Operations
    inbox: deque[tuple[Any, ...]]
    wake: Callable[[], None]
    refreshing: AbstractContextManager[object]
    seat: Seat
    on_begin: tuple[Callable[..., None], ...]
    on_answer: tuple[Callable[..., None], ...]
    on_end: tuple[Callable[..., None], ...]
    on_abandon: tuple[Callable[..., None], ...]
    on_done: tuple[Callable[..., None], ...]
    on_fallback: tuple[Callable[..., None], ...]
    on_fault: tuple[Callable[..., None], ...]
    on_mirror: tuple[Callable[..., None], ...]
    fallback: Any
    """What stands in for failed calls (fallback/), or None; the doors ask it, the core does not."""

    mirrors = ()
    decided = reply = edits = answer_edits = template = within = None
    """What a plan may have beside (core/plan.py): a service is the plan of its calls that no route speaks of."""

    def __init__(
        self,
        name: str,
        *,
        parts: Parts,
        settings: Any,
        learner: object,
        rng: Rng,
        emit: Callable[[object], None],
        timeout: float = 10.0,
        timeout_chosen: bool = False,
        lateness: Lateness = PUNCTUAL,
        feasible: bool = True,
        connect_timeout: float = 1.5,
        idle: float = 10.0,
        penalty: float = 5.0,
        warm_floor: float = 0.1,
        panic_below: float = 0.5,
        host: str = "logical",
        tls: Any = None,
    ) -> None:
        self.__class__ = _Incomplete
        self.name = name
        self.parts = parts
        self.settings = settings
        self.learner = learner  # the strategy as its author wrote it
        self.rng = rng
        self.emit = emit
        self.timeout = timeout
        self.timeout_chosen = timeout_chosen
        self.lateness = lateness  # of this process
        self.feasible = feasible  # whether what would come too late is refused
        self.connect_timeout = connect_timeout
        self.idle = idle
        self.penalty = penalty
        self.warm_floor = warm_floor
        self.panic_below = panic_below
        self.host = host
        self.tls = tls
        self.faults: Any = None  # what is to go wrong on purpose (routing/faults.py); the doors ask it
        self.routes: Any = None  # what decides of its calls before they begin (routing/router.py); the mesh asks it
        self.subsets: tuple[Subset, ...] = ()
        self.source: Source | None = None
        self.checks: Checks | None = None  # its active health checks, where it has any
        self.judge: Judge | None = None  # what classifies answers, where their status is not enough
        self.arrival: Arrival | None = None
        self.fleet: dict[Meter, Any] = {}
        self.endpoints: tuple[Endpoint, ...] = ()
        self.picker: Picker | None = None
        self.panic = False
        self.changed = False
        self.pressing = False  # whether anything in the inbox is to be known before the next call begins
        self.used = False  # whether there was a call ever
        self.attended = False  # whether the housekeeper looks after it
        self.heir: Service | None = None  # that other one, if it has the endpoints
        self.retired = False  # whether a reload has put another, or none, in its place: only calls under way are left
        self._gone: dict[str, tuple[Endpoint, float]] = {}

    def complete(self, now: float) -> None:
        """Make what nobody has asked for yet: calls begin. What cannot be made is met by whoever needs it."""
        if type(self) is Service:
            return
        name = ""
        try:
            with self.parts.making:
                for name in PARTS:
                    getattr(self, name)
                self.__class__ = Service
        except Exception as error:
            self.failed(name, error, now)

    @property
    def learners(self) -> tuple[Any, ...]:
        """Its strategy as its author wrote it, and those of its routes."""
        return (self.learner, *(each.learner for each in self.subsets if each.learner is not None))

    # When the world changes

    def forget(self, names: Iterable[str]) -> None:
        """These parts are made anew when somebody next asks for them."""
        with self.parts.making:
            self.__class__ = _Incomplete
            for name in names:
                with suppress(AttributeError):  # not made yet
                    delattr(self, name)

    def made(self, name: str) -> Any:
        """A part, or None while nobody has asked for it."""
        try:
            return object.__getattribute__(self, name)
        except AttributeError:
            return None

    def take_over(self, old: Service, parts: Iterable[str]) -> None:
        """Stand where another stood whose policies were others: its endpoints go on, with all that is known of them.

        `parts` are those that were made of the same settings: they are the old one's, and so their state is. Calls
        under way at the old one end by its policies; those that are yet to begin there find these endpoints.
        """
        with self.parts.making:
            for name in parts:
                made = old.made(name)
                if made is not None:
                    setattr(self, name, made)
            if (seat := old.made("seat")) is not None:
                self.seat, seat.service = seat, self
        self.pressing = True
        self.endpoints, self._gone, self.used, self.panic = old.endpoints, old._gone, old.used, old.panic
        self.faults = old.faults
        if "strategy" in parts:
            self.learner, self.fleet, self.picker, self.changed = old.learner, old.fleet, old.picker, old.changed
        else:
            self.changed = True
            self._unlearn()
        if "ejection" not in parts and old.made("ejection") is not None:
            self._readmit()
            old.ejection = self.ejection
        old.picker, old.changed, old.retired, old.heir = None, False, True, self

    def leave_to(self, heir: Service) -> None:
        """Calls that are yet to begin here, or to be sent again, go where the heir's go."""
        self.endpoints, self.fleet = heir.endpoints, heir.fleet

    def _unlearn(self) -> None:
        """Another strategy measures for itself."""
        for each in (*self.endpoints, *(gone for gone, _ in self._gone.values())):
            each.unlearn(self.fleet)

    def _readmit(self) -> None:
        """Other rules judge anew; what is still to come of what the old ones watched counts for neither."""
        for each in self.endpoints:
            each.epoch += 1
            for bar in (Bar.EJECTED, Bar.OVERLOADED):
                each.availability.lift(bar)

    def change(self) -> None:
        """An endpoint's availability changed: the picker is made anew at the next refresh."""
        self.changed = True
        self.wake()

    def replace(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Another set of endpoints. What was learned follows the address; those gone are barred.

        Those that are there already, the same objects in the same order, are not looked at; what is only said in
        another order changes nothing.
        """
        known, given = self.endpoints, tuple(endpoints)
        head, tail = same_ends(known, given)
        middle = slice(head, len(given) - tail)
        lost = {each.address: each for each in known[head : len(known) - tail]}
        fresh, added, changed = [], [], False
        for each in self.in_slices(given[middle]):
            kept = lost.pop(each.address, None)
            if kept is None:
                added.append(each.address)
                kept = self._returned(each.address, now) or each
                kept.availability.lift(Bar.REMOVED)
                kept.fleet = self.fleet
            if kept is not each:
                changed = kept.become(each) or changed
            fresh.append(kept)
        if not (added or lost or changed):
            return
        self.endpoints = given[:head] + tuple(fresh) + given[middle.stop :]
        for gone in lost.values():
            gone.leave()
        self._lose(lost, now)
        if self.picker is None and len(self.endpoints) <= FEW:
            self.changed = True
        else:
            self.refresh(now)
        if added or lost:
            self.emit(EndpointsChanged(self.name, now, tuple(added), tuple(lost)))

    def in_slices(self, many: tuple[T, ...]) -> Iterator[T]:
        """All of them; other threads run in between."""
        for start in range(0, len(many), SLICE):
            if start:
                self.parts.breathe()
            yield from many[start : start + SLICE]

    def _returned(self, address: str, now: float) -> Endpoint | None:
        """The endpoint that was at this address a moment ago, with what was learned; not ejected any more."""
        endpoint, left = self._gone.pop(address, (None, 0.0))
        if endpoint is None or now - left >= RETURNING:
            return None
        self.ejection.forget((endpoint,))
        endpoint.availability.lift(Bar.EJECTED)
        return endpoint

    def _lose(self, lost: dict[str, Endpoint], now: float) -> None:
        """Keep those that have just gone for a while, in case they come back."""
        if lost and self.used:
            self.ejection.forget(tuple(lost.values()))
        self._remember(now)
        self._gone |= {address: (endpoint, now) for address, endpoint in lost.items()}

    def _remember(self, now: float) -> None:
        """Only those that may still come back."""
        self._gone = {address: each for address, each in self._gone.items() if now - each[1] < RETURNING}

    def refresh(self, now: float) -> None:
        """Make the picker anew over the endpoints that may be used now. Off the call path, but for the first call."""
        with self.refreshing:
            if self.heir is not None:  # its strategy is that one's now
                return
            self.used, self.changed = True, False
            self._remember(now)
            usable = self._usable(now)
            if len(usable) >= SLICE:
                self.parts.breathe()
            try:
                self.picker = self.strategy.picker(usable) if usable else None
            except Exception as error:
                self.picker = None
                self.failed("strategy", error, now)
            for subset in self.subsets:
                subset.renew(usable, now)

    def _usable(self, now: float) -> tuple[Endpoint, ...]:
        """What may be used now; bars whose time has passed fall, panic begins or ends."""
        barred = [each for each in self.endpoints if each.bars]
        for each in barred:
            each.availability.expire(now)
        free = len(self.endpoints) - len(barred)
        available = free + sum(each.availability.available(now) for each in barred)
        wanted = free + sum(PANIC_SPARES.issuperset(each.bars) for each in barred)
        panic = self.guard.on and available < self.panic_below * wanted
        if panic is not self.panic:
            self.panic = panic
            self.emit(PanicTurned(self.name, now, panic))
        if not barred:
            return self.endpoints
        return tuple(each for each in self.endpoints if not each.bars or self.usable(each, now))

    def stale(self, now: float) -> bool:
        """Whether a refresh is due: something changed, or a bar's time has passed."""
        return (
            self.changed
            or any(now - left >= RETURNING for _, left in tuple(self._gone.values()))
            or any(until <= now for each in self.endpoints if each.bars for until in tuple(each.bars.values()))
        )

    def quiet(self) -> bool:
        """Whether nothing will be due here before the next call or change: no use in looking after it."""
        return self.source is None and self.checks is None and not (self.used and self._busy())

    def _busy(self) -> bool:
        if self.heir is not None:  # what is left here is in that one's inbox
            return False
        if self.retired:
            return bool(self.inbox or any(each.open for each in self.endpoints))
        return bool(
            self.inbox
            or self.changed
            or self._gone
            or self.ejection.waiting
            or any(each.open or (each.bars and min(each.bars.values()) < inf) for each in self.endpoints)
        )

    def unhurried(self, limiter: Permits | None) -> bool:
        """Whether what endings left behind can wait: good answers, few of them, and whose places nobody needs yet."""
        waiting = len(self.inbox)
        if self.pressing or waiting > FEW_WORDS or limiter is not self.limiter:
            return False
        return self.limiter is None or self.limiter.spare > 1

    def settle(self, now: float) -> None:
        """Work off what endings left behind (see core/call.py). Never called from a finalizer."""
        self.pressing = False
        inbox = self.inbox
        while inbox:
            try:
                work, attempt, how, wire = inbox.popleft()
            except IndexError:
                return
            try:
                work(attempt, how, wire, now)
            except Exception as error:  # the call that happens to settle this is another one
                self.failed("ending", error, now)

    # For each call

    def pick(self, call: Call, now: float, over: Over | None = None) -> Endpoint:
        """The strategy's choice, if it may be used; else asked once more; else the stand-in's.

        `over`: what stands over the picker, to see what it is asked.
        """
        picker = self.picker
        if picker is None:
            picker = self.first(now)
        if picker is not None:
            if over is not None:
                picker = over(picker)
            try:
                endpoint = picker.pick(call)
                if not endpoint.bars and endpoint not in call.tried and endpoint.fleet is self.fleet:
                    return endpoint
                if not self._acceptable(endpoint, call, now):
                    endpoint = picker.pick(call)
                if self._acceptable(endpoint, call, now):
                    return self._warm(endpoint, picker, call, now)
            except Exception as error:
                self.failed("strategy", error, now)
        return self.stand_in(call, now)

    def first(self, now: float) -> Picker | None:
        """The picker for the first call: made by whichever thread comes first."""
        self.used = True
        if self.changed:
            with self.refreshing:
                if self.picker is None:
                    self.refresh(now)
        return self.picker

    def _acceptable(self, endpoint: Endpoint, call: Call, now: float) -> bool:
        """Known, usable, untried."""
        return endpoint.fleet is self.fleet and endpoint not in call.tried and self.usable(endpoint, now)

    def stand_in(self, call: Call, now: float) -> Endpoint:
        """Two random draws from what is usable; of its heir, where another stands in its place."""
        return super().stand_in(call, now) if self.heir is None else self.heir.stand_in(call, now)

    def _states(self) -> dict[str, str]:
        """Why none may be used: of each endpoint, or of the source that has brought none."""
        if self.endpoints or self.source is None:
            return {each.address: each.availability.state() for each in self.endpoints}
        return {self.source.name: self.source.said}

    def usable(self, endpoint: Endpoint, now: float) -> bool:
        """Available; or, in panic, kept out only by suspicion."""
        return endpoint.availability.available(now) or (self.panic and PANIC_SPARES.issuperset(endpoint.bars))

    def paused(self, now: float) -> bool:
        """Most open attempts are past their p95, and at most endpoints that have any: nobody's fault.

        Where only one endpoint has late attempts, that one is slow.
        """
        pace = self.operations.total.p95(now)
        if pace is None:
            return False
        waits = [tuple(each.waiting.values()) for each in self.endpoints]
        begun = [began for each in waits for began in each]
        late = sum(now - began > pace for began in begun)
        held_up = sum(any(now - began > pace for began in each) for each in waits)
        busy = sum(map(bool, waits))
        return held_up >= 2 and 2 * late > len(begun) and 2 * held_up > busy

    def failed(self, plugin: str, error: Exception, now: float) -> None:
        """A policy misbehaved; the stand-in decides. Telemetry counts it and logs one line a minute."""
        self.emit(PluginFailed(self.name, now, plugin, described(error)))

    def __repr__(self) -> str:
        return f"<Service {self.name}: {len(self.endpoints)} endpoints>"


class _Incomplete(Service):
    """One that lacks parts. Apart, since of what has a `__getattr__` Python reads every attribute four times as slowly:
    a tenth of all that a call's policies take."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """A part that nobody has asked for yet: Python comes here only while its slot is empty."""
        if name not in PARTS:
            raise AttributeError(f"a service has no {name!r}")
        with self.parts.making:
            try:
                return object.__getattribute__(self, name)  # another thread has made it meanwhile
            except AttributeError:
                made = getattr(self.parts, name)(self)
                setattr(self, name, made)
                return made


def described(error: BaseException) -> str:
    """Its kind and its words; the kind alone when even its words fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
