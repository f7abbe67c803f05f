"""Profiles: the defaults of other systems, as far as there is such a setting here, for who comes from one of them.

A profile stands below all that is written: `defaults` and the service's own settings. Sources: Envoy 1.40's API
reference; Istio's DestinationRule and VirtualService; Linkerd's failure accrual and retries; Finagle's user guide;
gRPC's A6, A50 and connection-backoff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshware.settings.grammar import LONGEST, Refused
from meshware.settings.references import nearest


@dataclass(frozen=True, slots=True)
class Profile:
    """What is set, and the numbers of that system for which there is no setting."""

    settings: Mapping[str, Any]
    without: tuple[str, ...]


_NOT_THEIRS: dict[str, Any] = {
    "attempt_timeout": None,
    "hedge": {"enabled": False},
    "circuit": {"enabled": False},
    "limits": {"enabled": False, "feasible": False},
    "slow_start": 0.0,
}
"""What none of them does unless it is told to."""

_DETECTION: dict[str, Any] = {
    "consecutive": 5, "refused": 5, "connect_timeouts": 5, "success_rate": 0.0, "window": 10.0, "base": 30.0,
    "cap": 300.0, "jitter": 0.0, "max_share": 0.1, "probe_interval": 30.0,
}  # fmt: skip
"""Envoy's outlier detection; nobody is below a success rate of 0."""

_ACCRUAL: dict[str, Any] = {"success_rate": 0.8, "minimum": 5, "jitter": 0.5, "max_share": 1.0}
"""Failure accrual, as Finagle has it and Linkerd took over."""

_RETRY_BUDGET: dict[str, Any] = {"ratio": 0.2, "minimum": 100.0, "window": 10.0}
"""Theirs as well: a fifth of the calls, and 10 a second."""

_DOUBLED = "30, 60, 90 s out (`base_ejection_time` grows by itself): doubled here, up to the same 300 s"
_CAP = "1024 connections, waiting and running requests: calls in flight have no fixed cap"
_REFILL = "10 retries a second whatever the load: the same 100 of 10 s to start with, and no refill by time"

PROFILES = {
    "envoy": Profile(
        _NOT_THEIRS
        | {
            "strategy": "round_robin",
            "timeout": 15.0,
            "connect_timeout": 5.0,
            "retry": {"attempts": 1, "base": 0.025, "cap": 0.25, "budget": {"ratio": 0.2, "minimum": 3.0}},
            "ejection": _DETECTION | {"outliers": {"stdev": 1.9, "hosts": 5, "minimum": 100}},
            "panic": 0.5,
        },
        (_CAP, "3 retries at once: a budget of 20 %, at least 3, as Envoy's `retry_budget`", _DOUBLED),
    ),
    "istio": Profile(
        _NOT_THEIRS
        | {
            "strategy": "least_request",
            "timeout": LONGEST,
            "connect_timeout": 10.0,
            "retry": {
                "attempts": 3,
                "base": 0.025,
                "cap": 0.25,
                "on": ["connect-failure", "reset-before-request", "retriable-status-codes"],
                "statuses": [503],
                "budget": {"ratio": 0.2, "minimum": 3.0},
            },
            "ejection": _DETECTION | {"enabled": False},
            "panic": 0.0,
        },
        ("retries on gRPC's `unavailable` and `cancelled`: here by HTTP's status only", _DOUBLED),
    ),
    "linkerd": Profile(
        _NOT_THEIRS
        | {
            "strategy": {"peak_ewma": {"tau": 10.0}},
            "timeout": LONGEST,
            "connect_timeout": 1.0,
            "retry": {
                "attempts": 2,
                "base": 0.001,
                "cap": 0.001,
                "on": ["connect-failure", "5xx"],
                "budget": _RETRY_BUDGET,
            },
            "ejection": _ACCRUAL
            | {
                "consecutive": 7,
                "refused": 7,
                "connect_timeouts": 7,
                "window": 10.0,
                "base": 1.0,
                "cap": 60.0,
                "probe_interval": 1.0,
            },
            "panic": 0.0,
        },
        (
            "30 ms, the first guess of a response time: an unmeasured endpoint counts as average",
            _REFILL,
            "bodies of at most 64 KiB are sent again: here those that can be",
            "calls fail after 3 s without an available endpoint: at once here",
            "100000 requests at once: calls in flight have no fixed cap",
        ),
    ),
    "finagle": Profile(
        _NOT_THEIRS
        | {
            "strategy": {"least_request": {"choices": 2}},
            "timeout": LONGEST,
            "connect_timeout": 1.0,
            "retry": {
                "attempts": 10,
                "base": 0.001,
                "cap": 0.001,
                "on": ["connect-failure", "reset-before-request"],
                "budget": _RETRY_BUDGET,
            },
            "ejection": _ACCRUAL
            | {
                "consecutive": 5,
                "refused": 5,
                "connect_timeouts": 5,
                "window": 30.0,
                "base": 5.0,
                "cap": 300.0,
                "probe_interval": 5.0,
            },
            "panic": 0.5,
        },
        (_REFILL, "a fifth of the budget for the requeues of one request: 10 attempts in all, the most there can be"),
    ),
    "grpc": Profile(
        _NOT_THEIRS
        | {
            "strategy": "round_robin",
            "timeout": LONGEST,
            "connect_timeout": 20.0,
            "retry": {"attempts": 2, "on": ["connect-failure", "reset-before-request"]},
            "ejection": _DETECTION
            | {
                "consecutive": 1_000_000,
                "refused": 1_000_000,
                "connect_timeouts": 1_000_000,
                "success_rate": 0.15,
                "minimum": 50,
                "outliers": {"stdev": 1.9, "hosts": 5, "minimum": 100},
            },
            "panic": 0.0,
        },
        (
            "`pick_first`: `round_robin` here, which most set",
            "tokens that failures take and successes give back (`retryThrottling`): the budget stays ours",
            "1024 requests at once: calls in flight have no fixed cap",
            _DOUBLED,
        ),
    ),
}

ALIKE = (
    "`retry.methods`: they send POST and PATCH again where they send anything again; here nothing is that may do harm",
    "`locality`: the nearest endpoints first, as far as localities are known",
    "`guard` and, with it, when panic begins: only while more than 40 % of the attempts fail",
)
"""What stays ours in all of them."""


def known(name: str | None) -> str | None:
    """A profile that there is. Raises Refused."""
    if name is not None and name not in PROFILES:
        raise Refused(f"one of {', '.join(PROFILES)}", nearest(name, PROFILES))
    return name


def settings_of(name: Any) -> dict[str, Any]:
    """What a profile sets; nothing, where there is none of that name."""
    return dict(PROFILES[name].settings) if isinstance(name, str) and name in PROFILES else {}


def markdown() -> str:
    """A table of what each sets, and what of theirs is missing here."""
    sets = {name: dict(_flat("", profile.settings)) for name, profile in PROFILES.items()}
    lines = [f"| setting | {' | '.join(f'`{name}`' for name in sets)} |", "|---" * (len(sets) + 1) + "|"]
    for key in sorted({key for each in sets.values() for key in each}):
        lines.append(f"| `{key}` | {' | '.join(each.get(key, '') for each in sets.values())} |")
    missing = [f"- `{name}`: {each}" for name, profile in PROFILES.items() for each in profile.without]
    ours = [f"- in all of them {each}" for each in ALIKE]
    return "\n".join([*lines, "", "What of theirs has no setting here, or stays ours:", "", *missing, *ours, ""])


def _flat(path: str, section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and key != "strategy":
            yield from _flat(f"{path}{key}.", value)
        else:
            yield path + key, f"`{value if isinstance(value, str) else json.dumps(value)}`"
