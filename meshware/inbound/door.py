"""What every door in does: the mesh of its settings, and for each request the context that it is served in.

A door reads its framework's headers and says what it found; what is believed of it is decided here, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.context import ALLOWANCE, Admitted, RequestContext, current
from meshware.core.caller import Caller
from meshware.core.criticality import Criticality
from meshware.core.deadline import Deadline
from meshware.core.errors import CircuitOpen, DeadlineExceeded, NoEndpoint, Overloaded
from meshware.health.load import Served
from meshware.limiting.admission import Ticket
from meshware.limiting.arrival import Arrival, Refusal
from meshware.mesh import Mesh
from meshware.security.orca import IN_FLIGHT, NAMED, SERVICE_TIME, SLOTS, write
from meshware.security.trust import (
    FAULT,
    LOAD,
    LOAD_BINARY,
    MARKS,
    REFUSED,
    RETRIED,
    RETRY_AFTER,
    Inbound,
    TrustedPeers,
    read_headers,
)
from meshware.telemetry.log import EventLog

if TYPE_CHECKING:
    from meshware.settings.schema import MeshSettings

LONGEST_WAIT = 3600.0
"""Seconds; who says that a request has waited longer, or will come so much later, has another clock."""


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


class Refused(NamedTuple):
    """A request is refused before the app knows of it: the answer that it gets."""

    status: int
    reason: str
    retry_after: int | None = None

    @property
    def text(self) -> str:
        """The body: one line for who reads it."""
        return REASONS[self.reason] + "\n"

    def headers(self) -> list[tuple[str, str]]:
        """All of the answer's headers, a mark for clients of ours among them."""
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(self.text)))]
        headers.append((REFUSED, self.reason))
        return headers if self.retry_after is None else [*headers, (RETRY_AFTER, str(self.retry_after))]


REASONS = {
    "expired": "the deadline had passed before the request was begun",
    "deadline": "the deadline leaves too little time for an answer",
    "rate": "too many requests",
    "queue": "overloaded: the request had waited too long",
    "limit": "overloaded: too many requests at once",
    "sheddable": "overloaded: only what matters more is served",
}
"""Why a request may be refused, as the header REFUSED and as the answer's body say it."""

EXPIRED = Refused(504, "expired")
"""For who no longer waits for an answer."""


class Door:
    """A mesh's door in: opens the context of each request. Thread-safe.

    What the settings say of requests is looked up once, and again when they were reloaded. `wall` tells the seconds
    since 1970, for what servers in front say of when they got a request.
    """

    __slots__ = ("_rules", "_wall", "mesh")

    def __init__(self, mesh: Mesh, *, wall: Callable[[], float] = time.time) -> None:
        self.mesh = mesh
        self._wall = wall
        self._rules = _Rules.of(mesh.settings)

    def open(
        self,
        said: dict[str, list[str]],
        method: str,
        path: str,
        *,
        peer: str = "",
        caller: Caller | None = None,
        allowance: int | None = ALLOWANCE,
        counted: bool = True,
    ) -> RequestContext | Refused:
        """The context of a request that begins now; or the answer to one that is not begun.

        `said` are all values of the headers in trust.REQUEST that are there, `peer` is who sent them; `allowance` is
        how many retries the calls made for it may spend, None as many as their services pay for; `counted`: it is
        among what this process is busy with until its answer has gone out.
        Nothing is in force yet: enter the context for as long as code of the app runs, then end it by `done`.
        """
        mesh, rules = self.mesh, self._current()
        mesh.keep_up()
        inbound = rules.read(said, peer) if said else rules.unsaid
        now, outer = mesh.clock(), current()
        deadline = _deadline(inbound.timeout, now, outer)
        if deadline is not None and deadline.at <= now:
            return EXPIRED
        ticket: Ticket | Refusal | None = None
        criticality = inbound.criticality or Criticality.DEFAULT
        if mesh.admission is not None:
            waited = None if inbound.started is None else self._waited(inbound.started)
            arrival = Arrival(method, path, inbound.criticality, inbound.caller, peer, deadline, waited)
            ticket, criticality = _admitted(mesh, arrival, now, outer)
        if isinstance(ticket, Refusal):
            return Refused(*ticket)
        served = rules.begin(mesh, inbound, peer, outer) if counted and rules.reports else None
        context = RequestContext(
            deadline, mesh=mesh, attempt=inbound.attempt, allowance=allowance, caller=caller, counted=served,
            admitted=ticket, criticality=criticality,
        )  # fmt: skip
        if inbound.fault is not None:
            context.fault = inbound.fault
        context.identity = inbound.caller
        return context

    def _waited(self, started: float) -> float | None:
        """Seconds since a server in front got it, by two clocks; None where nobody can mean it."""
        waited = self._wall() - started
        return waited if abs(waited) < LONGEST_WAIT else None

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

    def read(self, said: dict[str, list[str]], peer: str) -> Inbound:
        """What the headers say; the peer is looked at only when there is a mark of his to believe or not."""
        if FAULT in said and not self.settings.fault_headers:
            del said[FAULT]
        maximum = self.unsaid.timeout
        trusted = not MARKS.isdisjoint(said) and self.trusts(peer)
        inbound = read_headers(said, trusted=trusted, maximum=maximum)
        if maximum is None and inbound.timeout is not None and inbound.timeout > self.unasked:
            # a deadline that was set stands above that default: a stranger must not lengthen it
            inbound = inbound._replace(timeout=None)
        return inbound

    def begin(self, mesh: Mesh, inbound: Inbound, peer: str, outer: RequestContext | None) -> Served | None:
        """The request among those that are served; one that a door around this one has counted is not another."""
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


def _admitted(
    mesh: Mesh, arrival: Arrival, now: float, outer: RequestContext | None
) -> tuple[Ticket | Refusal | None, Criticality]:
    """The request's place, and how much it matters; one that a door around this one has let in is let in."""
    admission = mesh.admission
    assert admission is not None
    if outer is not None and outer.mesh is mesh and outer.admitted is not None:
        return None, outer.criticality
    try:
        criticality = admission.criticality(arrival.criticality, arrival.path)
        return admission.admit(arrival, criticality, now), criticality
    except Exception as error:  # a fault of our own never ends a request
        mesh.failed("admission", error)
        return None, Criticality.DEFAULT


def marks(context: RequestContext, status: int, headers: Iterable[tuple[Any, Any]] = ()) -> list[tuple[str, str]]:
    """What we add to the headers of an answer, which begins now with these; called once per answer.

    That this tier has retried, on an answer that the tier above might retry; to who may hear it, how busy we are.
    """
    added = [(RETRIED, "1")] if status >= 500 and context.retried else []
    counted, admitted = context.counted, context.admitted
    if admitted is not None:
        _answered(context.mesh, admitted, status)
    if counted is None and (admitted is None or not admitted.held):
        return added
    said = {_text(name): value for name, value in headers}
    if counted is not None:
        counted.failed = status >= 500
        if counted.told and LOAD not in said and LOAD_BINARY not in said:  # the app may know better
            added += _report(context.mesh)
    if _text(said.get("content-type", "")).startswith("text/event-stream"):  # it waits for events, which is no work
        context.uncounted()
    return added


def _answered(mesh: Mesh, admitted: Admitted, status: int) -> None:
    try:
        admitted.answered(status, mesh.clock())
    except Exception as error:  # a fault of our own never ends a request
        mesh.failed("admission", error)


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


def _deadline(timeout: float | None, now: float, outer: RequestContext | None) -> Deadline | None:
    """The request's own; inside another context (a door within a door, a job) never later than that one's."""
    inherited = None if outer is None else outer.deadline_for(now)
    if inherited is not None:
        return inherited.child(timeout, now)
    return None if timeout is None else Deadline(now + timeout, timeout)


def _unasked_timeout() -> float:
    """Seconds that a call has when no setting and no caller says how many."""
    from meshware.settings.schema import Policy

    return float(Policy.model_fields["timeout"].default)
