"""What other settings would change: each thing by its path, with its old and its new value, and in words."""

from __future__ import annotations

import json

import pytest

from meshware.settings.changes import changes, in_words
from meshware.settings.load import load

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
OLD = {
    "service": "shop",
    "defaults": {"timeout": 3.0},
    "services": {"inventory": {"endpoints": [A, {"address": B, "weight": 2}]}, "pricing": {"endpoints": [C]}},
}


def changed(**top):
    """OLD with other settings at the top."""
    return json.loads(json.dumps(OLD)) | top


def inventory(**settings):
    """OLD with other settings of one service."""
    made = json.loads(json.dumps(OLD))
    made["services"]["inventory"] |= settings
    return made


def words(old, new):
    return in_words(changes(load(old), load(new)))


def routed(*routes):
    return changed(routes=[{"match": {"service": "inventory"}, **each} for each in routes])


SLOW = {"name": "slow", "match": {"service": "inventory", "path": "/slow"}}
REST = {"match": {"service": "pricing"}, "timeout": 1.0}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (routed(SLOW, REST), []),
        (routed(SLOW | {"strategy": "random"}, REST), ["routes.slow.strategy: none -> random"]),
        (routed(SLOW | {"limits": {"in_flight": 5}}, REST), ['routes.slow.limits: none -> {"in_flight": 5}']),
        (routed(SLOW | {"fallback": False}, REST), ["routes.slow.fallback: none -> off"]),
        (routed(SLOW, REST | {"timeout": 2.0}), ["routes[1].timeout: 1.0 -> 2.0"]),
        (routed(SLOW), ["routes: routes[1] removed"]),
        (routed(SLOW, {"name": "rest"}), ["routes: routes[1] removed", "routes: rest added"]),
        (routed(REST, SLOW), ["routes: routes[1] removed", "routes: routes[0] added"]),
    ],
)  # fmt: skip
def test_what_changes_of_routes_is_told_route_by_route(new, expected):
    assert words(routed(SLOW, REST), new) == expected


def test_another_order_of_routes_is_a_change():
    other = {"name": "other", "match": {"service": "pricing"}}
    assert words(routed(SLOW, other), routed(other, SLOW)) == ["routes: slow, other -> other, slow"]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (changed(), []),
        (changed(service="till"), ["service: shop -> till"]),
        (changed(request_timeout=2), ["request_timeout: none -> 2.0"]),
        (changed(board={"enabled": False}), ["board.enabled: true -> false"]),
        (changed(trusted_peers=["10.0.0.0/8"]), ["trusted_peers: none -> 10.0.0.0/8"]),
        (inventory(timeout=1), ["services.inventory.timeout: 3.0 -> 1.0"]),
        (inventory(retry={"budget": {"ratio": 0.1}}), ["services.inventory.retry.budget.ratio: 0.2 -> 0.1"]),
        (inventory(strategy="random"), ["services.inventory.strategy: adaptive -> random"]),
        (
            inventory(strategy={"peak_ewma": {"tau": 5}}),
            ['services.inventory.strategy: adaptive -> peak_ewma {"tau": 5}'],
        ),
        (
            inventory(endpoints=[{"address": B, "weight": 3}, C]),
            [
                f"services.inventory.endpoints: {A} removed",
                f"services.inventory.endpoints.{B}.weight: 2.0 -> 3.0",
                f"services.inventory.endpoints: {C} added",
            ],
        ),
        (
            changed(services={"inventory": OLD["services"]["inventory"], "billing": {"endpoints": [A]}}),
            ["services: pricing removed", "services: billing added"],
        ),
        (
            changed(defaults={"timeout": 2.0}),
            ["services.inventory.timeout: 3.0 -> 2.0", "services.pricing.timeout: 3.0 -> 2.0"],
        ),
    ],
)  # fmt: skip
def test_each_change_has_its_path_and_both_values(new, expected):
    assert words(OLD, new) == expected


def test_a_section_that_comes_or_goes_is_one_change():
    with_check = inventory(health_check="tcp")
    (line,) = words(OLD, with_check)
    assert line.startswith("services.inventory.health_check: none -> {")
    (line,) = words(with_check, OLD)
    assert line.endswith(" -> none")
    assert len(line) < 150


def test_a_timeout_that_somebody_writes_is_a_change_though_it_is_the_default():
    bare = {"services": {"a": {"endpoints": [A]}}}
    written = {"services": {"a": {"endpoints": [A], "timeout": 10.0}}}
    assert words(bare, written) == ["services.a.timeout: 10 s, to the headers -> 10 s, body included"]
    assert words(written, bare) == ["services.a.timeout: 10 s, body included -> 10 s, to the headers"]


def test_where_finding_takes_the_place_of_listing_both_are_told():
    found = {"discovery": {"callable": {"function": "os:listdir"}}, "endpoints": []}
    assert words(OLD, inventory(**found)) == [
        f"services.inventory.endpoints: {A} removed",
        f"services.inventory.endpoints: {B} removed",
        'services.inventory.discovery: none -> callable {"function": "os:listdir"}',
    ]


def test_what_changes_alike_in_many_services_is_one_line():
    many = {"services": {f"s{number}": {"endpoints": [A]} for number in range(10)}}
    slow = many | {"defaults": {"timeout": 2.0}}
    found = list(changes(load(many), load(slow)))
    assert len(found) == 10
    assert in_words(found) == ["services.*.timeout: 10.0 -> 2.0 (in 10: s0, s1, s2, and 7 more)"]


def test_secrets_are_shown_to_nobody():
    check = {"http": {"path": "/", "headers": {"Authorization": "Bearer abc", "x-from": "mesh"}}}
    other = {"http": {"path": "/", "headers": {"Authorization": "Bearer xyz", "x-from": "mesh"}}}
    found = list(changes(load(inventory(health_check=check)), load(inventory(health_check=other))))
    (change,) = found
    assert change.path == "services.inventory.health_check.http.headers"
    assert change.new == {"Authorization": "...", "x-from": "mesh"}
    assert "abc" not in repr(found)
    assert "xyz" not in repr(found)


def test_values_that_are_no_plain_data_are_shown_as_they_are():
    (line,) = words(OLD, inventory(health_check={"http": {"path": "/", "expected": [200]}}))
    assert line.startswith("services.inventory.health_check: none -> {")

    def judge(request, outcome):
        return outcome.verdict

    judged = inventory()
    judged["services"]["inventory"]["classify"] = judge
    (line,) = words(OLD, judged)
    assert line.startswith("services.inventory.classify: none -> <function")
