"""From raw records to figures. Pure: no clock, no I/O.

Shares are of the calls that reached a service's replicas, retries included, as the replicas counted them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from meshware.cli.demo.load import Called
from meshware.cli.demo.plan import Fault, Kind, service_of

REACTION = 1.0
"""Seconds after a fault's begin from which its share counts."""

SETTLED = 15.0
"""Seconds after a return by which the share must be fair again."""

FAIR = 0.8
WINDOW, STRIDE = 3.0, 0.25
"""A returned replica is back when, over WINDOW seconds, it had FAIR of its fair share."""


@dataclass(frozen=True, slots=True)
class Record:
    """What happened in one run; times in seconds from its start."""

    seconds: float
    called: Sequence[Called]
    arrived: Mapping[str, Sequence[float]]
    faults: Sequence[Fault]
    cpu_share: float

    def share(self, endpoint: str, begin: float, end: float) -> float | None:
        """The endpoint's share of its service's calls in [begin, end); None when there were none."""
        service = service_of(endpoint)
        counts = {
            name: sum(begin <= at < end for at in times)
            for name, times in self.arrived.items()
            if service_of(name) == service
        }
        total = sum(counts.values())
        return counts[endpoint] / total if total else None

    def fair(self, endpoint: str) -> float:
        """An even share of the endpoint's service."""
        return 1 / sum(service_of(name) == service_of(endpoint) for name in self.arrived)

    def span(self, endpoint: str) -> Fault | None:
        """The endpoint's own fault; for a healthy one, the time in which its service had any."""
        mine = [fault for fault in self.faults if fault.endpoint == endpoint]
        if mine:
            return mine[0]
        near = [fault for fault in self.faults if fault.service == service_of(endpoint)]
        if not near:
            return None
        return Fault(endpoint, Kind.HEALTHY, min(each.begins for each in near), max(each.ends for each in near))


def figures(record: Record) -> dict[str, Any]:
    """One run as plain data, for --json and the table."""
    charged = sorted(call.charged for call in record.called)
    elapsed = sorted(call.elapsed for call in record.called)
    return {
        "calls": len(record.called),
        "errors": sum(call.error for call in record.called),
        "p50_ms": milliseconds(percentile(charged, 0.5)),
        "p99_ms": milliseconds(percentile(charged, 0.99)),
        "p99_uncharged_ms": milliseconds(percentile(elapsed, 0.99)),
        "cpu_share": round(record.cpu_share, 3),
        "endpoints": {endpoint: endpoint_figures(record, endpoint) for endpoint in record.arrived},
    }


def endpoint_figures(record: Record, endpoint: str) -> dict[str, Any]:
    """One replica's calls and shares: in all, before, in and after its fault (or its service's)."""
    found: dict[str, Any] = {
        "calls": len(record.arrived[endpoint]),
        "share": rounded(record.share(endpoint, 0.0, float("inf"))),
    }
    span = record.span(endpoint)
    if span is None:
        return found
    found |= {
        "fault": None if span.kind is Kind.HEALTHY else span.kind.value,
        "fault_s": [round(span.begins, 2), round(span.ends, 2)],
        "share_before": rounded(record.share(endpoint, 0.0, span.begins)),
        "share_in_fault": rounded(record.share(endpoint, span.begins + REACTION, span.ends)),
        "share_after": rounded(record.share(endpoint, span.ends, record.seconds)),
    }
    if span.kind is Kind.KILLED:
        found |= {
            "back_after_s": back_after(record, endpoint, span.ends),
            "share_15s_after": rounded(record.share(endpoint, span.ends + SETTLED, record.seconds)),
        }
    return found


def back_after(record: Record, endpoint: str, returned: float) -> float | None:
    """Seconds from the return to the end of the first window with a fair enough share; None: never."""
    enough = FAIR * record.fair(endpoint)
    begin = returned
    while begin + WINDOW <= record.seconds:
        share = record.share(endpoint, begin, begin + WINDOW)
        if share is not None and share >= enough:
            return round(begin + WINDOW - returned, 2)
        begin += STRIDE
    return None


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that `share` of all do not exceed (nearest rank)."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def milliseconds(seconds: float | None) -> float | None:
    """For people."""
    return None if seconds is None else round(1000 * seconds, 1)


def rounded(share: float | None) -> float | None:
    """A share to a tenth of a percent."""
    return None if share is None else round(share, 3)
