"""What cannot finish is not begun; and a figure that is kept by refusing must not stand for ever."""

from __future__ import annotations

import pytest
from world import World

from meshware.core.call import Deadline
from meshware.core.errors import DeadlineExceeded
from meshware.core.feasible import FADES, FOLLOWERS, Feasible


def figure_of(*seconds, now=0.0):
    figure = Feasible()
    for each in seconds:
        figure.record(each, now)
    return figure


def test_nothing_is_refused_before_five_successes():
    assert figure_of(1.0, 1.0, 1.0, 1.0).allows(0.01, 0.0)
    assert figure_of(1.0, 1.0, 1.0, 1.0).expected(0.0) == 0.0


def test_what_four_in_five_take_is_expected():
    assert figure_of(*(n / 10 for n in range(1, 21))).expected(0.0) == 0.5


def test_what_has_as_much_left_begins_and_what_has_less_does_not():
    figure = figure_of(*[0.5] * 20)
    assert figure.allows(0.5, 0.0)
    figure.allows(0.4, 0.0)
    assert not figure.allows(0.499, 0.0)


def test_only_the_last_are_looked_at():
    assert figure_of(*[9.0] * 100, *[0.1] * 5).expected(0.0) == 0.1


def test_one_a_second_is_let_through():
    figure = figure_of(*[1.0] * 20)
    let = [now for now in range(50) if figure.allows(0.5, now / 10)]
    assert let == [0, 10, 20, 30, 40]


def test_the_figure_fades_while_nothing_succeeds():
    figure = figure_of(*[1.0] * 20)
    assert figure.expected(FADES) == pytest.approx(0.3679, abs=1e-4)
    assert figure.expected(-5.0) == 1.0
    assert figure.allows(0.5, 7.0)


def test_one_that_was_in_time_lets_more_through():
    figure = figure_of(*[1.0] * 20)
    assert figure.allows(0.5, 0.0)
    assert not figure.allows(0.5, 0.1)
    figure.record(0.05, 0.2)
    assert [figure.allows(0.5, 0.2) for _ in range(FOLLOWERS + 1)] == [True] * FOLLOWERS + [False]


def test_one_quick_answer_among_slow_ones_does_not_open():
    figure = figure_of(*[1.0] * 20)
    let = 0
    for tenth in range(600):
        now = tenth / 10
        if figure.allows(0.5, now):
            let += 1
            figure.record(0.01 if let % 10 == 0 else 1.0, now)
    assert let < 60 * 2


def test_a_tier_that_was_slow_is_open_again_within_two_seconds_of_healing():
    figure, now, pending = Feasible(), 0.0, []
    opened = None
    while now < 20.0:
        took = 1.0 if 5.0 <= now < 10.0 else 0.05
        for began, seconds in [each for each in pending if sum(each) <= now]:
            pending.remove((began, seconds))
            figure.record(seconds, now)
        if round(now * 100) % 10 == 0:  # there are callers with time, too
            pending.append((now, took))
        if figure.allows(0.3, now):
            pending.append((now, took))
            opened = now if opened is None and now >= 10.0 else opened
        elif now >= 10.0:
            opened = None
        now += 0.01
    assert opened < 12.0


def test_it_opens_within_two_seconds_where_nobody_has_more_time():
    figure, now, pending = figure_of(*[1.0] * 20), 0.0, []
    opened = None
    while now < 5.0:
        for began, seconds in [each for each in pending if sum(each) <= now]:
            pending.remove((began, seconds))
            figure.record(seconds, now)
        if figure.allows(0.3, now):
            pending.append((now, 0.05))
            opened = now if opened is None else opened
        else:
            opened = None
        now += 0.01
    assert opened < 2.0


def test_a_figure_says_how_much_it_knows():
    assert repr(figure_of(1.0, 2.0)) == "<Feasible: 2 samples>"


# In a call


class Within:
    """An inbound request with so many seconds left."""

    retry = True

    def __init__(self, seconds):
        self.seconds = seconds

    def deadline_for(self, now):
        return Deadline.after(self.seconds, now)


def refused(world, seconds=0.2):
    try:
        call = world.call(context=Within(seconds))
        call.leave(call.begin(world.now), world.now)
    except DeadlineExceeded as error:
        return error
    return None


def test_a_call_that_would_come_too_late_is_refused_and_nobody_is_blamed():
    world = World(2)
    world.succeed(20, elapsed=0.5)
    refused(world)
    before = list(world.events)
    error = refused(world)
    assert world.events == before
    assert (error.attempts, error.expected) == (0, pytest.approx(0.5))
    assert "nothing was sent" in str(error)
    assert world.in_flight() == 0
    world.service.settle(world.now)
    assert world.service.limiter.in_flight == 0


def test_another_operation_is_not_concerned():
    world = World(2)
    world.succeed(20, elapsed=0.5)
    refused(world)
    call = world.call(path="/other", context=Within(0.2))
    assert call.begin(world.now)


def test_a_deadline_that_nobody_set_refuses_nothing():
    world = World(2)
    world.succeed(20, elapsed=12.0)
    for _ in range(3):
        assert world.call().begin(world.now)


def test_it_can_be_turned_off():
    world = World(2, limits={"feasible": False})
    world.succeed(20, elapsed=0.5)
    assert [refused(world) for _ in range(3)] == [None] * 3
