"""What a picture of a scenario shows besides lines: times at which something is wrong, and which replica is which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from meshware.core.endpoint import Locality
from meshware.testing.simulation.scenario import Fault, Replicas, Scenario

# Told apart by the colour-blind, too (Okabe and Ito 2008).
GREY, DARK, BLUE, SKY, GREEN = "#8c8c8c", "#4d4d4d", "#0072B2", "#56B4E9", "#009E73"
VERMILION, PURPLE, ORANGE, YELLOW = "#D55E00", "#CC79A7", "#E69F00", "#F0E442"

GROUPS = (SKY, BLUE, GREEN, GREY, DARK)
STRUCK = (VERMILION, PURPLE, ORANGE)


class Span(NamedTuple):
    """A time at which something is different, and what."""

    start: float
    end: float
    label: str


class Look(NamedTuple):
    """How a replica's line is drawn, and what the legend says of it."""

    colour: str
    label: str
    struck: bool = False


def spans(scenario: Scenario) -> Iterator[Span]:
    """The faults, and the times of more load than else, within the scenario's."""
    for fault in scenario.faults:
        for at in _times(fault.at, fault.every, scenario.duration):
            yield Span(at, min(at + fault.lasts, scenario.duration), named(fault))
    ends = [*(each.at for each in scenario.loads[1:]), scenario.duration]
    for load, end in zip(scenario.loads, ends, strict=False):
        if load.load > scenario.load:
            yield Span(load.at, end, f"load {load.load:g}")
    if scenario.bursts is not None:
        for at in _times(0.0, scenario.bursts.every, scenario.duration):
            yield Span(at, min(at + scenario.bursts.lasts, scenario.duration), f"load {scenario.bursts.load:g}")


def looks(scenario: Scenario) -> list[Look]:
    """One for each replica: those that some fault strikes stand out, the others go by what they are."""
    members = list(scenario.members())
    found = [_plain(each, scenario) for each in members]
    for place, fault in enumerate(scenario.faults):
        struck = [n for n, each in enumerate(members) if fault.strikes(n, Locality.parse(each.locality))]
        for number in struck if len(struck) < len(members) else ():
            found[number] = Look(STRUCK[place % len(STRUCK)], f"struck ({named(fault)})", struck=True)
    return found


def named(fault: Fault) -> str:
    """In a word or two."""
    if fault.kind == "slow":
        return f"slow {fault.factor:g}x" + (f" at {fault.path}" if fault.path else "")
    return f"{fault.kind} {fault.rate:.0%}" if fault.kind in ("fail", "gray") else fault.kind


def _times(first: float, every: float | None, end: float) -> Iterator[float]:
    at = first
    while at < end:
        yield at
        at += every or end


def _plain(member: Replicas, scenario: Scenario) -> Look:
    """By the group it is in, named by what tells the groups apart."""
    groups = list(dict.fromkeys(scenario.replicas))
    words = {
        "speed": f"speed {member.speed:g}",
        "slots": f"{member.slots} slots",
        "locality": member.locality or "nowhere",
        "weight": f"weight {member.weight:g}",
    }
    told = [word for field, word in words.items() if len({getattr(each, field) for each in groups}) > 1]
    label = f"replicas ({', '.join(told)})" if told else "replicas"
    return Look(GROUPS[groups.index(member) % len(GROUPS)] if told else GREY, label)
