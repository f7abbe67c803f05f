"""What every breaker must keep to: admission before, outcome after, and a way back from open."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from meshware.core.outcome import Verdict

MANY = 1000
"""Failures in a row, over 100 s, after which every breaker is open; and leases that none gives for trials."""

SLOWEST = 0.02
"""Seconds that even the fastest of many admissions took: then something blocks."""


def check_breaker(make: Callable[[], Any]) -> None:
    """Raise AssertionError unless what `make()` gives, a new breaker each time, is fit for use.

    It must let calls through when new, open when all fail, say until when, give a few leases for trials then and take
    them back, close when trials succeed and stay open when they fail. Cancelled calls and late ones of before it
    opened must change nothing. `now` is moved by the check: the breaker must read no clock of its own, nor sleep.
    """
    for check in (_nothing_said, _opens, _trial_given_back, _closes, _stays_open, _late):
        check(make())


def _nothing_said(breaker: Any) -> None:
    """Calls that say nothing leave it closed; asking it is cheap."""
    fastest = float("inf")
    for number in range(MANY):
        began = time.perf_counter()
        lease = breaker.admit(0.1 * number)
        fastest = min(fastest, time.perf_counter() - began)
        assert lease is not None, "one that is new, or told of nothing but cancelled calls, refuses a call"
        assert not lease.trial, "a trial, though it is closed"
        breaker.release(lease, 0.1 * number)
        assert breaker.until(0.1 * number) is None, "until() is not None, though it is closed"
    assert fastest < SLOWEST, f"admit takes {fastest:.3f} s: it must not block"


def _opens(breaker: Any) -> None:
    now = _opened(breaker)
    assert breaker.until(now) >= now, "until() of an open one is in the past"
    assert breaker.admit(now) is None, "it admits a call although it is open"


def _trial_given_back(breaker: Any) -> None:
    trials, now = _trials(breaker, breaker.until(_opened(breaker)))
    for lease in trials:
        breaker.release(lease, now)
    assert breaker.admit(now) is not None, "a trial that was given back cannot be had again"


def _closes(breaker: Any) -> None:
    assert _healed(breaker, _opened(breaker)) is not None, f"after {MANY} trials that succeeded it is still open"


def _stays_open(breaker: Any) -> None:
    lease, now = _trial(breaker, breaker.until(_opened(breaker)))
    breaker.record(lease, Verdict.FAILURE, now)
    until = breaker.until(now)
    assert until is not None, "it is closed after a trial that failed"
    assert until > now, "after a trial that failed it may be tried again at once"


def _late(breaker: Any) -> None:
    """Calls of before it opened that end when it is closed again."""
    old = [breaker.admit(0.0) for _ in range(MANY)]
    now = _healed(breaker, _opened(breaker))
    assert now is not None
    for lease in old:
        breaker.record(lease, Verdict.FAILURE, now)
    assert breaker.until(now) is None, "failures of calls that began before it opened have opened it again"


def _opened(breaker: Any) -> float:
    """Fail until it is open; the time then."""
    for number in range(MANY):
        now = 0.1 * number
        lease = breaker.admit(now)
        if lease is not None:
            breaker.record(lease, Verdict.FAILURE, now)
        if breaker.until(now) is not None:
            return now
    raise AssertionError(f"{MANY} failures in a row, over {0.1 * MANY:.0f} s, do not open it")


def _trial(breaker: Any, until: float) -> tuple[Any, float]:
    now = max(until, 0.0) + 0.001
    lease = breaker.admit(now)
    assert lease is not None, f"no trial at {now:.3f}, though until() said {until:.3f}"
    assert lease.trial, "the first call after it opened is no trial"
    return lease, now


def _trials(breaker: Any, until: float) -> tuple[list[Any], float]:
    """All the trials that it gives at once."""
    lease, now = _trial(breaker, until)
    leases = [lease]
    while len(leases) < MANY and (lease := breaker.admit(now)) is not None:
        leases.append(lease)
    assert len(leases) < MANY, "it gives any number of trials at once"
    return leases, now


def _healed(breaker: Any, now: float) -> float | None:
    """Let trials succeed until it is closed; the time then, or None."""
    for _ in range(MANY):
        until = breaker.until(now)
        if until is None:
            return now
        now = max(now, until) + 0.001
        lease = breaker.admit(now)
        if lease is not None:
            breaker.record(lease, Verdict.SUCCESS, now)
            if hasattr(breaker, "body"):
                breaker.body(lease, False, now)
    return None
