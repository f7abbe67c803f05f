"""DestinationRules: the policies of a host's services."""

from __future__ import annotations

from typing import Any

from meshware.importing.hosts import Hosts
from meshware.importing.place import Place

STRATEGIES = {
    "ROUND_ROBIN": "round_robin", "LEAST_REQUEST": "least_request", "LEAST_CONN": "least_request", "RANDOM": "random",
    "UNSPECIFIED": None,
}  # fmt: skip
LONGEST_EJECTION = 300.0
"""Envoy's max_ejection_time, unless the first one is longer."""

PARTS = ("loadBalancer", "connectionPool", "outlierDetection", "tls", "retryBudget")


def read_rule(spec: Place, hosts: Hosts) -> None:
    """A DestinationRule: subsets and policies of its host."""
    host = hosts.find(spec["host"])
    if host is None:
        return
    if host.rule is not None:
        spec["host"].left(f"{host.name} has an earlier DestinationRule, which counts")
        return
    host.subsets |= {each["name"].text(): each for each in spec["subsets"]}
    by_port = {each["port.number"].port(): each for each in spec["trafficPolicy.portLevelSettings"]}

    def policy(port: int, subset: str) -> dict[str, Any]:
        """A port's own stands in the place of the host's; of a subset's, each part in the place of that."""
        general = by_port.get(port, spec["trafficPolicy"])
        own = host.subsets[subset]["trafficPolicy"] if subset in host.subsets else general
        return settings({part: own[part] if own[part] else general[part] for part in PARTS})

    host.rule, host.policy = spec, policy


def settings(parts: dict[str, Place]) -> dict[str, Any]:
    """What a traffic policy's parts become."""
    found = _balancing(parts["loadBalancer"]) | _tls(parts["tls"])
    connect = parts["connectionPool"]["tcp.connectTimeout"].seconds()
    if connect is not None:
        found["connect_timeout"] = connect
    if parts["outlierDetection"]:
        found |= _ejection(parts["outlierDetection"])
    budget = parts["retryBudget"]
    ratio, least = budget["percent"].number(), budget["minRetryConcurrency"].number()
    said = {"ratio": None if ratio is None else ratio / 100, "minimum": None if least is None else float(least)}
    paid = {key: value for key, value in said.items() if value is not None}
    return found | ({"retry": {"budget": paid}} if paid else {})


def _balancing(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {}
    simple = place["simple"].text()
    if simple and simple not in STRATEGIES:
        place["simple"].left(f"one of {', '.join(STRATEGIES)}")
    strategy = STRATEGIES.get(simple) or _hashing(place["consistentHash"])
    warm = place["warmupDurationSecs"].seconds() or place["warmup.duration"].seconds()
    if strategy:
        found["strategy"] = strategy
    if warm:
        found["slow_start"] = warm
    if place["localityLbSetting.enabled"].value is False:
        found["locality"] = {"mode": "off"}
    return found


def _hashing(place: Place) -> dict[str, Any] | None:
    keys = {
        "header": place["httpHeaderName"].text(),
        "cookie": place["httpCookie.name"].text(),
        "query": place["httpQueryParameterName"].text(),
    }
    key = {kind: name for kind, name in keys.items() if name}
    if not key:
        return None
    if place["maglev"]:
        size = place["maglev.tableSize"].whole()
        return {"maglev": {"key": key, **({"table_size": size} if size else {})}}
    size = place["ringHash.minimumRingSize"].whole() or place["minimumRingSize"].whole()
    return {"ring_hash": {"key": key, **({"minimum_ring_size": size} if size else {})}}


def _ejection(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"enabled": True}
    row = place["consecutive5xxErrors"]
    if row and row.whole() > 0:
        found |= {"consecutive": row.whole(), "refused": row.whole(), "connect_timeouts": row.whole()}
    elif row:
        row.left("a row of failures ejects in any case; `ejection: {enabled: false}` turns all of it off")
    local = place["consecutiveLocalOriginFailures"].whole()
    if local:
        found |= {"refused": local, "connect_timeouts": local}
    base = place["baseEjectionTime"].seconds()
    if base:
        found |= {"base": base, "cap": max(LONGEST_EJECTION, base)}
    most = place["maxEjectionPercent"].number()
    if most is not None:
        found["max_share"] = most / 100
    least = place["minHealthPercent"].number()
    return {"ejection": found} | ({} if least is None else {"panic": least / 100})


def _tls(place: Place) -> dict[str, Any]:
    mode = place["mode"].text()
    if mode in ("SIMPLE", "MUTUAL"):
        place["mode"].left("call `https://`: it is the client that makes the connection, and here it is yours")
        sni = place["sni"].text()
        return {"tls": {"server_name": sni} if sni else {}}
    if mode not in ("", "DISABLE"):
        place["mode"].left("the mesh's own certificates: name some in `tls`")
    return {}
