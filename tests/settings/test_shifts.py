"""Shifts in the settings: what is refused, with its path, and all of it at once."""

from __future__ import annotations

import pytest
from settings.refusing import refusal

from meshware.settings.load import load

SERVICES = {name: {"endpoints": ["a:1"]} for name in ("inventory", "inventory-v2", "pricing")}


def shop(*shifts, routes=()):
    made = [
        {"name": f"s{place}", "service": "inventory", "to": "inventory-v2", **each} for place, each in enumerate(shifts)
    ]
    return {"services": SERVICES, "routes": list(routes), "shifts": made}


def test_what_is_not_said_is_careful():
    (shift,) = load(shop({})).shifts
    assert (shift.steps, shift.hold, shift.guard.error_rate, shift.guard.minimum) == (
        (1, 5, 25, 50, 100),
        300.0,
        0.05,
        20,
    )


def test_every_problem_is_named_at_once():
    problems = refusal(
        shop(
            {"to": "inventory-v3"},
            {"name": "s0", "service": "pricing", "to": "pricing"},
            {"service": "inventory"},
            {"service": "prcing"},
        )
    )
    found = {each.path: each for each in problems}
    assert set(found) == {"shifts[0].to", "shifts[1].to", "shifts[1].name", "shifts[2].service", "shifts[3].service"}
    assert found["shifts[0].to"].nearest == "inventory-v2"
    assert "shifts[0] is for all of them" in found["shifts[2].service"].expected


@pytest.mark.parametrize(
    ("wrong", "path", "says"),
    [
        ({"steps": []}, "shifts[0].steps", "each more than"),
        ({"steps": [0, 5]}, "shifts[0].steps", "above 0"),
        ({"steps": [5, 5]}, "shifts[0].steps", "each more than"),
        ({"steps": [5, 101]}, "shifts[0].steps[1]", "100"),
        ({"hold": 0}, "shifts[0].hold", "greater than 0"),
        ({"guard": {"error_rate": 2}}, "shifts[0].guard.error_rate", "1"),
        ({"guard": {"minimum": 0}}, "shifts[0].guard.minimum", "1"),
        ({"gaurd": {}}, "shifts[0].gaurd", ""),
        ({"sticky": {}}, "shifts[0].sticky", "exactly one"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(wrong, path, says):
    (problem,) = refusal(shop(wrong))
    assert problem.path == path
    assert says in problem.expected


def test_a_shift_that_a_route_leaves_nothing_is_refused():
    (problem,) = refusal(shop({}, routes=[{"name": "all", "match": {"service": "inventory"}, "timeout": 1.0}]))
    assert problem.path == "shifts[0].service"
    assert "all is for all of them" in problem.expected


def test_from_one_subset_to_another_of_the_same_service():
    one, other = ({"metadata": {"v": each}} for each in (1, 2))
    shift = {"to": "inventory", "subset": one, "to_subset": other}
    assert load(shop(shift)).shifts[0].to == "inventory"
    (problem,) = refusal(shop({**shift, "to_subset": one}))
    assert problem.path == "shifts[0].to"
