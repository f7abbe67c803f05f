"""What a picture names: times at which something is wrong, and replicas by what they are or what strikes them."""

from __future__ import annotations

from collections import Counter

from meshware.testing.simulation import Scenario, built_in
from meshware.testing.simulation.looks import GREY, GROUPS, STRUCK, looks, spans


def test_a_fault_is_named_for_as_long_as_it_lasts():
    assert list(spans(built_in("slow10x"))) == [(4.0, 10.0, "slow 10x")]
    faults = [
        {"kind": "fail", "rate": 0.3, "at": 10},
        {"kind": "slow", "factor": 2, "path": "/items", "at": 1, "lasts": 1, "every": 5},
        {"kind": "stall", "at": 99},
    ]
    assert list(spans(Scenario.model_validate({"faults": faults}))) == [
        (10.0, 12.0, "fail 30%"), (1.0, 2.0, "slow 2x at /items"), (6.0, 7.0, "slow 2x at /items"),
        (11.0, 12.0, "slow 2x at /items"),
    ]  # fmt: skip


def test_more_load_than_else_is_named_and_less_is_not():
    assert list(spans(built_in("overload"))) == [(4.0, 7.0, "load 2")]
    bursts = list(spans(built_in("bursty")))
    assert bursts[:2] == [(0.0, 0.5, "load 1.6"), (2.0, 2.5, "load 1.6")]
    assert len(bursts) == 6


def test_equal_replicas_look_alike_and_the_struck_one_stands_out():
    assert looks(built_in("homogeneous")) == [(GREY, "replicas", False)] * 10
    found = looks(built_in("slow10x"))
    assert found[0] == (STRUCK[0], "struck (slow 10x)", True)
    assert found[1:] == [(GREY, "replicas", False)] * 9


def test_a_fault_that_strikes_all_makes_none_stand_out():
    assert {each.struck for each in looks(built_in("pause_all"))} == {False}


def test_groups_are_named_by_what_tells_them_apart():
    found = Counter(looks(built_in("heterogeneous")))
    assert {label: count for (_, label, _), count in found.items()} == {
        "replicas (speed 0.5)": 3, "replicas (speed 1)": 4, "replicas (speed 1.5)": 3,
    }  # fmt: skip
    assert {colour for colour, _, _ in found} == set(GROUPS[:3])
    zones = looks(built_in("zone_loss"))
    assert zones[0] == (STRUCK[0], "struck (crash)", True)
    assert zones[4].label == "replicas (cloud/region/b)"
