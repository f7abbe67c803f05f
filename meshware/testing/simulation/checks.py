"""What the parts of a scenario must have to do with each other. Each breach is told with its place.

Where a part is wrong in itself, the others are judged all the same, so that everything is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

from meshware.settings.grammar import Refused
from meshware.settings.origin import Location
from meshware.settings.references import nearest
from meshware.settings.shape import plain

if TYPE_CHECKING:
    from meshware.testing.simulation.scenario import Fault, Scenario

OWN = ("strategy", "endpoints", "discovery")
"""Settings that the simulation makes itself."""

MOST = 20_000_000
"""Requests of one scenario: what memory bears."""

NAMES = ("replicas", "locality", "path")
"""What a fault says of other parts of its scenario."""

RATE = frozenset({"duration", "load", "loads", "bursts", "replicas", "operations"})
"""What the number of requests follows from."""


class Breach(NamedTuple):
    """One thing that does not fit, and where."""

    location: Location
    value: Any
    reason: Refused


def checked(data: Any, read: Callable[[Any], Scenario]) -> Scenario:
    """The scenario that data say. Raises ValidationError with all that is wrong in itself, and with every breach."""
    wrong: list[ErrorDetails] = []
    try:
        scenario = read(data)
    except ValidationError as error:
        if not isinstance(data, Mapping):
            raise
        wrong = error.errors(include_url=False)
        scenario = read(_right(plain(data), wrong))
    found = [*map(_again, wrong), *map(_line, _breaches(scenario, _doubtful(wrong, scenario)))]
    if found:
        raise ValidationError.from_exception_data("Scenario", found)
    return scenario


def _right(data: Mapping[Any, Any], wrong: list[ErrorDetails]) -> dict[Any, Any]:
    """What is right of it, and what wrong faults name. Whatever else is the default."""
    places = {each["loc"][:length] for each in wrong for length in (1, 2, 3)}
    right = {key: value for key, value in data.items() if isinstance(key, str) and (key,) not in places}
    if "faults" not in right and isinstance(data.get("faults"), list | tuple):
        numbered = [(fault, ("faults", number)) for number, fault in enumerate(data["faults"])]
        right["faults"] = [_named(*each, places) if each[1] in places else each[0] for each in numbered]
    return right


def _named(fault: Any, place: Location, places: Set[Location]) -> dict[str, Any]:
    """A fault that says no more than what this one does of other parts, as far as that is right."""
    written = plain(fault)
    known = written if isinstance(written, Mapping) else {}
    named = {key: known[key] for key in NAMES if key in known and (*place, key) not in places}
    return {"kind": "slow", "at": 0.0, **named}


def _doubtful(wrong: list[ErrorDetails], scenario: Scenario) -> set[str]:
    """Fields of which nobody knows what they would be, were it written as it was meant."""
    keys = {str(each["loc"][0]) for each in wrong if each["loc"]}
    return {nearest(key, type(scenario).model_fields) or key for key in keys}


def _again(error: ErrorDetails) -> InitErrorDetails:
    return {"type": error["type"], "loc": error["loc"], "input": error["input"], "ctx": error.get("ctx", {})}


def _line(breach: Breach) -> InitErrorDetails:
    return {"type": "value_error", "loc": breach.location, "input": breach.value, "ctx": {"error": breach.reason}}


def _breaches(scenario: Scenario, doubtful: Set[str]) -> Iterator[Breach]:
    yield from _length(scenario, doubtful)
    yield from _weights(scenario)
    yield from _settings(scenario)
    for number, fault in enumerate(scenario.faults):
        for each in _fault(fault, scenario, doubtful):
            yield each._replace(location=("faults", number, *each.location))


def _length(scenario: Scenario, doubtful: Set[str]) -> Iterator[Breach]:
    if scenario.begin >= scenario.duration and doubtful.isdisjoint(("begin", "duration")):
        yield Breach(("begin",), scenario.begin, Refused(f"less than duration, {scenario.duration:g} s"))
    if scenario.requests > MOST and doubtful.isdisjoint(RATE):
        too_many = f"at most {MOST:,} requests, not {scenario.requests:,.0f}: a shorter time, less load or more work"
        yield Breach(("duration",), scenario.duration, Refused(too_many))


def _weights(scenario: Scenario) -> Iterator[Breach]:
    if not any(each.weight > 0 for each in scenario.replicas):
        yield Breach(("replicas", 0, "weight"), 0.0, Refused("more than 0, of some replicas at least"))


def _settings(scenario: Scenario) -> Iterator[Breach]:
    for key in scenario.settings:
        if key.lower() in OWN:
            yield Breach(("settings", key), scenario.settings[key], Refused("the simulation sets this itself"))


def _fault(fault: Fault, scenario: Scenario, doubtful: Set[str]) -> Iterator[Breach]:
    if fault.locality is not None and fault.replicas is not None:
        yield Breach(("locality",), fault.locality, Refused("numbers of replicas or a locality, not both"))
    if "replicas" not in doubtful:
        yield from _numbers(fault, scenario)
        yield from _somewhere(fault, scenario)
    paths = [each.path for each in scenario.operations]
    if fault.path is not None and fault.path not in paths and "operations" not in doubtful:
        yield Breach(("path",), fault.path, _one_of("an operation's path", fault.path, paths))
    if fault.every is not None and fault.every < fault.lasts:
        yield Breach(("every",), fault.every, Refused(f"at least what it lasts, {fault.lasts:g} s"))


def _numbers(fault: Fault, scenario: Scenario) -> Iterator[Breach]:
    size = sum(each.count for each in scenario.replicas)
    for place, number in enumerate(fault.replicas or ()):
        if number >= size:
            yield Breach(("replicas", place), number, Refused(f"a replica from 0 to {size - 1}"))


def _somewhere(fault: Fault, scenario: Scenario) -> Iterator[Breach]:
    places = [each.locality for each in scenario.replicas]
    if fault.locality is not None and not any(f"{each}/".startswith(f"{fault.locality}/") for each in places):
        yield Breach(("locality",), fault.locality, _one_of("where replicas are", fault.locality, places))


def _one_of(what: str, value: str, known: list[str]) -> Refused:
    names = sorted({each for each in known if each})
    return Refused(f"{what} ({', '.join(names) or 'none has any'})", nearest(value, names))
