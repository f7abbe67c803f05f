"""What the parts of a scenario must have to do with each other. Each breach is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from meshware.settings.grammar import Refused
from meshware.settings.origin import Location
from meshware.settings.references import nearest

if TYPE_CHECKING:
    from meshware.testing.simulation.scenario import Fault, Scenario

OWN = ("strategy", "endpoints", "discovery")
"""Settings that the simulation makes itself."""

MOST = 20_000_000
"""Requests of one scenario: what memory bears."""


class Breach(NamedTuple):
    """One thing that does not fit, and where."""

    location: Location
    value: Any
    reason: Refused


def check(scenario: Scenario) -> None:
    """Raises ValidationError with every breach."""
    found = [*_length(scenario), *_settings(scenario)]
    for number, fault in enumerate(scenario.faults):
        found += [each._replace(location=("faults", number, *each.location)) for each in _fault(fault, scenario)]
    if found:
        raise ValidationError.from_exception_data("Scenario", [_line(each) for each in found])


def _line(breach: Breach) -> InitErrorDetails:
    return {"type": "value_error", "loc": breach.location, "input": breach.value, "ctx": {"error": breach.reason}}


def _length(scenario: Scenario) -> Iterator[Breach]:
    if scenario.begin >= scenario.duration:
        yield Breach(("begin",), scenario.begin, Refused(f"less than duration, {scenario.duration:g} s"))
    if scenario.requests > MOST:
        too_many = f"at most {MOST:,} requests, not {scenario.requests:,.0f}: a shorter time, less load or more work"
        yield Breach(("duration",), scenario.duration, Refused(too_many))


def _settings(scenario: Scenario) -> Iterator[Breach]:
    for key in scenario.settings:
        if key.lower() in OWN:
            yield Breach(("settings", key), scenario.settings[key], Refused("the simulation sets this itself"))


def _fault(fault: Fault, scenario: Scenario) -> Iterator[Breach]:
    size = sum(each.count for each in scenario.replicas)
    for place, number in enumerate(fault.replicas or ()):
        if number >= size:
            yield Breach(("replicas", place), number, Refused(f"a replica from 0 to {size - 1}"))
    if fault.locality is not None:
        yield from _somewhere(fault.locality, fault, scenario)
    paths = [each.path for each in scenario.operations]
    if fault.path is not None and fault.path not in paths:
        yield Breach(("path",), fault.path, _one_of("an operation's path", fault.path, paths))
    if fault.every is not None and fault.every < fault.lasts:
        yield Breach(("every",), fault.every, Refused(f"at least what it lasts, {fault.lasts:g} s"))


def _somewhere(locality: str, fault: Fault, scenario: Scenario) -> Iterator[Breach]:
    if fault.replicas is not None:
        yield Breach(("locality",), locality, Refused("numbers of replicas or a locality, not both"))
    places = [each.locality for each in scenario.replicas]
    if not any(f"{each}/".startswith(f"{locality}/") for each in places):
        yield Breach(("locality",), locality, _one_of("where replicas are", locality, places))


def _one_of(what: str, value: str, known: list[str]) -> Refused:
    names = sorted({each for each in known if each})
    return Refused(f"{what} ({', '.join(names) or 'none has any'})", nearest(value, names))
