"""The housekeeper: what it does in a round, its background connects on real sockets, and its thread's life."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest
from world import NAME, World

from meshware.core.endpoint import Endpoint
from meshware.core.events import PluginFailed
from meshware.core.outcome import Cause
from meshware.housekeeper import Attended, Housekeeper, Probes

PATIENCE = 5.0
THREAD = "meshware-housekeeper"


@pytest.fixture
def listening():
    """A port that accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusing():
    """A port that refuses: it was bound a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def full():
    """A port whose queue is full: a connect neither succeeds nor fails."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(server.getsockname())
        waiting.append(sock)
    yield server.getsockname()[1]
    for sock in (*waiting, server):
        sock.close()


@pytest.fixture
def probes():
    made = Probes()
    yield made
    made.close()


def outcome_of(probes, endpoint, *, timeout=1.0):
    """Start a connect and poll until it is done."""
    results = []
    probes.start(endpoint, timeout, lambda *facts: results.append(facts), time.monotonic())
    until = time.monotonic() + PATIENCE
    while not results and time.monotonic() < until:
        probes.poll(time.monotonic())
        time.sleep(0.005)
    assert len(probes) == 0
    ((who, ok, _),) = results
    assert who is endpoint
    return ok


def test_a_connect_that_succeeds_is_told(probes, listening):
    assert outcome_of(probes, Endpoint(f"127.0.0.1:{listening}"))


def test_a_connect_that_is_refused_is_told(probes):
    assert not outcome_of(probes, Endpoint(f"127.0.0.1:{refusing()}"))


def test_a_connect_that_hangs_ends_at_its_timeout(probes, full):
    assert not outcome_of(probes, Endpoint(f"127.0.0.1:{full}"), timeout=0.1)


def test_a_host_name_is_connected_on_a_thread_of_its_own(probes, listening):
    assert outcome_of(probes, Endpoint(f"localhost:{listening}"))
    assert not outcome_of(probes, Endpoint("no-such-host.invalid:80"))


def test_a_connect_that_fails_at_once_is_no_success(probes):
    """There is no route to the broadcast address: the socket never began to connect, so it has no error to show."""
    assert not outcome_of(probes, Endpoint("255.255.255.255:80"))


def test_a_name_that_cannot_be_looked_up_is_no_success_and_stops_no_round(probes):
    assert not outcome_of(probes, Endpoint("a..b:80"))


def test_one_connect_at_a_time_per_endpoint(probes, full):
    endpoint = Endpoint(f"127.0.0.1:{full}")
    named = Endpoint(f"localhost:{full}")
    for _ in range(3):
        probes.start(endpoint, 0.2, lambda *facts: None, time.monotonic())
        probes.start(named, 0.2, lambda *facts: None, time.monotonic())
    assert len(probes) == 2
    until = time.monotonic() + PATIENCE
    while len(probes) and time.monotonic() < until:
        probes.poll(time.monotonic())
        time.sleep(0.01)


def test_without_a_descriptor_to_spare_nothing_is_said_of_the_endpoint(probes, monkeypatch):
    def none_left(*args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    probes.start(Endpoint("127.0.0.1:80"), 1.0, lambda *facts: pytest.fail("judged"), 0.0)
    assert len(probes) == 0


def refuse(world, endpoint):
    """A call whose connect this endpoint refuses, and whose retry nobody makes."""
    call = world.call()
    attempt = call.begin(world.now)
    while attempt.endpoint is not endpoint:
        call.abandon(attempt, world.now)
        call = world.call()
        attempt = call.begin(world.now)
    step = world.fail(call, attempt, Cause.REFUSED, sent=False)
    call.abandon(step.attempt, world.now)


def test_a_round_settles_refreshes_and_tries_what_refused(listening):
    world = World(2)
    world.service.replace([Endpoint(f"127.0.0.1:{listening}"), Endpoint("10.0.0.2:80")], world.now)
    keeper = Housekeeper(lambda: [world.service], clock=lambda: world.now)
    refuse(world, world.endpoints[0])
    assert not world.endpoints[0].availability.available(world.now)
    assert keeper.round(world.now)
    assert not world.service.changed
    world.now += 2
    until = time.monotonic() + PATIENCE
    while not world.endpoints[0].availability.available(world.now) and time.monotonic() < until:
        keeper.round(world.now)
        time.sleep(0.005)
    assert world.endpoints[0].availability.available(world.now)
    keeper.stop()


def test_a_round_gives_back_what_endings_left_behind():
    world = World()
    keeper = Housekeeper(lambda: [world.service])
    call = world.call()
    held = world.answer(call, call.begin(world.now), 503).attempt
    assert world.tokens == 1.0
    call.abandon(held, world.now)
    keeper.round(world.now)
    assert world.tokens == 2.0
    keeper.stop()


def test_a_round_with_nothing_to_do_says_so():
    world = World()
    keeper = Housekeeper(lambda: [world.service])
    assert not keeper.round(world.now)
    keeper.stop()


class Due:
    """A source that wants to be kept at a time."""

    def __init__(self, due):
        self.due = due

    def keep(self, now, hands):
        pass


@pytest.mark.parametrize(("after", "rests"), [(0.3, 0.3), (-5.0, 0.05), (100.0, 1.0), (float("inf"), 1.0)])
def test_it_rests_until_the_first_source_is_due(after, rests):
    world, other = World(), World()
    keeper = Housekeeper(lambda: [world.service, other.service], clock=lambda: world.now)
    world.service.source, other.service.source = Due(world.now + after), Due(world.now + 200.0)
    keeper.round(world.now)
    assert keeper._idle() == pytest.approx(rests)
    keeper.stop()


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    assert condition()


def test_it_starts_once_is_woken_and_stops():
    world = World()
    keeper = Housekeeper(lambda: [world.service], clock=lambda: world.now)
    assert not keeper.running
    keeper.start()
    keeper.start()
    assert keeper.running
    world.service.wake = keeper.wake
    world.service.change()
    wait_for(lambda: not world.service.changed)
    keeper.stop()
    assert not keeper.running
    keeper.start()
    assert not keeper.running


def test_a_beat_that_comes_late_tells_that_the_process_stood_still():
    stood, began = 0.0, time.monotonic()
    keeper = Housekeeper(lambda: (), clock=lambda: time.monotonic() + stood, sweep=lambda now: True)
    keeper.start()
    wait_for(lambda: keeper.lateness.overdue_at < float("inf"))
    stood = 5.0
    wait_for(lambda: keeper.lateness.ended > began)
    assert 4.9 < keeper.lateness.since(began, time.monotonic() + stood) < 5.0 + PATIENCE
    keeper.stop()
    assert keeper.lateness.overdue_at == float("inf")


def test_while_calls_go_out_it_beats_and_a_call_ends_a_long_rest():
    world, beats = World(), []
    attended = Attended(time.monotonic)

    def sweep(now):
        beats.append(now)
        return attended.lately(now)

    keeper = Housekeeper(attended.services, sweep=sweep)
    keeper.start()
    wait_for(lambda: keeper._resting)
    rested = len(beats)
    attended.add(world.service)
    keeper.stir()
    wait_for(lambda: len(beats) > rested + 5)
    keeper.stop()


def test_without_a_thread_to_be_had_calls_go_on_and_the_next_one_tries_again(monkeypatch, probes):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    keeper = Housekeeper(lambda: ())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        keeper.start()
        assert not keeper.running
        probes.start(Endpoint("localhost:80"), 1.0, lambda *facts: pytest.fail("judged"), 0.0)
        assert len(probes) == 0
    keeper.start()
    assert keeper.running
    keeper.stop()


def test_many_first_calls_at_once_start_one_thread():
    before = threading.enumerate()
    keeper = Housekeeper(lambda: ())
    barrier = threading.Barrier(16)

    def start():
        barrier.wait()
        keeper.start()

    starters = [threading.Thread(target=start) for _ in range(16)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len([each for each in threading.enumerate() if each.name == THREAD and each not in before]) == 1
    keeper.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_started_again():
    threads = []

    def services():
        threads.append(threading.current_thread())
        if len(threads) == 1:
            raise SystemExit  # ends a thread without a word
        return ()

    keeper = Housekeeper(services)
    keeper.start()
    wait_for(lambda: threads and not threads[0].is_alive())
    assert not keeper.running
    keeper.start()
    wait_for(lambda: len(threads) > 1)
    assert keeper.running
    keeper.stop()


def test_a_round_that_fails_is_logged_and_it_goes_on(caplog):
    rounds = []

    def services():
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("first round")
        return ()

    keeper = Housekeeper(services)
    with caplog.at_level(logging.ERROR, "meshware"):
        keeper.start()
        keeper.wake()
        wait_for(lambda: rounds)
        keeper.wake()
        wait_for(lambda: len(rounds) > 1)
    keeper.stop()
    assert "failed in a round" in caplog.text


def failures(world):
    return [each.plugin for each in world.events if isinstance(each, PluginFailed)]


def test_a_service_that_fails_keeps_no_other_from_being_looked_after():
    bad, good = World(1), World(1)
    keeper = Housekeeper(lambda: [bad.service, good.service])
    bad.service.ejection.waiting = {"nobody": None}  # a fault of ours
    good.service.changed = True
    keeper.round(good.now)
    keeper.stop()
    assert not good.service.changed
    assert failures(bad) == ["housekeeping"]


def test_a_connect_that_cannot_be_believed_is_told_of_and_stops_no_round(listening, monkeypatch):
    world = World(2)
    world.service.replace([Endpoint(f"127.0.0.1:{listening}"), Endpoint("10.0.0.2:80")], world.now)
    keeper = Housekeeper(lambda: [world.service])
    refuse(world, world.endpoints[0])
    monkeypatch.setattr(world.service.ejection, "connected", None)  # a fault of ours
    world.now += 2
    until = time.monotonic() + PATIENCE
    while not failures(world) and time.monotonic() < until:
        keeper.round(world.now)
        time.sleep(0.005)
    keeper.stop()
    assert set(failures(world)) == {"ejection"}


def test_after_a_fork_it_is_as_before_its_first_start(full):
    world = World(2)
    world.service.replace([Endpoint(f"127.0.0.1:{full}"), Endpoint("10.0.0.2:80")], world.now)
    keeper = Housekeeper(lambda: [world.service], clock=lambda: world.now)
    refuse(world, world.endpoints[0])
    world.now += 2
    assert keeper.round(world.now)  # a connect is under way
    keeper.after_fork()
    assert not keeper.running
    keeper.start()
    assert keeper.running
    keeper.stop()


def test_a_forked_child_leaves_its_parents_connects_alone(probes, full):
    """A child shares the parent's epoll: what it closes must stay registered there."""
    endpoint, results = Endpoint(f"127.0.0.1:{full}"), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: some thread of the test run may be alive
        probes.start(endpoint, 0.2, lambda *facts: results.append(facts), 0.0)
        child = os.fork()
        if child == 0:
            probes.close()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    probes.poll(0.1)
    assert len(probes) == 1
    probes.poll(0.2)
    assert [ok for _, ok, _ in results] == [False]


def test_a_forked_child_has_no_thread_until_its_first_call():
    program = f"""
import os, sys, threading
sys.path.insert(0, {os.path.dirname(__file__)!r})
from meshware.core.request import Request
from meshware.mesh import Mesh
mesh = Mesh.from_settings({{"services": {{"{NAME}": {{"endpoints": ["127.0.0.1:9"]}}}}}})
service = mesh.services["{NAME}"]
call = mesh.call(service, Request("GET", "{NAME}", "/", {{}}))
attempt = call.begin(mesh.clock())
assert mesh.status()["{NAME}"]["127.0.0.1:9"]["in_flight"] == 1
pid = os.fork()
if pid == 0:
    assert threading.active_count() == 1
    assert mesh.status()["{NAME}"]["127.0.0.1:9"]["in_flight"] == 0
    mesh.call(mesh.services["{NAME}"], Request("GET", "{NAME}", "/", {{}}))
    assert threading.active_count() == 2
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
call.abandon(attempt, mesh.clock())
mesh.close()
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program], check=True, timeout=30
    )
