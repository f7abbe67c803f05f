"""Faults: what goes wrong on purpose with the calls of one service. It decides, by the service's own chance.

Delays add up; the first fault that is no delay ends the draw. As in Envoy, a fault that does not count befalls the
call before any endpoint is picked: it is not retried, and nobody is blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshware.core.events import FaultInjected
from meshware.core.fault import Fault, Injection, Ordered

if TYPE_CHECKING:
    from meshware.core.policy import Rng
    from meshware.core.request import Request


class Faults:
    """The faults of one service. Thread-safe: they are swapped whole.

    `made_of` is what they were made of, to tell whether others are wanted. `emit` hears of each fault once, when it
    befalls.
    """

    def __init__(
        self, service: str, faults: Sequence[Fault], *, made_of: object, emit: Callable[[object], None]
    ) -> None:
        self.service = service
        self.made_of = made_of
        self.faults = tuple(faults)
        self._emit = emit
        self._told: frozenset[Fault] = frozenset()

    def draw(
        self, request: Request, rng: Rng, now: float, *, counts: bool, ordered: Ordered | None = None
    ) -> Injection | None:
        """What befalls this call (`counts` False) or this attempt of it; None: nothing."""
        delay, end = 0.0, None
        for fault in self._candidates(counts, ordered):
            if not applies(fault, request, now) or rng.random() >= fault.share:
                continue
            self._tell(fault, now)
            if fault.delay is None:
                end = fault
                break
            delay += fault.delay
        return Injection(delay, end) if delay or end is not None else None

    def _candidates(self, counts: bool, ordered: Ordered | None) -> list[Fault]:
        own = [fault for fault in self.faults if fault.counts is counts]
        if ordered is not None and not counts and ordered.service == self.service:
            own.append(ordered.fault)
        return own

    def _tell(self, fault: Fault, now: float) -> None:
        if fault not in self._told:
            self._told |= {fault}
            self._emit(FaultInjected(self.service, now, str(fault), fault.until))


def applies(fault: Fault, request: Request, now: float) -> bool:
    """Whether it is for such a request, and still in force."""
    return (
        now < fault.until
        and (fault.methods is None or request.method in fault.methods)
        and request.path.startswith(fault.path)
        and all(_says(request, name, value) for name, value in fault.headers)
    )


def _says(request: Request, name: str, value: str) -> bool:
    found = request.headers.get(name)
    if isinstance(found, bytes):
        found = found.decode("latin-1")
    return found is not None and value in ("*", found)
