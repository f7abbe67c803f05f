"""Whatever becomes of an answer, its slot, its socket and its memory come back."""

from __future__ import annotations

import gc
import signal
import threading
import time

import pytest
import requests
from faults.upstream import in_flight

URL = "http://inventory"


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture
def session(session_of, mesh):
    return session_of(mesh)


def closed(answer):
    answer.close()


def left_by_with(answer):
    with answer:
        next(answer.iter_content(10))


def dropped(answer):
    del answer


def generator_closed(answer):
    chunks = answer.iter_content(10)
    next(chunks)
    chunks.close()


def raw_released(answer):
    answer.raw.release_conn()


def in_a_cycle(answer):
    answer.itself = answer


DROPS = [closed, left_by_with, dropped, generator_closed, raw_released, in_a_cycle]


def half_read(session):
    answer = session.get(f"{URL}/big", stream=True)
    if len(answer.raw.read(50)) != 50:  # an assert would keep what it looked at
        raise AssertionError
    return answer


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Python's, for a socket in a cycle, as without us
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.soak)])
def test_answers_dropped_half_read(session, mesh, upstream, count):
    for number in range(count):
        DROPS[number % len(DROPS)](half_read(session))
    gc.collect()
    assert in_flight(mesh) == 0
    assert upstream.let_go_within(2.0)
    assert session.get(f"{URL}/ok").text == "ok"
    service = mesh.services["inventory"]
    service.settle(time.monotonic())
    assert service.guard.failures == 0
    assert not service.inbox


def test_an_answer_that_nobody_reads_is_in_flight_until_it_is_collected(session, mesh):
    answer = session.get(f"{URL}/stall-body", stream=True)
    assert mesh.status()["inventory"][mesh.services["inventory"].endpoints[0].address]["in_flight"] == 1
    del answer
    assert in_flight(mesh) == 0  # by reference count alone: nothing of ours keeps it in a cycle


@pytest.fixture
def ctrl_c():
    """SIGINT raises KeyboardInterrupt, as in a terminal; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_waiting_leaves_nothing(session, mesh, upstream, ctrl_c):
    def interrupt(connection, seen):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        connection.gone(5)

    upstream.answers["interrupt"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        session.get(f"{URL}/interrupt", timeout=5)
    assert in_flight(mesh) == 0
    assert upstream.let_go_within(2.0)


@pytest.mark.parametrize("seconds", [1.0, pytest.param(60, marks=pytest.mark.soak)])
def test_64_threads_on_one_service(mesh_of, session_of, upstreams, seconds):
    mesh = mesh_of({"timeout": 5.0}, inventory=upstreams)
    until, seen, wrong = time.monotonic() + seconds, [], []
    paths = ["ok", "ok", "ok", "echo", "chunked", "status/503", "close", "short", "big"]

    def work(number):
        session, count = session_of(mesh), 0
        while count < 3 or time.monotonic() < until:
            try:
                session.get(f"{URL}/{paths[(number + count) % len(paths)]}", stream=count % 5 == 0).close()
            except requests.RequestException:
                pass  # as scripted
            except BaseException as error:
                wrong.append(error)
                raise
            count += 1
        seen.append(count)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert wrong == []
    assert sum(seen) >= 3 * 64
    assert in_flight(mesh) == 0
    service = mesh.services["inventory"]
    service.settle(time.monotonic())
    assert service.budget.tokens >= 0


def together(mesh_of, session_of, upstreams, path):
    """Ten threads with a call each; gives the seconds that it took."""
    mesh = mesh_of(inventory=upstreams)
    session_of(mesh).get(f"{URL}/ok")
    threads = [threading.Thread(target=session_of(mesh).get, args=(f"{URL}/{path}",)) for _ in range(10)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_flight(mesh) == 0
    return time.monotonic() - began


@pytest.mark.row("F39")
def test_ten_threads_wait_together(mesh_of, session_of, upstreams):
    """None is answered before all ten have arrived."""
    barrier, arrived = threading.Barrier(10), []

    def wait(connection, seen):
        arrived.append(barrier.wait(60))
        return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    for server in upstreams:
        server.answers["barrier"] = wait
    together(mesh_of, session_of, upstreams, "barrier")
    assert sorted(arrived) == list(range(10))


@pytest.mark.soak
def test_ten_threads_that_wait_200_ms_take_300_at_most(mesh_of, session_of, upstreams):
    assert together(mesh_of, session_of, upstreams, "sleep/0.2") <= 0.3
