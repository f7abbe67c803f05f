"""The queue of copies and its threads: bounded, gone when there is nothing to do, and anew after a fork."""

from __future__ import annotations

import os
import threading
import time

import pytest
from world import World

from meshware.core.mirrored import Answer
from meshware.core.plan import Plan
from meshware.outbound import copies
from meshware.outbound.copies import HELD, THREADS, Copy, Sender, sender_of
from meshware.outbound.copy_exchange import Body
from meshware.routing.mirror import Mirror, MirrorOptions


@pytest.fixture
def world(upstream):
    return World([upstream.address])


@pytest.fixture
def mirror(world):
    return Mirror("route", MirrorOptions(waiting=3), Plan(world.service), made_of=None)


def copy_of(world, path="/ok", body=b"", primary=None):
    return Copy(world.call(path=path), "inventory", body, primary)


def until(holds, within=5.0):
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


def at_work():
    return [each for each in threading.enumerate() if each.name == "meshware-mirror" and each.is_alive()]


def test_a_mirror_has_one_sender(mirror):
    assert sender_of(mirror) is sender_of(mirror)


def test_what_waits_is_bounded_by_number_and_by_bytes(world, mirror, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    sender = Sender(mirror)
    assert [sender.put(copy_of(world)) for _ in range(4)] == [True, True, True, False]
    sender = Sender(mirror)
    long = Answer(200, {}, bytes(HELD // 2))
    assert [sender.put(copy_of(world, body=bytes(HELD // 2), primary=long)) for _ in range(2)] == [True, False]


def test_threads_come_with_copies_and_go_without(world, mirror, upstream, monkeypatch):
    monkeypatch.setattr(copies, "IDLE", 0.1)
    assert until(lambda: not at_work(), within=10.0)  # of other tests
    sender = sender_of(mirror)
    for count in range(1, 2 * THREADS):
        assert sender.put(copy_of(world))
        assert until(lambda sent=count: len(upstream.requests) == sent)
        assert len(at_work()) <= 2  # the one before may not be through yet
    assert until(lambda: not at_work())
    assert upstream.let_go_within(5.0)
    for _ in range(2):
        sender.put(copy_of(world, "/sleep/0.2"))
    assert len(at_work()) == 2


def test_without_a_thread_to_be_had_the_next_copy_tries_again(world, mirror, upstream, monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    sender = sender_of(mirror)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert sender.put(copy_of(world))
    assert sender.put(copy_of(world))
    assert until(lambda: len(upstream.requests) == 2)


def test_a_fault_of_ours_ends_no_thread(world, mirror, upstream):
    sender, broken = sender_of(mirror), copy_of(world)
    broken.of.request.headers = None
    sender.put(broken)
    sender.put(copy_of(world))
    assert until(lambda: len(upstream.requests) == 1)
    assert [event.plugin for event in world.events if hasattr(event, "plugin")] == ["mirror"]


def test_a_request_that_http_cannot_say_is_nobodys_failure(world, mirror, upstream):
    bad = copy_of(world, path="/a b")
    sender_of(mirror).put(bad)
    assert until(lambda: mirror.status()["sent"] == 1)
    assert world.service.guard.failures == 0
    assert upstream.requests == []


def test_a_forked_child_begins_anew(world, mirror, upstream):
    sender = sender_of(mirror)
    sender.put(copy_of(world))
    assert until(lambda: mirror.status()["sent"] == 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = not sender._queue and sender._threads == 0 and not sender._connections
            sent = sender.put(copy_of(world)) and until(lambda: mirror.status()["sent"] == 2)
            os.write(write, b"good" if fresh and sent else b"bad")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"good"
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    ("encoding", "pieces", "plain"),
    [
        (None, [b"ab", b"cd"], b"abcd"),
        ("identity", [b"abcde"], None),
        ("br", [b"a"], None),
        ("gzip", [b"not", b"gzip"], None),
    ],
)
def test_a_body_is_known_whole_or_not_at_all(encoding, pieces, plain):
    body = Body(encoding, 4)
    for piece in pieces:
        body.add(piece)
    assert body.plain == plain
