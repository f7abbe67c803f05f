"""HTTPRoutes of the Gateway API whose parents are Services (GEP-1426): rules by precedence, not by order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from meshware.importing.hosts import Host, Hosts
from meshware.importing.place import Place
from meshware.importing.rules import ELSEWHERE, WHOLE, Match, Rule, Target, attempts, back_off, edits, span

NO_BACKEND = 500
"""What a rule answers that leads nowhere."""

SAYABLE = {"path", "headers", "queryParams", "method"}
"""Conditions that a match of ours can have."""


def read_route(spec: Place, hosts: Hosts) -> tuple[list[tuple[Host, int]], list[Rule]]:
    """The Services whose calls an HTTPRoute is for, each with its port (0: all), and its rules."""
    found = []
    for parent in spec["parentRefs"]:
        if parent["kind"].text("Gateway") != "Service":
            parent.left("of gateways: routes here are for calls between services")
            continue
        host = _host(parent, hosts)
        hosts.mention(host, parent["port"].port(), "", parent)
        found.append((host, parent["port"].port()))
    rules = [_rule(each, number, hosts) for number, each in enumerate(spec["rules"])]
    return found, [each for each in rules if each is not None] if found else []


def by_precedence(rules: list[Rule]) -> list[Rule]:
    """Each alternative by itself: exact paths, longer ones, with a method, with more headers, with more parameters."""
    alone = [
        replace(rule, name=f"{rule.name}-{number + 1}" if len(rule.matches) > 1 else rule.name, matches=[match])
        for rule in rules
        for number, match in enumerate(rule.matches)
    ]
    return sorted(alone, key=lambda rule: _rank(rule.matches[0].said), reverse=True)  # stable: else as they stand


def _rank(said: dict[str, Any]) -> tuple[int, ...]:
    ((kind, path),) = said["path"].items()
    exact = {"exact": 2, "regex": 0}.get(kind, 1)
    return exact, len(path), "methods" in said, len(said.get("headers", ())), len(said.get("query", ()))


def _host(place: Place, hosts: Hosts) -> Host:
    return hosts.service(place["name"], place["namespace"].text())


def _rule(place: Place, number: int, hosts: Hosts) -> Rule | None:
    name = place["name"].text() or f"{place.document.name}-{number + 1}"
    matches = [each for one in place["matches"] if (each := _match(one)) is not None]
    rule = Rule(place, name, matches if place["matches"] else [Match(place, {"path": {"prefix": "/"}})])
    filters = {each["type"].text(): each for each in place["filters"]}
    if "RequestRedirect" in filters:
        place.left(ELSEWHERE)
        return None
    rule.targets = _targets(place["backendRefs"], hosts)
    if not rule.targets:
        rule.actions = {"respond": {"status": NO_BACKEND}}
        return rule
    retry = place["retry"]
    codes = [each.whole() for each in retry["codes"]]
    again = attempts(retry["attempts"]) | back_off(retry["backoff"])
    again |= {"on": ["connect-failure", "reset", "retriable-status-codes"], "statuses": codes} if codes else {}
    rule.mirrors = list(_mirrors(place, hosts))
    rule.actions = span(place["timeouts.request"])
    nothing = Place(place.document, place.path, None)
    request, host = edits(filters.get("RequestHeaderModifier", nothing)["requestHeaderModifier"])
    response, _ = edits(filters.get("ResponseHeaderModifier", nothing)["responseHeaderModifier"])
    rewrite = filters.get("URLRewrite", nothing)["urlRewrite"]
    host = rewrite["hostname"].text() or host
    parts = {
        "request_headers": request,
        "response_headers": response,
        "rewrite": {"host": host} if host else {},
        "retry": False if again.get("attempts") == 1 else again,
    }
    rule.actions |= {key: value for key, value in parts.items() if value or value is False}
    rule.whole = rewrite["path.type"].one_of("ReplacePrefixMatch", "ReplaceFullPath") == "ReplaceFullPath"
    rule.path = rewrite["path.replaceFullPath" if rule.whole else "path.replacePrefixMatch"].text() or None
    return rule


def _targets(backends: Iterable[Place], hosts: Hosts) -> list[Target]:
    found = []
    for each in backends:
        weight = each["weight"].whole(1)
        if each["kind"].text("Service") != "Service" or weight == 0:
            if weight:
                each.left("a `Service`")
            continue
        host, port = _host(each, hosts), each["port"].port()
        hosts.mention(host, port, "", each)
        found.append(Target(host, port, "", weight))
    return found


def _mirrors(place: Place, hosts: Hosts) -> Iterator[Target]:
    for each in place["filters"]:
        mirror = each["requestMirror"]
        if mirror and each["type"].text() == "RequestMirror":
            share = _share(mirror["fraction"]) if mirror["fraction"] else mirror["percent"].whole(100)
            yield from (replace(to, weight=share) for to in _targets([mirror["backendRef"]], hosts))


def _share(fraction: Place) -> float:
    """In percent."""
    among = fraction["denominator"].whole(100)
    if among < 1:
        fraction["denominator"].refuse("a number from 1")
        return 0.0
    return 100 * fraction["numerator"].whole() / among


def _match(place: Place) -> Match | None:
    if {key for key, _ in place.items()} - SAYABLE:
        place.left(WHOLE)
        return None
    found: dict[str, Any] = {"path": _path(place["path"])}
    if place["method"]:
        found["methods"] = [place["method"].text()]
    for key, listed in (("headers", place["headers"]), ("query", place["queryParams"])):
        said = {each["name"].text(): _text(each) for each in listed}
        if said:
            found[key] = said
    return Match(place, found)


def _path(place: Place) -> dict[str, str]:
    kind, value = place["type"].one_of("PathPrefix", "Exact", "RegularExpression"), place["value"].text("/")
    if kind == "PathPrefix":
        bare = value.rstrip("/")
        return {"separated_prefix": bare} if bare else {"prefix": "/"}
    return {"exact" if kind == "Exact" else "regex": value}


def _text(place: Place) -> dict[str, str]:
    kind = "exact" if place["type"].one_of("Exact", "RegularExpression") == "Exact" else "regex"
    return {kind: place["value"].text()}
