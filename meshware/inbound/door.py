"""What every door in does: the mesh of its settings, and for each request the context that it is served in.

A door reads its framework's headers and says what it found; what is believed of it is decided here, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.context import ALLOWANCE, RequestContext, current
from meshware.core.caller import Caller
from meshware.core.deadline import Deadline
from meshware.core.errors import CircuitOpen, DeadlineExceeded, NoEndpoint, Overloaded
from meshware.health.load import Served
from meshware.mesh import Mesh
from meshware.security.orca import IN_FLIGHT, NAMED, SERVICE_TIME, SLOTS, write
from meshware.security.trust import (
    ATTEMPT,
    LOAD,
    LOAD_BINARY,
    REPORT,
    RETRIED,
    TIMEOUT,
    Inbound,
    TrustedPeers,
    fault_order,
    read_headers,
)
from meshware.telemetry.log import EventLog

if TYPE_CHECKING:
    from meshware.settings.schema import MeshSettings

EXPIRED = b"the deadline had passed before the request was begun\n"
"""The body of the 504 to who no longer waits for an answer."""


def open_mesh(settings: Any) -> Mesh:
    """The mesh of these settings, its events logged; the process's default one, if it is the first.

    The environment's `MESHWARE__...` variables stand above them. Raises SettingsError with every problem found.
    """
    return open_own_mesh(settings)[0]


def open_own_mesh(settings: Any) -> tuple[Mesh, bool]:
    """The same, and whether it was made for this: then who opened it may close it."""
    observers = iter([EventLog()])
    mesh = Mesh.from_settings(settings, observers=observers, environ=os.environ).install()
    return mesh, next(observers, None) is None  # only a new mesh has taken its observers


def refusal(error: Exception) -> tuple[str, int, dict[str, str]]:
    """What became of a call, as text, status and headers of an answer; raises what only the developer can mend."""
    if isinstance(error, DeadlineExceeded):
        return "a service did not answer in time\n", 504, {}
    if isinstance(error, CircuitOpen):
        return "a service is unavailable\n", 503, {"Retry-After": str(max(1, ceil(error.wait)))}
    if isinstance(error, NoEndpoint | Overloaded):
        return "a service is unavailable\n", 503, {}
    raise error


class Door:
    """A mesh's door in: opens the context of each request. Thread-safe.

    What the settings say of requests is looked up once, and again when they were reloaded.
    """

    __slots__ = ("_rules", "mesh")

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._rules = _Rules.of(mesh.settings)

    def open(
        self,
        timeouts: Sequence[str] = (),
        attempts: Sequence[str] = (),
        reports: Sequence[str] = (),
        faults: Sequence[str] = (),
        *,
        peer: str = "",
        caller: Caller | None = None,
        allowance: int | None = ALLOWANCE,
        counted: bool = True,
    ) -> RequestContext | None:
        """The context of a request that begins now; None when its deadline has passed: answer 504 then.

        `timeouts`, `attempts`, `reports` and `faults` are all values of the headers of trust.REQUEST, `peer` is who
        sent them; `allowance` is how many retries the calls made for it may spend, None as many as their services pay
        for; `counted`: it is among what this process is busy with until its answer has gone out.
        Nothing is in force yet: enter the context for as long as code of the app runs, then end it by `done`.
        """
        mesh, rules = self.mesh, self._current()
        told = timeouts or attempts or reports or faults
        inbound = rules.read(timeouts, attempts, reports, faults, peer) if told else rules.unsaid
        now = mesh.clock()
        deadline = _deadline(inbound.timeout, now)
        if deadline is not None and deadline.at <= now:
            return None
        served = rules.begin(mesh, inbound, peer) if counted and rules.reports else None
        context = RequestContext(
            deadline, mesh=mesh, attempt=inbound.attempt, allowance=allowance, caller=caller, counted=served
        )
        if inbound.fault is not None:
            context.fault = inbound.fault
        return context

    def probed(self, method: str, peer: str) -> str | None:
        """What to say, in a 204's header LOAD, to who asks at PATH how busy this server is.

        None to all that are not trusted, and to other questions: those are the app's, as if there were no such path.
        """
        rules = self._current()
        if method != "GET" or not rules.reports or not rules.trusts(peer):
            return None
        return load_report(self.mesh)

    def _current(self) -> _Rules:
        rules, settings = self._rules, self.mesh.settings
        if rules.settings is not settings:
            rules = self._rules = _Rules.of(settings)
        return rules


class _Rules(NamedTuple):
    """What one set of settings says of requests, ready for use."""

    settings: MeshSettings
    unsaid: Inbound
    unasked: float
    trusts: Callable[[str], bool]
    reports: bool
    always: bool

    @classmethod
    def of(cls, settings: MeshSettings) -> _Rules:
        peers, unsaid = TrustedPeers(settings.trusted_peers), Inbound(settings.request_timeout)
        reports = bool(peers) and settings.load_reports != "off"  # what nobody may hear is not counted
        return cls(settings, unsaid, _unasked_timeout(), peers, reports, settings.load_reports == "always")

    def read(
        self, timeouts: Sequence[str], attempts: Sequence[str], reports: Sequence[str], faults: Sequence[str], peer: str
    ) -> Inbound:
        """What the headers say; the peer is looked at only when there is a mark of his to believe or not."""
        said, maximum = {TIMEOUT: timeouts, ATTEMPT: attempts, REPORT: reports}, self.unsaid.timeout
        ordered = bool(faults) and self.settings.fault_headers
        trusted = bool(attempts or reports or ordered) and self.trusts(peer)
        inbound = read_headers(said.__getitem__, trusted=trusted, maximum=maximum)
        if maximum is None and inbound.timeout is not None and inbound.timeout > self.unasked:
            # a deadline that was set stands above that default: a stranger must not lengthen it
            inbound = replace(inbound, timeout=None)
        return replace(inbound, fault=fault_order(faults)) if trusted and ordered else inbound

    def begin(self, mesh: Mesh, inbound: Inbound, peer: str) -> Served | None:
        """The request among those that are served; one that a door around this one has counted is not another."""
        outer = current()
        if outer is not None and outer.mesh is mesh and outer.counted is not None:
            return None
        mesh.keep()
        try:
            served = mesh.load.begin()
        except Exception as error:  # a fault of our own never ends a request
            mesh.failed("load report", error)
            return None
        served.told = inbound.asked or (self.always and self.trusts(peer))
        return served


def marks(context: RequestContext, status: int, headers: Iterable[tuple[Any, Any]] = ()) -> list[tuple[str, str]]:
    """What we add to the headers of an answer, which begins now with these; called once per answer.

    That this tier has retried, on an answer that the tier above might retry; to who may hear it, how busy we are.
    """
    added = [(RETRIED, "1")] if status >= 500 and context.retried else []
    counted = context.counted
    if counted is None:
        return added
    counted.failed = status >= 500
    said = {_text(name): value for name, value in headers}
    if counted.told and LOAD not in said and LOAD_BINARY not in said:  # the app may know better
        added += _report(context.mesh)
    if _text(said.get("content-type", "")).startswith("text/event-stream"):  # it waits for events, which is no work
        context.uncounted()
    return added


def _report(mesh: Mesh) -> list[tuple[str, str]]:
    try:
        return [(LOAD, load_report(mesh))]
    except Exception as error:  # a fault of our own never ends a request
        mesh.failed("load report", error)
        return []


def load_report(mesh: Mesh) -> str:
    """How busy this server is, as ORCA's header says it; what is not known yet is left out."""
    figures = mesh.load.figures(mesh.clock())
    said = {"application_utilization": figures.utilization, "rps_fractional": figures.rps, "eps": figures.eps}
    said |= {f"{NAMED}{IN_FLIGHT}": figures.in_flight, f"{NAMED}{SLOTS}": figures.slots}
    if figures.service_time is not None:
        said[f"{NAMED}{SERVICE_TIME}"] = figures.service_time
    return write(said)


def _text(word: str | bytes) -> str:
    """A header's name or value in lower case, as WSGI or ASGI has it."""
    return (word if isinstance(word, str) else word.decode("latin-1")).lower()


def _deadline(timeout: float | None, now: float) -> Deadline | None:
    """The request's own; inside another context (a door within a door, a job) never later than that one's."""
    outer = current()
    inherited = None if outer is None else outer.deadline_for(now)
    if inherited is not None:
        return inherited.child(timeout, now)
    return None if timeout is None else Deadline(now + timeout, timeout)


def _unasked_timeout() -> float:
    """Seconds that a call has when no setting and no caller says how many."""
    from meshware.settings.schema import Policy

    return float(Policy.model_fields["timeout"].default)
