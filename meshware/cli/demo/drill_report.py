"""From what happened in a drill to figures, and whether they keep to the budgets. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.table import Table

from meshware.cli.demo.drill import VICTIM, Drilled, Phase
from meshware.cli.demo.plan import Kind
from meshware.cli.demo.report import milliseconds, percentile
from meshware.cli.demo.verdict import Budget
from meshware.core import events

EJECTED = {Kind.KILLED.value}
"""Faults for which the endpoint is ejected by the first call; the others it may be avoided for before that comes."""

REACTION = 1.0
"""Seconds after a fault's begin from which the victim's share counts."""


class Limits(NamedTuple):
    """What is asked of a drill: a share, and seconds."""

    errors: float = 0.01
    p99: float = 1.0
    ejected: float = 3.0
    back: float = 8.0
    share: float = 0.15


def figures(found: Drilled) -> dict[str, Any]:
    """The drill as plain data, for --json and the tables."""
    phases = {each.name: each for each in found.phases}
    failing, healed, again = phases["one fails"], phases["healed"], phases["healed again"]
    return {
        "fault": found.fault.value,
        "phases": [phase_figures(found, each) for each in found.phases],
        "victim": {
            "endpoint": VICTIM,
            "ejected_after_s": first(found, events.EndpointEjected, failing.begins, healed.begins),
            "back_after_s": first(found, events.EndpointRestored, healed.begins, phases["all fail"].begins),
            "used_again_after_s": used_again(found, healed),
            "share": share(found, failing.begins + REACTION, failing.ends),
        },
        "circuit": [
            [round(each.at - found.started, 2), type(each).__name__]
            for each in found.events
            if isinstance(each, events.CircuitOpened | events.CircuitClosed)
        ],
        "well_again_after_s": well_again(found, again),
    }


def phase_figures(found: Drilled, phase: Phase) -> dict[str, Any]:
    """What the callers saw of one phase; times are as they were, errors among them."""
    called = [each for each in found.called if phase.begins <= each.at < phase.ends]
    elapsed = sorted(each.elapsed for each in called)
    return {
        "phase": phase.name,
        "seconds": round(phase.ends - phase.begins, 2),
        "calls": len(called),
        "errors": sum(each.error for each in called),
        "p50_ms": milliseconds(percentile(elapsed, 0.5)),
        "p99_ms": milliseconds(percentile(elapsed, 0.99)),
    }


def first(found: Drilled, kind: type[Any], begins: float, ends: float) -> float | None:
    """Seconds from `begins` to the victim's first event of this kind, if it comes before `ends`."""
    for event in found.events:
        at = event.at - found.started
        if isinstance(event, kind) and found.names[event.address] == VICTIM and begins <= at < ends:
            return round(at - begins, 2)
    return None


def used_again(found: Drilled, healed: Phase) -> float | None:
    """Seconds from the end of its fault to the first attempt that goes to the victim; None: none did in this phase."""
    at = (at for at, name in found.attempts if name == VICTIM and healed.begins <= at < healed.ends)
    begun = min(at, default=None)
    return None if begun is None else round(begun - healed.begins, 2)


def share(found: Drilled, begins: float, ends: float) -> float | None:
    """The victim's share of the attempts of that time; None when there were none."""
    whom = [name for at, name in found.attempts if begins <= at < ends]
    return round(whom.count(VICTIM) / len(whom), 3) if whom else None


def well_again(found: Drilled, healed: Phase) -> float:
    """Seconds from the end of the last fault to the last call that was begun and failed; 0.0: none was."""
    failed = [each.at - healed.begins for each in found.called if each.error and each.at >= healed.begins]
    return round(max(failed, default=0.0), 2)


def budgets(drilled: dict[str, Any], limits: Limits) -> list[Budget]:
    """What was asked, and what was found. One that fails otherwise need not be ejected: it is avoided."""
    phases = {each["phase"]: each for each in drilled["phases"]}
    one, victim = phases["one fails"], drilled["victim"]
    asked = [
        Budget("errors while one fails, share", limits.errors, one["errors"] / max(1, one["calls"])),
        Budget("p99 while one fails, s", limits.p99, None if one["p99_ms"] is None else one["p99_ms"] / 1000),
        Budget(f"{VICTIM}'s share of the attempts meanwhile", limits.share, victim["share"] or 0.0),
        Budget("calls fail for so long after all are healed, s", limits.back, drilled["well_again_after_s"]),
    ]
    if drilled["fault"] in EJECTED:
        asked.append(Budget(f"{VICTIM} ejected after, s", limits.ejected, victim["ejected_after_s"]))
    asked.append(Budget(f"{VICTIM} used again after it is healed, s", limits.back, victim["used_again_after_s"]))
    return asked


def shown(drilled: dict[str, Any]) -> Table:
    """What the callers saw, for people."""
    seen = Table(title=f"what the callers saw: {VICTIM} {drilled['fault']}, then all")
    for title in ("phase", "seconds", "calls", "errors", "p50", "p99"):
        seen.add_column(title, justify="left" if title == "phase" else "right")
    for each in drilled["phases"]:
        times = ("-" if each[key] is None else f"{each[key]:,.0f} ms" for key in ("p50_ms", "p99_ms"))
        seen.add_row(each["phase"], f"{each['seconds']:.1f}", str(each["calls"]), str(each["errors"]), *times)
    return seen
