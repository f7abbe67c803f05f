"""The fleet guard: most calls fail, whichever endpoint."""

from __future__ import annotations

from meshware.breaking.guard import FleetGuard


def guard(**options):
    turns = []
    return FleetGuard(turned=lambda on, now: turns.append((on, now)), **options), turns


def test_it_turns_on_above_the_threshold_and_off_below_half_of_it():
    watched, turns = guard(threshold=0.4)
    now = 0
    while not watched.on:
        watched.record(True, now := now + 1)
    assert turns == [(True, 26)]  # 1 - 0.98 ** 26 = 0.41
    while watched.on:
        watched.record(False, now := now + 1)
    assert len(turns) == 2
    assert watched.failures <= 0.2


def test_a_third_of_failures_never_turns_it_on():
    watched, turns = guard()
    for number in range(3000):
        watched.record(number % 3 == 0, number)
    assert turns == []


def test_in_health_a_success_costs_nothing_and_changes_nothing():
    watched, _ = guard()
    watched.record(False, 0.0)
    assert watched.failures == 0.0


def test_a_guard_of_a_tiny_threshold_ends_too():
    watched, turns = guard(threshold=1e-8)
    watched.record(True, 1)
    for now in range(2, 1000):
        watched.record(False, now)
    assert [on for on, _ in turns] == [True, False]
