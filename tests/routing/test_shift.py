"""A shift: its steps by time, its guard, orders, and which of two words about it counts."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from meshware.assembly.services import assemble
from meshware.core.outcome import Outcome, Verdict
from meshware.core.request import Request
from meshware.routing.shift import REVERTED, RUNNING, STATES, Shift, ShiftOptions, Standing
from meshware.routing.split import key_of
from meshware.settings.schema import MeshSettings

SERVICES = {"inventory": {"endpoints": ["a:1"]}, "inventory-v2": {"endpoints": ["b:1"]}}
V2 = {"name": "v2", "service": "inventory", "to": "inventory-v2"}


class Shifted:
    """One shift under a clock of its own; `events` holds what it emitted."""

    def __init__(self, key=None, **options):
        self.now, self.events = 0.0, []
        options = {"steps": (0.1, 0.5, 1.0), "hold": 10.0, "minimum": 20, **options}
        self.shift = Shift(
            "v2",
            ShiftOptions(**options),
            service="inventory",
            to="inventory-v2",
            made_of=None,
            emit=self.events.append,
            now=0.0,
        )
        self.shift.between("old", "new", key)

    def calls(self, count, verdict=Verdict.SUCCESS, elapsed=0.01):
        for _ in range(count):
            outcome = Outcome(elapsed=elapsed, status=200)
            outcome.verdict = verdict
            self.shift.decided(None, outcome, self.now)

    def after(self, seconds):
        self.now += seconds
        self.shift.tick(self.now)
        return self.shift.standing.state, self.shift.share


def test_it_goes_a_step_on_when_it_is_time_and_enough_calls_have_gone_well():
    shifted = Shifted()
    assert shifted.after(11.0) == (RUNNING, 0.1)  # nobody has called
    shifted.calls(20)
    assert shifted.after(0.0) == (RUNNING, 0.5)
    shifted.calls(20)
    assert shifted.after(9.0) == (RUNNING, 0.5)
    assert shifted.after(1.0) == (RUNNING, 1.0)
    shifted.calls(20)
    assert shifted.after(10.0) == ("promoted", 1.0)
    assert [(each.state, each.percentage) for each in shifted.events] == [
        (RUNNING, 50.0),
        (RUNNING, 100.0),
        ("promoted", 100.0),
    ]


def test_it_goes_back_at_once_when_too_many_of_its_last_calls_fail():
    shifted = Shifted(error_rate=0.05)
    shifted.calls(10_000)
    shifted.calls(5, Verdict.FAILURE)
    assert shifted.shift.share == 0.1
    shifted.calls(1, Verdict.OVERLOADED)
    assert (shifted.shift.standing.state, shifted.shift.share) == (REVERTED, 0.0)
    assert shifted.events[-1].reason == "6 of its last 100 calls failed"
    shifted.calls(20)
    assert shifted.after(100.0) == (REVERTED, 0.0)


def test_few_calls_or_few_failures_say_nothing():
    shifted = Shifted(minimum=10)
    shifted.calls(9, Verdict.FAILURE)
    assert shifted.shift.share == 0.1
    shifted = Shifted(minimum=10)
    shifted.calls(8)
    shifted.calls(2, Verdict.FAILURE)
    shifted.calls(50, Verdict.NEUTRAL)
    assert shifted.shift.share == 0.1
    shifted.calls(1, Verdict.FAILURE)
    assert shifted.shift.share == 0.0


def test_calls_that_are_refused_before_they_are_sent_have_failed():
    shifted = Shifted()
    for _ in range(20):
        shifted.shift.decided(None, None, 0.0)
    assert shifted.shift.standing.state == REVERTED


def test_it_goes_back_when_it_is_slow():
    shifted = Shifted(p99=0.5, error_rate=None)
    shifted.calls(98)
    shifted.calls(1, elapsed=0.6)
    assert shifted.after(1.0) == (RUNNING, 0.1)
    shifted.calls(1, elapsed=0.6)
    assert shifted.after(1.0) == (REVERTED, 0.0)
    assert shifted.events[-1].reason == "2 of its last 100 calls took longer than 0.5 s"


def test_one_slow_call_is_no_p99_however_few_there_are():
    shifted = Shifted(p99=0.5)
    shifted.calls(19)
    shifted.calls(1, elapsed=0.6)
    assert shifted.after(1.0) == (RUNNING, 0.1)


def test_what_the_others_of_the_host_count_is_judged_as_what_was_seen_here():
    shifted = Shifted()
    shifted.calls(1, Verdict.FAILURE)
    epoch, counted = shifted.shift.drain()
    assert (counted.calls, counted.failed) == (1, 1)
    assert shifted.shift.drain() == (epoch, (0, 0, 0, 0))
    shifted.shift.hear(epoch, (18, 2, 18, 0), 0.0)
    assert shifted.shift.share == 0.1
    shifted.shift.hear(epoch, (1, 0, 1, 0), 0.0)
    assert shifted.shift.standing.reason == "3 of its last 20 calls failed"


def test_what_others_count_of_an_earlier_step_says_nothing_of_this_one():
    shifted = Shifted()
    epoch, _ = shifted.shift.drain()
    shifted.calls(20)
    assert shifted.after(10.0) == (RUNNING, 0.5)
    shifted.shift.hear(epoch, (100, 100, 100, 0), 0.0)
    assert shifted.shift.status(0.0)["calls"] == 0
    assert shifted.after(0.0) == (RUNNING, 0.5)


def test_what_was_counted_is_told_once_and_of_this_step_only():
    shifted = Shifted()
    assert not shifted.shift.told
    shifted.calls(3)
    assert not shifted.shift.told
    shifted.shift.steer("pause", 1.0)
    epoch, counted = shifted.shift.drain()
    assert (epoch, counted.calls) == ("paused 0 1", 0)
    shifted.calls(2)
    shifted.shift.drain()
    assert shifted.shift.told


def test_calls_that_were_refused_take_no_shift_a_step_on():
    shifted = Shifted(error_rate=None)
    for _ in range(20):
        shifted.shift.decided(None, None, 0.0)
    assert shifted.after(10.0) == (RUNNING, 0.1)
    shifted.calls(20)
    assert shifted.after(0.0) == (RUNNING, 0.5)


def test_without_a_guard_failures_change_nothing():
    shifted = Shifted(error_rate=None)
    shifted.calls(100, Verdict.FAILURE)
    assert shifted.shift.share == 0.1


def test_it_is_steered():
    shifted = Shifted()
    steer = shifted.shift.steer
    steer("pause", 1.0)
    shifted.calls(20)
    assert shifted.after(100.0) == ("paused", 0.1)
    steer("pause", 1.0)
    steer("resume", 100.0)
    shifted.calls(20)
    assert shifted.after(10.0) == (RUNNING, 0.5)
    steer("revert", 120.0)
    assert shifted.shift.share == 0.0
    steer("resume", 120.0)
    assert (shifted.shift.standing.step, shifted.shift.share) == (0, 0.1)
    steer("promote", 120.0)
    shifted.calls(100, Verdict.FAILURE)
    assert shifted.after(0.0) == ("promoted", 1.0)
    steer("revert", 120.0)
    assert shifted.after(0.0) == (REVERTED, 0.0)
    assert len(shifted.events) == 7


def test_a_paused_one_is_guarded():
    shifted = Shifted()
    shifted.shift.steer("pause", 1.0)
    shifted.calls(20, Verdict.FAILURE)
    assert shifted.shift.standing.state == REVERTED


def test_a_later_word_counts_and_of_two_at_once_the_safer_one():
    for number, state in enumerate(STATES):
        assert Standing(state, version=1).yields_to(Standing(version=2))
        assert not Standing(state, version=2).yields_to(Standing(version=1))
        assert [Standing(state).yields_to(Standing(other)) for other in STATES] == [each > number for each in range(4)]
    shifted = Shifted()
    shifted.shift.stand(Standing("paused", 1, 5.0, "by hand", 3), 6.0)
    shifted.shift.stand(Standing(RUNNING, 0, 5.0, "by hand", 2), 6.0)
    assert (shifted.shift.standing.state, shifted.shift.share) == ("paused", 0.5)
    assert shifted.shift.status(7.0) == {
        "shift": "v2", "service": "inventory", "to": "inventory-v2", "state": "paused", "percentage": 50.0, "age": 2.0,
        "reason": "by hand", "calls": 0, "failed": 0, "slow": 0,
    }  # fmt: skip


def test_who_has_gone_over_stays_there_in_later_steps():
    shifted = Shifted(key=key_of("header", "user"))
    users = [Request("GET", "inventory", "/", {"user": str(number)}) for number in range(2000)]

    def over():
        return {each for each in users if shifted.shift.pick(each, None, random.Random(1)) == "new"}

    first = over()
    assert len(first) == pytest.approx(200, abs=54)
    shifted.shift.stand(Standing(RUNNING, 1, version=1), 0.0)
    assert first < over()
    shifted.shift.stand(Standing(REVERTED, version=2), 0.0)
    assert over() == set()


# In a mesh's settings


def made(previous=None, now=0.0, routes=(), **shift):
    source = {"services": SERVICES, "routes": list(routes), "shifts": [{**V2, **shift}]}
    return assemble(
        MeshSettings.model_validate(source), previous or {}, rng=random.Random(1), emit=lambda event: None, now=now
    )


def goes_to(services, path="/"):
    service = services["inventory"]
    return service.routes.route(service, Request("GET", "inventory", path, {}), None, 0.0)[0].name


def test_calls_that_no_route_is_for_are_shifted():
    services = made(routes=[{"match": {"service": "inventory", "path": "/a"}}], steps=[100])
    assert (goes_to(services), goes_to(services, "/a")) == ("inventory-v2", "inventory")


def test_a_reload_keeps_where_a_shift_stands_unless_it_is_another():
    services = made()
    (shift,) = services["inventory"].routes.shifts
    shift.steer("promote", 1.0)
    again = made(services)
    assert again["inventory"].routes.shifts == [shift]
    assert goes_to(again) == "inventory-v2"
    (other,) = made(again, hold=5.0)["inventory"].routes.shifts
    assert (other.standing.state, other.standing.step) == (RUNNING, 0)


def test_from_one_subset_of_a_service_to_another():
    services = {"inventory": {"endpoints": [{"address": f"{v}:1", "metadata": {"v": v}} for v in ("a", "b")]}}
    shift = {
        "name": "b", "service": "inventory", "to": "inventory", "steps": [100],
        "subset": {"metadata": {"v": "a"}}, "to_subset": {"metadata": {"v": "b"}},
    }  # fmt: skip
    source = MeshSettings.model_validate({"services": services, "shifts": [shift]})
    service = assemble(source, {}, rng=random.Random(1), emit=lambda event: None, now=0.0)["inventory"]
    service.refresh(0.0)
    (known,) = service.routes.shifts
    call = SimpleNamespace(tried=(), rng=service.rng, now=0.0, request=Request("GET", "inventory", "/", {}))
    for deed, address in (("promote", "b:1"), ("revert", "a:1")):
        known.steer(deed, 1.0)
        plan = service.routes.route(service, call.request, None, 0.0)[2]
        assert plan.stand_in(call, 0.0).address == address
