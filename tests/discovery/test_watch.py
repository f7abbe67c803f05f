"""A discovery that watches: a thread of its own, started again when it ends, told when to stop."""

from __future__ import annotations

import threading
import time

import pytest
from discovery.conftest import Found

from meshware.discovery import Endpoints, source

A, B = "10.0.0.1:80", "10.0.0.2:80"
PATIENCE = 5.0


class Watching:
    """Publishes what the test puts in; `lives` counts its threads."""

    def __init__(self):
        type(self).last = self
        self.lives = 0
        self.over = threading.Event()
        self.fault = None

    def watch(self, publish, stop):
        self.lives += 1
        self.publish, self.stop = publish, stop
        try:
            while not stop.wait(0.002):
                if self.fault is not None:
                    fault, self.fault = self.fault, None
                    if fault == "return":
                        return
                    raise fault
        finally:
            self.over.set()


@pytest.fixture
def watched(registered):
    registered(Watching)
    world = Found()
    world.keep_house()
    until = time.monotonic() + PATIENCE
    while not hasattr(Watching.last, "publish") and time.monotonic() < until:
        time.sleep(0.002)
    yield world
    world.source.stop()
    assert Watching.last.over.wait(PATIENCE)


def until_told(world):
    until = time.monotonic() + PATIENCE
    while not world.source._told and time.monotonic() < until:
        time.sleep(0.002)
    world.keep_house()


def test_what_it_publishes_is_put_in_force_and_nobody_asks(watched):
    Watching.last.publish(Endpoints([A]))
    Watching.last.publish(Endpoints([A, B]))
    assert watched.addresses == []
    watched.keep_house()
    assert watched.addresses == [A, B]
    assert watched.service.arrival is None
    watched.pass_time(100_000.0)
    assert (watched.hands.jobs, Watching.last.lives) == (0, 1)


def test_the_service_is_woken_when_something_was_published(watched):
    woken = []
    watched.service.wake = lambda: woken.append(1)
    Watching.last.publish(Endpoints([A]))
    assert woken == [1]


@pytest.mark.parametrize("nonsense", [None, Endpoints(["nonsense"])])
def test_nonsense_is_reported_and_the_watch_goes_on(watched, nonsense):
    Watching.last.publish(nonsense)
    watched.keep_house()
    assert watched.source.failures == 1
    Watching.last.publish(Endpoints([A]))
    watched.keep_house()
    assert (watched.addresses, watched.source.error, Watching.last.lives) == ([A], "", 1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("return", "watch has returned"), (OSError("gone"), "OSError: gone"), (SystemExit("out"), "SystemExit: out")],
)
def test_one_that_ends_is_started_again_after_a_while_and_its_set_stays(watched, fault, said):
    Watching.last.publish(Endpoints([A]))
    watched.keep_house()
    Watching.last.fault = fault
    until_told(watched)
    assert said in watched.source.error
    assert (watched.addresses, Watching.last.lives) == ([A], 1)
    Watching.last.over.clear()
    watched.pass_time(1.3)
    until = time.monotonic() + PATIENCE
    while Watching.last.lives == 1 and time.monotonic() < until:
        time.sleep(0.002)
    assert Watching.last.lives == 2


def test_one_that_says_nothing_lets_the_callers_go_on(watched):
    assert watched.service.arrival is not None
    watched.pass_time(source.LIMIT - 0.1)
    assert watched.service.arrival is not None
    watched.pass_time(0.1)
    assert watched.service.arrival is None
    assert "no answer in 10 s" in watched.source.said
    watched.pass_time(100.0)
    assert watched.source.failures == 1


def test_after_it_was_stopped_nothing_is_taken(watched):
    watched.source.stop()
    assert Watching.last.over.wait(PATIENCE)
    Watching.last.publish(Endpoints([A]))
    watched.keep_house()
    assert (watched.addresses, Watching.last.lives) == ([], 1)


def test_without_a_thread_it_is_tried_again(registered, monkeypatch):
    class NoThread:
        def __init__(self, **_options):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    registered(Watching)
    world = Found()
    with monkeypatch.context() as patch:
        patch.setattr(source, "Thread", NoThread)
        world.keep_house()
        world.pass_time(0.5)
    assert Watching.last.lives == 0
    world.pass_time(0.6)
    until = time.monotonic() + PATIENCE
    while Watching.last.lives == 0 and time.monotonic() < until:
        time.sleep(0.002)
    assert Watching.last.lives == 1
    world.source.stop()
    assert Watching.last.over.wait(PATIENCE)
