"""The drill's figures and budgets, from records made by hand."""

from __future__ import annotations

import pytest
from rich.console import Console

from meshware.cli.demo.drill import NAMES, VICTIM, Drilled, Phase
from meshware.cli.demo.drill_report import Limits, budgets, figures, shown
from meshware.cli.demo.load import Called
from meshware.cli.demo.plan import Kind
from meshware.cli.demo.verdict import kept_table
from meshware.core import events

STARTED = 1000.0
PHASES = [
    Phase("calm", 0.0, 3.0),
    Phase("one fails", 3.0, 7.0),
    Phase("healed", 7.0, 15.0),
    Phase("all fail", 15.0, 19.0),
    Phase("healed again", 19.0, 25.0),
]
ADDRESSES = {f"127.0.0.1:{8001 + number}": name for number, name in enumerate(NAMES)}
(AT,) = [address for address, name in ADDRESSES.items() if name == VICTIM]


def drilled(*, fault=Kind.KILLED, called=(), attempts=(), said=()):
    found = Drilled(fault, STARTED, ADDRESSES, list(PHASES))
    found.called = [Called(0.1 * n, 0.02, 200) for n in range(250)] + list(called)
    found.attempts = [(0.1 * n, NAMES[0]) for n in range(250)] + list(attempts)
    found.events = list(said)
    return found


def ejected(at, address=AT):
    return events.EndpointEjected("pricing", STARTED + at, address, "refused", STARTED + at + 1)


def restored(at, address=AT):
    return events.EndpointRestored("pricing", STARTED + at, address, 1.0)


def missed(found, limits=None):
    return [each.name for each in budgets(figures(found), limits or Limits()) if not each.kept]


GOOD = {"said": [ejected(3.2), restored(7.5)], "attempts": [(7.6, VICTIM)]}


def test_what_callers_saw_is_told_by_phase():
    found = figures(drilled(called=[Called(4.0, 1.5, 503), Called(5.0, 2.0, None)]))
    assert [each["phase"] for each in found["phases"]] == [each.name for each in PHASES]
    one = found["phases"][1]
    assert (one["calls"], one["errors"], one["p50_ms"], one["p99_ms"]) == (42, 2, 20.0, 2000.0)


def test_when_the_victim_was_ejected_back_and_used():
    victim = figures(drilled(**GOOD))["victim"]
    assert victim == {
        "endpoint": VICTIM,
        "ejected_after_s": 0.2,
        "back_after_s": 0.5,
        "used_again_after_s": 0.6,
        "share": 0.0,
    }


def test_what_happens_to_others_or_in_other_phases_is_not_the_victims():
    said = [ejected(1.0), ejected(3.1, next(iter(ADDRESSES))), restored(16.0)]
    victim = figures(drilled(said=said))["victim"]
    assert (victim["ejected_after_s"], victim["back_after_s"], victim["used_again_after_s"]) == (None, None, None)


def test_the_victims_share_counts_from_a_second_on():
    attempts = [(3.5, VICTIM)] * 30 + [(5.0, VICTIM)] * 10
    assert figures(drilled(attempts=attempts))["victim"]["share"] == 0.25


def test_the_circuits_times_are_told():
    said = [
        events.CircuitOpened("pricing", STARTED + 17.0, STARTED + 18.0),
        events.CircuitClosed("pricing", STARTED + 20),
    ]
    assert figures(drilled(said=said))["circuit"] == [[17.0, "CircuitOpened"], [20.0, "CircuitClosed"]]


def test_a_good_drill_keeps_every_budget():
    assert missed(drilled(**GOOD)) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"called": [Called(4.0, 0.02, 503)]}, "errors while one fails, share"),
        ({"called": [Called(4.0, 1.5, 200)]}, "p99 while one fails, s"),
        ({"attempts": [(5.0, VICTIM)] * 10 + GOOD["attempts"]}, f"{VICTIM}'s share of the attempts meanwhile"),
        ({"called": [Called(24.0, 1.5, None)]}, "calls fail for so long after all are healed, s"),
        ({"said": []}, f"{VICTIM} ejected after, s"),
        ({"said": [ejected(6.5)]}, f"{VICTIM} ejected after, s"),
        ({"attempts": []}, f"{VICTIM} used again after it is healed, s"),
    ],
)
def test_each_budget_can_be_missed(change, name):
    assert missed(drilled(**{**GOOD, **change}), Limits(back=4.0)) == [name]


@pytest.mark.parametrize("fault", [Kind.SLOW, Kind.FROZEN, Kind.FAILING])
def test_who_is_avoided_need_not_be_ejected(fault):
    assert missed(drilled(fault=fault, attempts=GOOD["attempts"])) == []


def test_nobody_called_is_no_good_drill():
    found = drilled(**GOOD)
    found.called = []
    assert missed(found) == ["p99 while one fails, s"]


def test_people_see_what_was_kept_and_what_was_missed():
    found = figures(drilled(said=[]))
    with open("/dev/null", "w") as nowhere:
        console = Console(width=160, record=True, file=nowhere)
        console.print(shown(found), kept_table(budgets(found, Limits())))
        text = console.export_text()
    for word in ("one fails", "kept", "MISSED", "never", "20 ms", "pricing-2 killed, then all"):
        assert word in text
