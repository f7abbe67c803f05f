"""The reaper: cuts at the time, and only what is still its to cut."""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import threading
import time
import weakref
from math import inf

import pytest
from stepping import stepping

from meshware.outbound import reaper as reapers
from meshware.outbound.reaper import Cut, Reaper

SOON = 0.05
PATIENCE = 5.0


@pytest.fixture
def pair():
    """Two ends of a connection."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def is_cut(sock):
    """Whether a read returns at once."""
    sock.settimeout(0.05)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    assert condition()


# The right to cut


def test_a_cut_that_is_fired_shuts_the_socket_and_says_so(pair):
    cut = Cut(inf)
    cut.attach(pair[0])
    cut.fire()
    assert is_cut(pair[0])
    assert not cut.release()


def test_a_socket_that_was_given_back_is_never_cut(pair):
    cut = Cut(0.0)
    cut.attach(pair[0])
    assert cut.release()
    cut.fire()
    assert not cut.fired
    assert not is_cut(pair[0])


def test_a_connection_that_comes_up_after_the_deadline_is_cut_at_once(pair):
    cut = Cut(0.0)
    cut.fire()
    cut.attach(pair[0])
    assert is_cut(pair[0])


def test_a_socket_that_is_closed_already_needs_no_cut(pair):
    cut = Cut(0.0)
    cut.attach(pair[0])
    pair[0].close()
    cut.fire()
    assert cut.fired


def test_one_that_was_put_off_is_not_due_at_its_old_time(pair):
    cut = Cut(10.0)
    cut.attach(pair[0])
    assert cut.put_off(20.0)
    cut.fire(15.0)
    assert not cut.fired
    cut.fire(20.0)
    assert cut.fired
    assert not cut.put_off(30.0)


def test_only_what_nobody_has_moved_since_can_be_moved():
    cut = Cut(10.0)
    assert cut.move(10.0, 12.0)
    assert not cut.move(10.0, 14.0)
    cut.release()
    assert not cut.move(12.0, 14.0)


def test_when_put_off_nobody_is_asked_any_more():
    cut = Cut(10.0, lambda now: now + 100)
    assert cut.due(10.0) == 110.0
    cut.put_off(20.0)
    assert cut.due(20.0) == 20.0


def test_it_may_be_put_off_between_any_two_bytecodes_of_asking():
    """Asking is the reaper's, putting off the caller's; neither waits for the other."""

    def asked(at):
        cut, passed = Cut(10.0, lambda now: now + 1), 0

        def step(code, offset):
            nonlocal passed
            passed += 1
            if passed == at:
                cut.put_off(20.0)

        with stepping(step, {Cut.due.__code__}):
            assert cut.due(10.0) in (10.0, 11.0)
        cut.fire(10.0)
        assert cut.fired == (passed < at)
        return passed >= at

    at = 1
    while asked(at):
        at += 1
    assert at > 5


def test_giving_back_inside_a_cut_of_the_same_thread_does_not_deadlock(pair):
    """A collector that runs while the reaper fires may end another answer, or this one."""
    cut = Cut(0.0)
    cut.attach(pair[0])
    with cut._lock:
        assert cut.release()
    cut.fire()
    assert not is_cut(pair[0])


def test_what_was_given_back_keeps_no_call_alive():
    """The reaper drops it only when its time comes, which may be minutes."""

    class Call:
        def overdue(self, now):
            return now

    call = Call()
    gone = weakref.ref(call)
    reaper, cut = Reaper(), Cut(time.monotonic() + 60, call.overdue)
    reaper.watch(cut)
    del call
    assert gone() is not None
    cut.release()
    assert gone() is None
    assert len(reaper) == 1


def test_racing_threads_agree_on_who_had_the_socket():
    for _ in range(300):
        mine, theirs = socket.socketpair()
        cut = Cut(0.0)
        cut.attach(mine)
        kept = []
        firing = threading.Thread(target=cut.fire)
        giving = threading.Thread(target=lambda cut=cut, kept=kept: kept.append(cut.release()))
        firing.start()
        giving.start()
        firing.join()
        giving.join()
        assert kept == [not is_cut_now(mine)]
        mine.close()
        theirs.close()


def is_cut_now(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


# The thread


def test_it_fires_at_the_time_and_not_before(pair):
    cut = Cut(time.monotonic() + SOON)
    cut.attach(pair[0])
    Reaper().watch(cut)
    assert not cut.fired
    began = time.monotonic()
    wait_for(lambda: cut.fired)
    assert time.monotonic() - began >= SOON - 0.01


def test_an_earlier_deadline_that_comes_later_is_not_kept_waiting():
    reaper = Reaper()
    late, early = Cut(time.monotonic() + 60), Cut(time.monotonic() + SOON)
    reaper.watch(late)
    time.sleep(0.01)
    reaper.watch(early)
    wait_for(lambda: early.fired)
    assert not late.fired
    late.release()


def test_what_has_no_end_is_not_watched():
    reaper = Reaper()
    reaper.watch(Cut(inf))
    assert len(reaper) == 0


def test_it_asks_before_it_cuts_and_waits_on_as_told():
    asked = []

    def extend(now):
        asked.append(now)
        return now + SOON if len(asked) == 1 else now

    cut = Cut(time.monotonic() + SOON, extend)
    Reaper().watch(cut)
    wait_for(lambda: cut.fired)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= SOON - 0.01


def test_when_it_cannot_learn_more_it_keeps_the_deadline(caplog):
    def broken(now):
        raise RuntimeError("no idea")

    reaper, cut, after = Reaper(), Cut(time.monotonic(), broken), Cut(time.monotonic() + SOON)
    with caplog.at_level(logging.ERROR, "meshware"):
        reaper.watch(cut)
        reaper.watch(after)
        wait_for(lambda: cut.fired and after.fired)
    assert "keeps it" in caplog.text


def test_one_that_was_put_off_while_it_waited_fires_at_its_new_time():
    reaper = Reaper()
    cut = Cut(time.monotonic() + SOON)
    reaper.watch(cut)
    cut.put_off(time.monotonic() + 3 * SOON)
    reaper.watch(cut)
    time.sleep(1.5 * SOON)
    assert not cut.fired
    wait_for(lambda: cut.fired)


def test_one_that_is_given_back_while_it_is_asked_is_left_alone():
    def give_back(now):
        cut.release()
        return now + 60

    reaper = Reaper()
    cut = Cut(time.monotonic(), give_back)
    reaper.watch(cut)
    wait_for(lambda: len(reaper) == 0)
    assert not cut.fired


@pytest.mark.parametrize("at", [1e10, 1e300, float("nan"), inf, -inf])
def test_it_lives_on_whatever_it_is_to_wait_for(monkeypatch, at):
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    reaper, odd, after = Reaper(), Cut(at), Cut(time.monotonic() + SOON)
    reaper.watch(odd)
    time.sleep(SOON)
    reaper.watch(after)
    wait_for(lambda: after.fired)
    assert odd.fired is (at == -inf)
    assert died == []


def test_what_was_given_back_does_not_pile_up():
    reaper = Reaper()
    for _ in range(10_000):
        cut = Cut(time.monotonic() + 60)
        reaper.watch(cut)
        cut.release()
    assert len(reaper) <= 1100


def test_what_is_due_in_a_row_is_cut_in_a_row():
    reaper, now = Reaper(), time.monotonic()
    cuts = [Cut(now + each / 1000) for each in random.sample(range(100), 100)]
    for cut in cuts:
        reaper.watch(cut)
    wait_for(lambda: all(cut.fired for cut in cuts))
    assert len(reaper) == 0


def test_what_was_cut_is_not_kept():
    class Call:
        def overdue(self, now):
            return now

    call, reaper = Call(), Reaper()
    gone = weakref.ref(call)
    reaper.watch(Cut(time.monotonic() + SOON, call.overdue))
    del call
    assert gone() is not None
    wait_for(lambda: gone() is None)


def test_without_a_thread_to_be_had_calls_go_on_and_the_next_one_tries_again(monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    reaper, first, second = Reaper(), Cut(time.monotonic()), Cut(time.monotonic())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        reaper.watch(first)
    assert not first.fired
    reaper.watch(second)
    wait_for(lambda: first.fired and second.fired)


def test_a_thread_that_has_died_is_started_again(monkeypatch):
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda details: died.set())
    clock = iter([MemoryError()])

    def now():
        for error in clock:
            raise error
        return time.monotonic()

    reaper, first, second = Reaper(now), Cut(time.monotonic()), Cut(time.monotonic())
    reaper.watch(first)
    assert died.wait(PATIENCE)
    assert not first.fired
    reaper.watch(second)
    wait_for(lambda: first.fired and second.fired)


def test_tls_bytes_that_were_queued_are_not_turned_into_ciphertext(authority):
    """`SSLSocket.shutdown` would hand the reader raw records; ours ends the file."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepted = []
        thread = threading.Thread(
            target=lambda: accepted.append(server.wrap_socket(listening.accept()[0], server_side=True))
        )
        thread.start()
        sock = client.wrap_socket(socket.create_connection(listening.getsockname()), server_hostname="inventory")
        thread.join()
    accepted[0].sendall(b"x" * 40_000)
    cut = Cut(0.0)
    cut.attach(sock)
    assert sock.recv(10) == b"x" * 10
    cut.fire()
    rest = b""
    try:
        while part := sock.recv(65536):
            rest += part
    except OSError:
        pass  # the end came without a close_notify
    assert set(rest) <= {ord("x")}
    sock.close()
    accepted[0].close()


@pytest.mark.row("F61")
def test_a_lock_that_another_thread_held_at_the_fork_stops_no_child(monkeypatch):
    """Whoever held it is not there to let go of it: a collected answer of the parent's would wait for ever."""
    monkeypatch.setattr(reapers, "_reaper", Reaper())
    cut, held, done = Cut(time.monotonic() + 60), threading.Event(), threading.Event()
    reapers.reaper().watch(cut)

    def hold(lock):
        with lock:
            held.set()
            done.wait(PATIENCE)

    holding = threading.Thread(target=hold, args=(cut._lock,))
    holding.start()
    assert held.wait(PATIENCE)
    reapers._after_fork()  # as in the child, where nobody would ever set `done`
    giving = threading.Thread(target=cut.release)
    giving.start()
    giving.join(PATIENCE)
    assert not giving.is_alive()
    done.set()
    holding.join()


def test_one_that_was_being_cut_at_the_fork_stops_no_child_either():
    asking, done = threading.Event(), threading.Event()

    def extend(now):
        asking.set()
        done.wait(PATIENCE)
        return now

    reaper, cut = Reaper(), Cut(time.monotonic(), extend)
    reaper.watch(cut)
    assert asking.wait(PATIENCE)
    lock = cut._lock
    reaper.forked()
    assert cut._lock is not lock
    done.set()
    wait_for(lambda: cut.fired)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # with threads, from 3.12 on
def test_a_forked_child_has_a_reaper_of_its_own():
    parents = reapers.reaper()
    parents.watch(Cut(time.monotonic() + 60))
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        cut = Cut(time.monotonic() + 0.01)
        reapers.reaper().watch(cut)
        time.sleep(0.2)
        os.write(writing, b"y" if cut.fired and reapers.reaper() is not parents else b"n")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 1) == b"y"
    os.close(reading)
    os.close(writing)
