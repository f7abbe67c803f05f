"""Rules: what an HTTP rule of Istio or of the Gateway API says, and the routes of ours that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from meshware.importing.hosts import Host
from meshware.importing.place import Place
from meshware.settings.grammar import LONGEST
from meshware.settings.references import CONDITIONS

MOST = 10
"""Attempts that a call may have."""

UNMATCHED = 404
"""What a call gets for which there are rules, and none is for it."""

WHOLE = "this alternative is left out as a whole: without the condition it would be for other calls too"
ELSEWHERE = "this rule is left out as a whole: its calls would go elsewhere"


@dataclass(frozen=True, slots=True)
class Match:
    """What one alternative of a rule asks for: of a `match` of ours, but for the service. `port` 0: any."""

    place: Place
    said: dict[str, Any]
    port: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rule sends its calls."""

    host: Host
    port: int
    subset: str
    weight: float

    def called(self, asked: int) -> str:
        """Its name, of a call of this port."""
        return self.host.called(self.host.port(self.port, asked), self.subset)


@dataclass(slots=True)
class Rule:
    """One rule: its alternatives, what it does with the calls, and where they go."""

    place: Place
    name: str
    matches: list[Match]
    actions: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    """Another path: in the place of a matched prefix, else of the whole path."""
    whole: bool = False
    """Whether that is the whole path in any case."""
    targets: list[Target] = field(default_factory=list)
    mirrors: list[Target] = field(default_factory=list)
    """Where copies go; the weight is of a hundred calls."""


Made = tuple[dict[str, Any], Place]


def routes(host: Host, port: int, rules: list[Rule]) -> Iterator[Made]:
    """The routes of the calls of a host's port, and what each was made of; at the end that there are no others."""
    service, all_caught = host.called(port), False
    for rule in rules:
        for number, match in enumerate(rule.matches):
            if match.port not in (0, port):
                continue
            name = f"{rule.name}-{number + 1}" if len(rule.matches) > 1 else rule.name
            all_caught = all_caught or match.said in ({}, {"path": {"prefix": "/"}})
            yield _route(service, port, rule, match, name[:64]), match.place
    if not all_caught:
        yield {"match": {"service": service}, "respond": {"status": UNMATCHED}}, host.place


def _route(service: str, asked: int, rule: Rule, match: Match, name: str) -> dict[str, Any]:
    said = {"service": service, **match.said}
    made = {"name": name, "match": said, **rule.actions}
    if rule.path is not None:
        made["rewrite"] = _path(rule.path, said, rule.whole) | rule.actions.get("rewrite", {})
    weights: dict[str, float] = {}
    for to in rule.targets:
        each = to.called(asked)
        weights[each] = weights.get(each, 0) + to.weight
    if weights and list(weights) != [service]:
        made["split"] = weights
    mirrors = [{"service": to.called(asked), "percentage": to.weight} for to in rule.mirrors if to.weight]
    if mirrors:
        made["mirror"] = mirrors
    return made


def _path(path: str, match: dict[str, Any], whole: bool) -> dict[str, Any]:
    """By what stands for the matched beginning, or for all of it; where nothing is asked of the path, for its slash."""
    asked = match.setdefault("path", {"prefix": "/"})
    by_prefix = not whole and ("prefix" in asked or "separated_prefix" in asked)
    return {"prefix" if by_prefix else "template": path}


# What rules of both kinds say


def span(place: Place) -> dict[str, Any]:
    """A timeout; 0 is none."""
    seconds = place.seconds()
    return {} if seconds is None else {"timeout": seconds or LONGEST}


def attempts(place: Place) -> dict[str, Any]:
    """So many retries are one more attempt."""
    if not place:
        return {}
    retries = place.whole()
    if retries >= MOST:
        place.left(f"{MOST} attempts at most")
    return {"attempts": min(max(retries, 0) + 1, MOST)}


def back_off(place: Place) -> dict[str, Any]:
    """As in Envoy the longest is ten times the first."""
    base = place.seconds()
    return {"base": base, "cap": 10 * base} if base else {}


WORDS = {"refused-stream": "reset-before-request", "retriable-4xx": "409"}


def conditions(place: Place) -> dict[str, Any]:
    """Envoy's conditions, and statuses among them."""
    on, statuses = [], []
    for word in filter(None, (each.strip() for each in place.text().split(","))):
        known = WORDS.get(word, word)
        if known.isdecimal():
            statuses.append(int(known))
        elif known in CONDITIONS and known != "retriable-headers":
            on.append(known)
        else:
            place.left(f"no condition {word}")
    if statuses and "retriable-status-codes" not in on:
        on.append("retriable-status-codes")
    elif not statuses and "retriable-status-codes" in on:
        on.remove("retriable-status-codes")  # it names none
    return ({"on": list(dict.fromkeys(on))} if place else {}) | ({"statuses": statuses} if statuses else {})


def edits(place: Place) -> tuple[dict[str, Any], str]:
    """What becomes of headers, and the Host header that is among them."""
    host = ""
    found: dict[str, Any] = {}
    for how in ("set", "add"):
        values = dict(_named(place[how]))
        host = host or next((each.text() for name, each in values.items() if name.lower() in AUTHORITY), "")
        for name, each in values.items():
            if "%" in each.text():
                each.left("`%...%` is not replaced by anything")
            elif not name.startswith(":") and name.lower() != "host":
                found.setdefault(how, {})[name] = each.text()
    removed = [each.text() for each in place["remove"]]
    return found | ({"remove": removed} if removed else {}), host


AUTHORITY = (":authority", "host")


def _named(place: Place) -> Iterator[tuple[str, Place]]:
    """Headers by their names: Istio has a section of them, the Gateway API a list."""
    if isinstance(place.value, list):
        yield from ((each["name"].text(), each["value"]) for each in place)
    else:
        yield from place.items()
