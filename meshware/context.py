"""RequestContext: what an inbound request lends to every outbound call made for it, in one ContextVar.

A context goes active -> responded -> done. After `responded` the inbound deadline no longer holds and
background work has an allowance of its own; `done` is never revived. All of this is shared by the threads
and tasks that inherit the context, whatever view of it each has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token, copy_context
from copy import copy
from enum import Enum
from math import inf, isnan
from threading import Lock
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from meshware.core.caller import Caller, nothing
from meshware.core.criticality import Criticality
from meshware.core.deadline import Deadline
from meshware.core.fault import Ordered
from meshware.core.plan import Override

ALLOWANCE = 3
"""Retries that one inbound request may spend over its whole fan-out."""

LONGEST = 86_400.0
"""The longest deadline or timeout that anybody can ask for (seconds), as in the settings: a socket refuses one of
some weeks, a lock one of some centuries."""

P = ParamSpec("P")
T = TypeVar("T")


class Phase(Enum):
    """How far the inbound request has come."""

    ACTIVE = "active"
    RESPONDED = "responded"
    DONE = "done"


_ACTIVE, _RESPONDED, _DONE = Phase  # a member is dear to look up, and every call asks


class _Purse:
    """The retries that one inbound request may spend; None: as many as the services' budgets pay for."""

    __slots__ = ("_lock", "_most", "left", "taken")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.left = most
        self.taken = 0
        self._lock = Lock()

    def take(self) -> bool:
        with self._lock:
            if self.left == 0:
                return False
            self.left = None if self.left is None else self.left - 1
            self.taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1
            if self.left is not None:
                self.left = min(self._most or 0, self.left + 1)

    def renew(self) -> None:
        with self._lock:
            self.left = self._most


class Counted(Protocol):
    """The request among those that this process serves, as the door in that counts it knows it (health/load.py)."""

    failed: bool
    told: bool

    def end(self) -> None:
        """It is over. Idempotent."""
        ...


class Admitted(Protocol):
    """The place that a request was given by who limits them (limiting/admission.py)."""

    @property
    def held(self) -> bool:
        """Whether there is anything to give back."""
        ...

    def answered(self, status: int, now: float) -> None:
        """Its answer begins with this status."""
        ...

    def end(self) -> None:
        """It works no more. Idempotent."""
        ...


class _Life:
    """The phase, shared by every view of one context; and whether it is a request's, or only a part's."""

    __slots__ = ("admitted", "counted", "phase", "whole")

    def __init__(self, *, whole: bool = True, counted: Counted | None = None, admitted: Admitted | None = None) -> None:
        self.phase = _ACTIVE
        self.whole = whole
        self.counted = counted
        self.admitted = admitted


class RequestContext:
    """Deadline, retry allowance and mesh of one inbound request or job. Thread-safe.

    `operation` and `retry` are what `operation()` and `no_retry()` say where the call is made: those put a
    view of the context in force, so that other threads and tasks of the same request do not notice.
    `criticality` is how much it matters that the request is served; calls made for it say the same. `identity` is who
    makes it, as a trusted peer says; `attributes` are what the app says of it, by `annotate()`, for routes to go by.
    """

    __slots__ = (
        "_caller", "_life", "_purse", "attempt", "attributes", "criticality", "deadline", "fault", "identity", "mesh",
        "operation", "override", "retry",
    )  # fmt: skip

    def __init__(
        self,
        deadline: Deadline | None = None,
        *,
        mesh: Any = None,
        attempt: int = 1,
        allowance: int | None = ALLOWANCE,
        caller: Caller | None = None,
        counted: Counted | None = None,
        admitted: Admitted | None = None,
        criticality: Criticality = Criticality.DEFAULT,
    ) -> None:
        self._caller = caller
        self.deadline = deadline
        self.mesh = mesh
        self.attempt = attempt
        self.criticality = criticality
        self.fault: Ordered | None = None  # what a trusted caller asks to go wrong with the calls made for him
        self.operation: str | None = None
        self.retry = True
        self.override: Override | None = None
        self.identity: str | None = None
        self.attributes: dict[str, Any] = {}
        self._life = _Life(counted=counted, admitted=admitted)
        self._purse = _Purse(allowance)

    @property
    def phase(self) -> Phase:
        """How far the request has come."""
        return self._life.phase

    @property
    def counted(self) -> Counted | None:
        """The request among those that are served; None where nobody counts."""
        return self._life.counted

    @property
    def admitted(self) -> Admitted | None:
        """The place that it was given; None where nobody limits."""
        return self._life.admitted

    @property
    def retried(self) -> bool:
        """Whether any of its calls was sent a second time."""
        return self._purse.taken > 0

    def deadline_for(self, now: float) -> Deadline | None:
        """The deadline that a call begun now inherits; none once the answer has gone out."""
        return self.deadline if self._life.phase is _ACTIVE else None

    def affords(self) -> bool:
        """Whether there is a retry in the allowance now."""
        return self._purse.left != 0

    def spend(self) -> bool:
        """Take one retry from the allowance, if there is one; exact under threads."""
        return self._purse.take()

    def give_back(self) -> None:
        """A retry that was taken was never sent."""
        self._purse.give_back()

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], object]:
        """For async doors out: `callback` is called if the caller leaves before his answer has gone out.

        Gives what takes it back, to be called when the call is over, however it went, on any thread. The
        callback is called at most once, on any thread (at once, on this one, when he has left already): it must
        not block or raise. It cancels a task by `loop.call_soon_threadsafe`, and CancelledError leaves the call
        with that cancel taken back (`uncancel`), so that the door in knows it from the server's own.
        Never called where the door in cannot tell (WSGI, websockets, jobs), nor for background work.
        """
        return nothing if self._caller is None else self._caller.on_leave(callback)

    def responded(self) -> None:
        """The answer has gone out: what runs on is background work, with an allowance of its own."""
        life = self._life
        if life.phase is _ACTIVE:
            life.phase = _RESPONDED
            if life.whole:  # a part has the allowance of the whole, which goes on
                self._purse.renew()
            self.uncounted()

    def uncounted(self) -> None:
        """It is no more among what this process is busy with, if it was, and holds no place. Idempotent."""
        life = self._life
        if life.admitted is None and life.counted is None:
            return
        for what, held in (("admission", life.admitted), ("load report", life.counted)):
            try:
                if held is not None:
                    held.end()
            except Exception as error:
                self.mesh.failed(what, error)

    def failed(self, error: BaseException) -> None:
        """The app has let this error through; a cancellation is no failure of its."""
        if self._life.counted is not None and isinstance(error, Exception):
            self._life.counted.failed = True

    def done(self) -> None:
        """The request is over. What it left running is background work, however it ended."""
        self.responded()
        self._life.phase = _DONE

    def view(self) -> RequestContext:
        """The same request, with an `operation`, `retry` and `override` of its own."""
        return copy(self)

    def nested(self, deadline: Deadline | None, *, mesh: Any = None) -> RequestContext:
        """A part of this request with a deadline and an end of its own; it spends the same allowance."""
        made = copy(self)
        made.deadline = deadline
        made.mesh = self.mesh if mesh is None else mesh
        made._life = _Life(whole=False)
        return made

    def __repr__(self) -> str:
        return f"<RequestContext {self.phase.value} {self.deadline or 'no deadline'}>"


_current: ContextVar[RequestContext | None] = ContextVar("meshware", default=None)


def current() -> RequestContext | None:
    """The context in force on this thread or task."""
    return _current.get()


def enter(context: RequestContext | None) -> Token[RequestContext | None]:
    """Put a context in force; `leave` with the token undoes it, on the same thread."""
    return _current.set(context)


def leave(token: Token[RequestContext | None]) -> None:
    """Undo an `enter`."""
    try:
        _current.reset(token)
    except ValueError:  # a coroutine that was never finished, closed from elsewhere: what it had set went with its task
        pass


@contextmanager
def _in_force(context: RequestContext) -> Iterator[RequestContext]:
    token = enter(context)
    try:
        yield context
    finally:
        leave(token)


@contextmanager
def request_context(deadline: float | None = None, *, mesh: Any = None) -> Iterator[RequestContext]:
    """A shared context for a job: one deadline (seconds from now) and one retry allowance for all its calls.

    Inside another context it never outlives that one's deadline, and spends that one's allowance.
    An infinite deadline is none, and one of more than a day (86,400 s) is a day.
    Raises ValueError for a deadline that is not a number.
    """
    deadline = _bounded(deadline)
    now, outer = time.monotonic(), current()
    limit = outer.deadline_for(now) if outer is not None else None
    if deadline is not None:
        limit = Deadline.after(deadline, now) if limit is None else limit.child(deadline, now)
    context = RequestContext(limit, mesh=mesh) if outer is None else outer.nested(limit, mesh=mesh)
    with _in_force(context):
        try:
            yield context
        finally:
            context.done()


def _bounded(deadline: float | None) -> float | None:
    """Seconds that clocks and sockets can wait; None: no deadline."""
    if deadline is None or deadline == inf:
        return None
    seconds = min(deadline, LONGEST)
    if isnan(seconds):
        raise ValueError("a deadline is a number of seconds, not nan")
    return seconds


@contextmanager
def operation(name: str) -> Iterator[None]:
    """Name the calls made inside, for figures kept per operation, instead of by their path."""
    context = _view()
    context.operation = name
    with _in_force(context):
        yield


@contextmanager
def no_retry() -> Iterator[None]:
    """No call made inside is sent twice, whatever happens to it."""
    context = _view()
    context.retry = False
    with _in_force(context):
        yield


@contextmanager
def override(
    *,
    timeout: float | None = None,
    attempts: int | None = None,
    hedge: bool | None = None,
    fallback: Literal[False] | None = None,
) -> Iterator[None]:
    """Calls made inside have so many seconds, are sent so often at most (1: once), are hedged or never are, or fail
    where something would stand in for them.

    Where hedging is off, `hedge=True` hedges by the rest of the service's `hedge` settings.
    It stands above routes and services; an inbound deadline, and what the client was told for the call, can still
    shorten the time. Of nested ones the inner counts. Raises ValueError for what cannot be meant.
    """
    if timeout is not None and not 0 < timeout <= LONGEST:
        raise ValueError(f"timeout is seconds, more than 0 and at most {LONGEST:.0f}, not {timeout!r}")
    if attempts is not None and (isinstance(attempts, bool) or attempts not in range(1, 11)):
        raise ValueError(f"attempts is a whole number from 1 to 10, not {attempts!r}")
    if hedge not in (None, True, False):
        raise ValueError(f"hedge is True or False, not {hedge!r}: how calls are hedged is the settings' to say")
    if fallback not in (None, False):
        raise ValueError("fallback can be switched off only: what stands in is the settings' to say")
    context = _view()
    context.override = Override(timeout, attempts, hedge, fallback).over(context.override)
    with _in_force(context):
        yield


def annotate(**attributes: Any) -> None:
    """Say something of the inbound request, such as `user=...`, for routes, their predicates and sticky splits.

    All its threads and tasks have it from now on. Where no request context is in force, nothing is said.
    """
    context = current()
    if context is not None:
        context.attributes.update(attributes)


def _view() -> RequestContext:
    """Of the context in force; where there is none, of one that limits nothing."""
    context = current()
    return RequestContext(allowance=None) if context is None else context.view()


def remaining() -> float | None:
    """Seconds that the context's deadline leaves; None when there is none."""
    now, context = time.monotonic(), current()
    deadline = context.deadline_for(now) if context is not None else None
    return None if deadline is None else deadline.remaining(now)


def propagate(function: Callable[P, T]) -> Callable[P, T]:
    """The function, to be run in a thread pool with the context in force here and now."""
    captured = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return captured.copy().run(function, *args, **kwargs)

    return run
