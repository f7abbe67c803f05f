"""The hands: how many at once, one job a key, and what becomes of a job that hangs."""

from __future__ import annotations

import threading
import time

import pytest

from meshware import hands as module
from meshware.hands import MOST, Hands

PATIENCE = 5.0


class Work:
    """Jobs that hang until let go; `at_work` is how many are under way."""

    def __init__(self):
        self.woken = threading.Event()
        self.hands = Hands(self.woken.set)
        self.let_go = threading.Event()
        self.counting = threading.Lock()
        self.at_work = self.most = 0
        self.results = []

    def hang(self):
        with self.counting:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.let_go.wait(PATIENCE)
        with self.counting:
            self.at_work -= 1
        return "late"

    def give(self, key, work=None, limit=10.0):
        return self.hands.give(
            key, work or self.hang, limit=limit, done=lambda *facts: self.results.append((key, *facts))
        )

    def until(self, fine, now=0.0):
        """Poll until it is so."""
        end = time.monotonic() + PATIENCE
        while not fine():
            assert time.monotonic() < end
            self.hands.poll(now)
            time.sleep(0.001)


@pytest.fixture
def work():
    made = Work()
    yield made
    made.let_go.set()
    made.until(lambda: made.at_work == 0)


def test_a_result_is_told_on_the_pollers_thread_after_a_wake(work):
    work.give("a", lambda: threading.current_thread().name)
    work.hands.poll(1.0)
    assert work.woken.wait(PATIENCE)
    assert (work.results, work.hands.ready) == ([], True)
    work.hands.poll(2.0)
    assert work.results == [("a", "meshware-hand", None, 2.0)]
    assert not work.hands.ready


@pytest.mark.parametrize("kind", [OSError, SystemExit, KeyboardInterrupt])
def test_whatever_a_job_raises_is_its_result(work, kind):
    def fail():
        raise kind("no")

    work.give("a", fail)
    work.until(lambda: work.results)
    ((_, result, error, _),) = work.results
    assert result is None
    assert isinstance(error, Exception)
    assert "no" in str(error)


def test_a_key_has_one_job_at_a_time(work):
    assert work.give("a")
    assert not work.give("a")
    work.until(lambda: work.at_work == 1)
    assert not work.give("a")
    work.let_go.set()
    work.until(lambda: work.results)
    assert work.give("a", lambda: 1)


def test_at_most_four_are_at_work_and_the_others_wait_their_turn(work):
    for key in range(3 * MOST):
        work.give(key)
    work.until(lambda: work.at_work == MOST)
    work.hands.poll(1.0)
    time.sleep(0.02)
    assert work.at_work == MOST
    work.let_go.set()
    work.until(lambda: len(work.results) == 3 * MOST)
    assert work.most == MOST


def test_one_that_hangs_has_failed_is_counted_and_replaced_once(work):
    for key in range(3 * MOST):
        work.give(key)
    work.until(lambda: work.at_work == MOST)
    work.hands.poll(10.0)
    assert (work.hands.hung, len(work.results)) == (MOST, MOST)
    assert "no answer in 10 s" in str(work.results[0][2])
    work.until(lambda: work.at_work == 2 * MOST, 10.0)
    work.hands.poll(20.0)
    work.hands.poll(30.0)
    time.sleep(0.02)
    assert (work.hands.hung, work.at_work, len(work.results)) == (2 * MOST, 2 * MOST, 2 * MOST)
    assert not work.give(0)


def test_what_a_hung_one_says_in_the_end_is_not_heard_and_its_key_is_free(work):
    work.give("a", limit=1.0)
    work.until(lambda: work.at_work == 1)
    work.hands.poll(1.0)
    work.let_go.set()
    work.until(lambda: work.give("a", lambda: "new"), 2.0)
    work.until(lambda: len(work.results) == 2, 2.0)
    assert [(result, type(error)) for _, result, error, _ in work.results] == [
        (None, TimeoutError),
        ("new", type(None)),
    ]


def test_without_a_thread_the_job_waits(work, monkeypatch):
    class NoThread:
        def __init__(self, **_options):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    work.give("a", lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr(module.threading, "Thread", NoThread)
        work.hands.poll(0.0)
        assert not work.results
    work.until(lambda: work.results, 100.0)
    assert work.results[0][1] == 1


def test_what_can_wait_leaves_hands_to_the_others():
    free, began = threading.Event(), []
    hands = Hands(lambda: None)

    def give(name, work, *, lesser=False):
        hands.give(name, work, limit=60, done=lambda result, error, now: None, lesser=lesser)

    for number in range(4):
        give(number, lambda number=number: (began.append(number), free.wait(30)), lesser=True)
    give("other", lambda: began.append("other"))
    hands.poll(0.0)
    assert sum(job.lesser for job in hands._at_work) == 2
    assert len(hands._at_work) == 3
    free.set()
    deadline = time.monotonic() + 20
    while len(began) < 5 and time.monotonic() < deadline:
        hands.poll(0.0)
        time.sleep(0.01)
    assert sorted(map(str, began)) == ["0", "1", "2", "3", "other"]
