"""One replica: slots, a queue, speeds, and what may be wrong with it."""

from __future__ import annotations

import pytest

from meshware.core.endpoint import Locality
from meshware.core.outcome import Cause
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.replica import Gray, Replica


class Sent:
    """An exchange that remembers when and how it ended."""

    def __init__(self, events, work, *, draw=0.5, turn=0, operation="/items", expires=1e9):
        self.turn = turn
        self.events, self.work, self.draw, self.operation, self.expires = events, work, draw, operation, expires
        self.ended = self.report = None

    def reply(self, status, report):
        self.ended, self.report = (self.events.now, status), report

    def broken(self, cause):
        self.ended = (self.events.now, cause)


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def replica(events):
    return Replica("10.0.0.1:80", events, slots=2, speed=1.0, locality=Locality())


@pytest.fixture
def send(events, replica):
    """Sends work to the replica now."""

    def _send(*works, **facts):
        sent = [Sent(events, work, **facts) for work in works]
        for each in sent:
            replica.present += 1
            replica.arrive(each)
        return sent if len(works) > 1 else sent[0]

    return _send


def test_slots_work_at_once_and_the_rest_queues_in_order(events, replica, send):
    sent = send(1.0, 2.0, 0.5, 0.5)
    assert replica.present == 4
    events.run(10.0)
    assert [each.ended for each in sent] == [(1.0, 200), (2.0, 200), (1.5, 200), (2.0, 200)]
    assert replica.present == 0


def test_half_the_speed_takes_twice_as_long_also_for_what_is_in_hand(events, replica, send):
    sent = send(1.0)
    events.run(0.5)
    replica.set_speed(0.5)
    events.run(10.0)
    assert sent.ended == (1.5, 200)


def test_what_is_planned_twice_for_one_moment_is_done_once(events, replica, send):
    sent = send(1.0)
    events.run(0.5)
    for speed in (0.5, 1.0, 1.0):
        replica.set_speed(speed)
    events.run(10.0)
    assert (sent.ended, replica.present) == ((1.0, 200), 0)


def test_what_stands_still_goes_on_where_it_was(events, replica, send):
    sent = send(1.0)
    events.run(0.25)
    replica.set_speed(0.0)
    late = send(0.5)
    assert not replica.healthy
    events.run(3.0)
    assert sent.ended is None
    replica.set_speed(1.0)
    events.run(10.0)
    assert (sent.ended, late.ended) == ((3.75, 200), (3.5, 200))


def test_a_failing_replica_fails_its_share_at_once(events, replica, send):
    replica.failing = 0.3
    bad, good = send(1.0, draw=0.29), send(1.0, draw=0.3)
    events.run(10.0)
    assert (bad.ended, good.ended) == ((0.001, 500), (1.0, 200))
    assert replica.present == 0


def test_a_gray_replica_takes_long_for_its_share_whatever_that_is(events, replica, send):
    replica.gray = Gray(0.25, 5.0)
    sent = [send(1.0, draw=number / 400) for number in range(400)]
    events.run(1000.0)
    assert {each.work for each in sent} == {1.0, 5.0}
    assert 60 < sum(each.work == 5.0 for each in sent) < 140


def test_which_requests_a_gray_replica_is_late_with_is_drawn_anew_for_each_try_and_the_same_for_everybody():
    gray, draws = Gray(0.05, 5.0), [number / 10_000 for number in range(10_000)]
    first, second = [{draw for draw in draws if gray.strikes(draw, turn)} for turn in (0, 1)]
    assert first == {draw for draw in draws if Gray(0.05, 1.0).strikes(draw, 0)}
    assert 400 < len(first) < 600
    assert len(first & second) < 60


def test_a_silent_replica_never_answers(events, replica, send):
    replica.silent = True
    sent = send(1.0)
    events.run(10.0)
    assert (sent.ended, replica.present, replica.healthy) == (None, 0, False)


def test_a_crash_breaks_what_is_there_and_refuses_what_comes(events, replica, send):
    there = send(1.0, 1.0, 1.0)
    events.run(0.5)
    replica.crash()
    late = send(1.0)
    assert [each.ended for each in there] == [(0.5, Cause.RESET)] * 3
    assert late.ended == (0.5, Cause.REFUSED)
    replica.refusing = False
    again = send(1.0)
    events.run(10.0)
    assert [each.ended for each in there] == [(0.5, Cause.RESET)] * 3
    assert (again.ended, replica.present) == ((1.5, 200), 0)


def test_it_may_be_slow_at_one_thing_only(events, replica, send):
    replica.slower["/report"] = 3.0
    heavy, light = send(1.0, operation="/report"), send(1.0)
    events.run(10.0)
    assert (heavy.ended, light.ended) == ((3.0, 200), (1.0, 200))


def test_it_tells_its_load_where_it_is_to(events):
    replica = Replica("10.0.0.1:80", events, slots=2, speed=1.0, locality=Locality(), reports=True)
    first, second = Sent(events, 0.1), Sent(events, 0.2)
    for each in (first, second, Sent(events, 5.0), Sent(events, 5.0)):
        replica.arrive(each)
    replica.failing = 1.0
    failed = Sent(events, 1.0)
    events.run(0.15)
    replica.arrive(failed)
    events.run(0.25)
    assert first.report.utilization == 1.5  # two in the slots, one in the queue
    assert first.report.rps == pytest.approx(1.0)
    assert first.report.rps < failed.report.rps < second.report.rps < 3.0
    assert (first.report.eps, failed.report.eps) == (0.0, 1.0)


def test_otherwise_it_tells_nothing(events, send):
    sent = send(0.1)
    events.run(1.0)
    assert sent.report is None


def test_a_bounded_queue_refuses_what_comes_on_top_and_begins_nothing_that_nobody_waits_for(events):
    replica = Replica("10.0.0.1:80", events, slots=1, speed=1.0, locality=Locality(), room=2)
    sent = [Sent(events, 1.0), Sent(events, 1.0, expires=0.5), Sent(events, 1.0), Sent(events, 1.0)]
    for each in sent:
        replica.present += 1
        replica.arrive(each)
    events.run(10.0)
    assert [each.ended for each in sent] == [(1.0, 200), None, (2.0, 200), (0.001, 503)]
    assert replica.present == 0
