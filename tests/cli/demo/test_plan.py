"""The incident as data: what overlaps, what is calm, and that all is well in the end."""

from __future__ import annotations

import pytest

from meshware.cli.demo.plan import SERVICES, SHORTEST, Kind, endpoints, incident, service_of, steps

LENGTHS = [SHORTEST, 60.0, 600.0]


@pytest.mark.parametrize("seconds", LENGTHS)
def test_pricing_has_one_healthy_replica_of_three_for_at_least_five_seconds(seconds):
    slow, failing = (fault for fault in incident(seconds) if fault.service == "pricing")
    assert {slow.kind, failing.kind} == {Kind.SLOW, Kind.FAILING}
    assert slow.endpoint != failing.endpoint
    assert min(slow.ends, failing.ends) - max(slow.begins, failing.begins) >= 5
    assert SERVICES["pricing"] == 3


@pytest.mark.parametrize("seconds", LENGTHS)
def test_the_last_fault_ends_twenty_seconds_before_the_end(seconds):
    assert max(fault.ends for fault in incident(seconds)) == pytest.approx(seconds - 20)
    assert min(fault.begins for fault in incident(seconds)) >= 3


@pytest.mark.parametrize("seconds", LENGTHS)
def test_the_killed_replica_has_fifteen_seconds_to_come_back(seconds):
    (killed,) = [fault for fault in incident(seconds) if fault.kind is Kind.KILLED]
    assert killed.service == "inventory"
    assert seconds - killed.ends >= 20


def test_the_steps_are_in_order_and_leave_every_replica_healthy():
    plan = steps(incident(60))
    assert [step.at for step in plan] == sorted(step.at for step in plan)
    last = {step.endpoint: step.kind for step in plan}
    assert set(last.values()) == {Kind.HEALTHY}
    assert last.keys() < set(endpoints())


def test_a_replica_s_name_tells_its_service():
    assert [service_of(name) for name in endpoints()] == ["inventory"] * 3 + ["pricing"] * 3
