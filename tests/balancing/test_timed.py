"""A strategy that blocks is asked once a minute."""

from __future__ import annotations

import pytest

from meshware.balancing.timed import BENCHED, SLOW, Timed, TooSlow


class Slow:
    """Takes as long as it is told."""

    def __init__(self):
        self.now = 0.0
        self.takes = 0.0
        self.meanwhile = lambda: None

    def picker(self, endpoints):
        return self

    def pick(self, call):
        self.now += self.takes
        self.meanwhile()
        return call


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def picker(slow):
    return Timed(slow, lambda: slow.now).picker(())


def test_a_pick_in_time_is_what_it_is(slow, picker):
    slow.takes = SLOW
    assert [picker.pick(number) for number in range(3)] == [0, 1, 2]


def test_one_that_blocked_is_not_asked_for_a_minute_and_then_once(slow, picker):
    slow.takes = 10.0
    with pytest.raises(TooSlow, match=r"took 10\.0 s"):
        picker.pick(1)
    slow.now += BENCHED - 1.0
    with pytest.raises(TooSlow, match="another 1 s"):
        picker.pick(2)
    slow.now, slow.takes = slow.now + 1.0, 0.0
    assert picker.pick(3) == 3


def test_who_comes_while_another_is_inside_for_long_does_not_go_in(slow, picker):
    met = []

    def come():
        slow.meanwhile = lambda: None
        with pytest.raises(TooSlow, match="not asked"):
            picker.pick(2)
        met.append(True)

    slow.takes, slow.meanwhile = 2.0, come
    with pytest.raises(TooSlow):
        picker.pick(1)
    assert met == [True]


def test_one_who_is_inside_for_a_moment_keeps_nobody_out(slow, picker):
    met = []

    def come():
        slow.meanwhile = lambda: None
        met.append(picker.pick(2))

    slow.takes, slow.meanwhile = 0.1, come
    assert (picker.pick(1), met) == (1, [2])


def test_a_pick_that_raises_is_out_again(slow, picker):
    slow.meanwhile = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        picker.pick(1)
    slow.meanwhile = lambda: None
    slow.now += 100.0
    assert picker.pick(2) == 2
