"""RequestContext: what an inbound request lends to every outbound call made for it, in one ContextVar.

A context goes active -> responded -> done. After `responded` the inbound deadline no longer holds and
background work has an allowance of its own; `done` is never revived. The object is shared, not copied,
by the threads and tasks that inherit it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token, copy_context
from enum import Enum
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from meshware.core.deadline import Deadline

ALLOWANCE = 3
"""Retries that one inbound request may spend over its whole fan-out."""

P = ParamSpec("P")
T = TypeVar("T")


class Phase(Enum):
    """How far the inbound request has come."""

    ACTIVE = "active"
    RESPONDED = "responded"
    DONE = "done"


class RequestContext:
    """Deadline, retry allowance and mesh of one inbound request or job. Thread-safe."""

    __slots__ = ("_allowance", "_lock", "attempt", "deadline", "mesh", "operation", "phase", "retried", "retry")

    def __init__(self, deadline: Deadline | None = None, *, mesh: Any = None, attempt: int = 1) -> None:
        self.deadline = deadline
        self.mesh = mesh
        self.attempt = attempt
        self.operation: str | None = None
        self.retry = True
        self.retried = False
        self.phase = Phase.ACTIVE
        self._allowance = ALLOWANCE
        self._lock = Lock()

    def deadline_for(self, now: float) -> Deadline | None:
        """The deadline that a call begun now inherits; none once the answer has gone out."""
        return self.deadline if self.phase is Phase.ACTIVE else None

    def spend(self) -> bool:
        """Take one retry from the allowance, if there is one; exact under threads."""
        with self._lock:
            if self._allowance < 1:
                return False
            self._allowance -= 1
        self.retried = True
        return True

    def give_back(self) -> None:
        """A retry that was taken was never sent."""
        with self._lock:
            self._allowance += 1

    def responded(self) -> None:
        """The answer has gone out: what runs on is background work, with an allowance of its own."""
        if self.phase is Phase.ACTIVE:
            self.phase = Phase.RESPONDED
            with self._lock:
                self._allowance = ALLOWANCE

    def done(self) -> None:
        """The request is over."""
        self.phase = Phase.DONE

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
    _current.reset(token)


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

    Inside another context it never outlives that one's deadline.
    """
    now = time.monotonic()
    outer = current()
    inherited = outer.deadline_for(now) if outer is not None else None
    if deadline is None:
        limit = inherited
    else:
        limit = Deadline.after(deadline, now) if inherited is None else inherited.child(deadline, now)
    context = RequestContext(limit, mesh=mesh if mesh is not None or outer is None else outer.mesh)
    with _in_force(context):
        try:
            yield context
        finally:
            context.done()


@contextmanager
def operation(name: str) -> Iterator[None]:
    """Name the calls made inside, for figures kept per operation, instead of by their path."""
    context = current() or RequestContext()
    before, context.operation = context.operation, name
    try:
        with _in_force(context):
            yield
    finally:
        context.operation = before


@contextmanager
def no_retry() -> Iterator[None]:
    """No call made inside is sent twice, whatever happens to it."""
    context = current() or RequestContext()
    before, context.retry = context.retry, False
    try:
        with _in_force(context):
            yield
    finally:
        context.retry = before


def remaining() -> float | None:
    """Seconds that the context's deadline leaves; None when there is none."""
    now = time.monotonic()
    context = current()
    deadline = context.deadline_for(now) if context is not None else None
    return None if deadline is None else deadline.remaining(now)


def propagate(function: Callable[P, T]) -> Callable[P, T]:
    """The function, to be run in a thread pool with the context in force here and now."""
    captured = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return captured.copy().run(function, *args, **kwargs)

    return run
