"""VirtualServices: the rules of the calls of their hosts, as Istio translates them to Envoy (pilot's route.go)."""

from __future__ import annotations

import re
from typing import Any

from meshware.importing.hosts import Host, Hosts
from meshware.importing.place import Place
from meshware.importing.rules import (
    ELSEWHERE,
    WHOLE,
    Match,
    Rule,
    Target,
    attempts,
    back_off,
    conditions,
    edits,
    span,
)

MESH = "mesh"
"""The gateway that stands for all calls between services."""

SAYABLE = {"uri", "ignoreUriCase", "method", "headers", "withoutHeaders", "queryParams", "port"}
"""Conditions that a match of ours can have."""

NOTHING = {"name", "statPrefix", "gateways"}
"""What stands beside them and asks for nothing, or was asked already."""

ANSWERED = ("route", "rewrite", "timeout", "retries", "fault", "mirror", "mirrors")
"""What goes with no answer of its own."""

_METHODS = re.compile(r"\^?\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$?")


def read_rules(spec: Place, hosts: Hosts) -> tuple[list[Host], list[Rule]]:
    """The hosts of a VirtualService, and its rules in their order."""
    gateways = [each.text() for each in spec["gateways"]]
    if gateways and MESH not in gateways:
        spec["gateways"].left("of gateways: routes here are for calls between services")
        return [], []
    found = [host for each in spec["hosts"] if (host := hosts.find(each)) is not None]
    rules = [_rule(each, number, hosts) for number, each in enumerate(spec["http"])]
    return found, [each for each in rules if each is not None]


def _rule(place: Place, number: int, hosts: Hosts) -> Rule | None:
    name = place["name"].text() or f"{place.document.name}-{number + 1}"
    matches = [each for one in place["match"] if (each := _match(one)) is not None]
    rule = Rule(place, name, matches if place["match"] else [Match(place, {})])
    if place["redirect"] or place["delegate"]:
        place.left(ELSEWHERE)
        return None
    if place["directResponse"]:
        for key in ANSWERED:
            if place[key]:
                place[key].left("it does not go with `directResponse`")
        rule.actions["respond"] = _answer(place)
        return rule
    rule.targets, rule.mirrors = _targets(place, hosts), _mirrors(place, hosts)
    rule.actions = _actions(place)
    rewrite = place["rewrite.uri"].text()
    rule.path = rewrite or None
    return rule


def _targets(place: Place, hosts: Hosts) -> list[Target]:
    listed = list(place["route"])
    found = []
    for each in listed:
        weight = each["weight"].whole()
        if len(listed) == 1 or weight:
            found += _target(each["destination"], weight or 1, hosts)
    if not found:
        place["route"].refuse("at least one destination whose weight is not 0")
    return found


def _mirrors(place: Place, hosts: Hosts) -> list[Target]:
    """Istio looks at the first of these that is there; nothing said of a share is all."""
    listed = [(each["destination"], each["percentage.value"]) for each in place["mirrors"]]
    if not listed and place["mirror"]:
        shares = [place[key] for key in ("mirrorPercentage.value", "mirrorPercent", "mirror_percent")]
        listed = [(place["mirror"], next(filter(None, shares), shares[0]))]
    return [target for to, share in listed for target in _target(to, 100 if not share else share.number() or 0, hosts)]


def _target(destination: Place, weight: float, hosts: Hosts) -> list[Target]:
    """None where its host is none."""
    host = hosts.find(destination["host"])
    if host is None:
        return []
    port, subset = destination["port.number"].port(), destination["subset"]
    if subset.text() and subset.text() not in host.subsets:
        subset.refuse(f"a subset of {host.name}: no DestinationRule among these files has it")
    hosts.mention(host, port, subset.text(), destination)
    return [Target(host, port, subset.text(), weight)]


def _actions(place: Place) -> dict[str, Any]:
    found = span(place["timeout"])
    said = [place["headers"], *(_own_headers(place))]
    request, host = _merged([each["request"] for each in said])
    response, _ = _merged([each["response"] for each in said])
    rewrite = _rewrite(place["rewrite"], host)
    retry = place["retries"]
    again = attempts(retry["attempts"]) | conditions(retry["retryOn"]) | back_off(retry["backoff"])
    parts = {
        "request_headers": request,
        "response_headers": response,
        "rewrite": rewrite,
        "retry": False if again.get("attempts") == 1 else again,
        "faults": _faults(place["fault"]),
    }
    return found | {key: value for key, value in parts.items() if value or value is False}


def _own_headers(place: Place) -> list[Place]:
    """Those of the one destination; of several each would have its own."""
    own = [each["headers"] for each in place["route"] if each["headers"]]
    if own and len(list(place["route"])) > 1:
        for each in own:
            each.left("of a rule as a whole, or of its only destination")
        return []
    return own


def _merged(places: list[Place]) -> tuple[dict[str, Any], str]:
    """The later of several changes stand above the earlier."""
    found: dict[str, Any] = {}
    host = ""
    for place in places:
        said, authority = edits(place)
        host = host or authority
        for how, values in said.items():
            found[how] = found.get(how, []) + values if how == "remove" else found.get(how, {}) | values
    return found, host


def _rewrite(place: Place, host: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    authority = place["authority"].text() or host
    if authority:
        found["host"] = authority
    pattern = place["uriRegexRewrite.match"].text()
    if pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$"):
        found["regex"] = {"pattern": pattern, "to": place["uriRegexRewrite.rewrite"].text()}
    elif pattern:
        place["uriRegexRewrite"].left(
            "a pattern from ^ to $: Envoy replaces all that it finds, here it is the whole path"
        )
    return found


def _answer(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"status": place["directResponse.status"].whole()}
    body = place["directResponse.body.string"].text()
    if body:
        found["body"] = body
    response, _ = edits(place["headers.response"])
    headers = response.get("set", {}) | response.get("add", {})
    return found | ({"headers": headers} if headers else {})


def _faults(place: Place) -> list[dict[str, Any]]:
    """Where nothing is said of a share, it befalls nobody."""
    found = []
    for kind, what in (("delay", place["delay.fixedDelay"].seconds()), ("abort", place["abort.httpStatus"].whole())):
        share = place[kind]["percentage.value"].number() or place[kind]["percent"].number() or 0
        if what and share:
            found.append({kind: what, "percentage": share})
    return found


# Which calls


def _match(place: Place) -> Match | None:
    """One alternative; None where it asks for what no match of ours can, which is told."""
    gateways = [each.text() for each in place["gateways"]]
    if gateways and MESH not in gateways:
        place["gateways"].left("of gateways: routes here are for calls between services")
        return None
    found: dict[str, Any] = {}
    if place["uri"]:
        found["path"] = _text(place["uri"])
        if place["ignoreUriCase"].value and "regex" not in found["path"]:
            found["path"]["ignore_case"] = True
    headers = {name.lower(): _text(each) for name, each in place["headers"].items()}
    without = {name.lower(): _text(each) for name, each in place["withoutHeaders"].items()}
    methods, query = _methods(place["method"]), {name: _text(each) for name, each in place["queryParams"].items()}
    unsayable = (
        {key for key, _ in place.items()} - SAYABLE - NOTHING
        or headers.keys() & without.keys()
        or any(name.startswith(("@", ":")) for name in (*headers, *without))
        or any(not text for text in (*found.values(), *headers.values(), *without.values(), *query.values()))
    )
    if unsayable or methods == []:
        place.left(WHOLE)
        return None
    headers |= {name: _inverted(each) for name, each in without.items()}
    parts = {"methods": methods, "headers": headers, "query": query}
    return Match(place, found | {key: value for key, value in parts.items() if value}, place["port"].port())


def _text(place: Place) -> dict[str, Any]:
    """`{}` and the regex `*` are for any value; nothing comes of what is not known."""
    for kind in ("exact", "prefix", "regex"):
        if place[kind]:
            said = place[kind].text()
            return {"present": True} if (kind, said) == ("regex", "*") else {kind: said}
    return {} if place.value else {"present": True}


def _inverted(text: dict[str, Any]) -> dict[str, Any]:
    return text | {"invert": True} | ({} if "present" in text else {"missing_as_empty": True})


def _methods(place: Place) -> list[str] | None:
    """None: any; an empty list: not to be said."""
    if not place:
        return None
    if place["exact"]:
        return [place["exact"].text()]
    found = _METHODS.fullmatch(place["regex"].text())
    return found[1].split("|") if found else []
