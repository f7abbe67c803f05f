"""What the workers of one host share, each a real process with a real file between them."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess

import pytest
from sharing.conftest import swept

from meshware.sharing.layout import WORKERS
from meshware.sharing.membership import FRESH

A, B, C = (f"10.0.0.{number}:80" for number in (1, 2, 3))
START = 1000.0


def files(directory) -> list[str]:
    return sorted(each.name for each in directory.rglob("*") if each.is_file())


def test_what_one_worker_has_in_flight_the_others_see_at_once(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)

    one.hold(address=A, now=now)
    one.hold(address=A, now=now)
    two.hold(address=A, now=now)

    assert one.state(now=now)["load"] == two.state(now=now)["load"] == {A: 3, B: 0, C: 0}
    one.drop(now=now)
    assert two.state(now=now)["load"][A] == 1


def test_answers_that_others_had_move_the_cost_as_ones_own(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)

    for _ in range(12):
        for address, elapsed in ((B, 0.01), (A, 0.2), (C, 0.01)):
            one.answers(address=address, now=now, elapsed=elapsed)
        now = swept(workers, now + 0.1)

    heard, known = two.state(now=now)["cost"], one.state(now=now)["cost"]
    assert heard[A] > 3 * heard[B]
    assert heard == pytest.approx(known, rel=0.6)


def test_failures_that_others_had_have_their_price(hire):
    workers = one, two = hire(2, ejection={"enabled": False})
    now = swept(workers, START)
    two.answers(address=B, now=now, count=20)

    one.answers(address=A, now=now, count=3, elapsed=0.001, status=500)
    now = swept(workers, now + 1)

    cost = two.state(now=now)["cost"]
    assert cost[A] > 10 * cost[B]


def test_an_endpoint_that_one_worker_ejects_is_out_for_all_and_comes_back_for_all(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)

    one.answers(address=A, now=now, count=3, status=500)
    now = swept(workers, now + 0.1)
    assert two.state(now=now)["states"][A] == "ejected (another worker of this host has ejected it)"

    later = now + 1.5
    assert not two.state(now=later)["trial"], "who has ejected it tries it, and nobody else"
    assert one.state(now=later)["trial"]
    one.answers(address=B, now=later)  # would be the trial; the one above was not used
    assert two.state(now=later)["states"][A] != "available"


def test_who_dies_leaves_his_ejections_to_the_others(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    one.answers(address=A, now=now, count=3, status=500)
    now = swept(workers, now + 0.1)

    one.kill()
    now = swept([two], now)

    assert two.state(now=now + 20.0)["trial"]


CHECK = {"call": "sharing.asked:ask", "healthy": 1, "unhealthy": 1}


def checked(workers, now, ailing=()):
    """Who asks whom, an interval later; everybody hears of it."""
    for each in workers:
        each.check(now=now, ailing=ailing)  # the endpoints become known
    now = swept(workers, now + 0.1) + 7.0
    for each in workers:
        each.sweep(now=now)  # all are awake
    asked = [each.check(now=now, ailing=ailing) for each in workers]
    return asked, swept(workers, now)


def test_one_worker_checks_health_for_all_and_the_others_follow(hire):
    workers = hire(2, health_check=CHECK)
    now = swept(workers, START)
    asked, now = checked(workers, now, [A])
    assert sorted(map(len, asked)) == [0, 3], "one of them asks all, the other nobody"
    assert {each.state(now=now)["states"][A].partition(" ")[0] for each in workers} == {"unhealthy"}
    assert {each.state(now=now)["states"][B] for each in workers} == {"available"}

    asked, now = checked(workers, now)
    assert sorted(map(len, asked)) == [0, 3]
    assert not any("unhealthy" in each.state(now=now)["states"][A] for each in workers)


@pytest.mark.parametrize("gone", ["killed", "asleep"])
def test_when_the_one_who_checks_is_gone_another_takes_over(hire, gone):
    workers = hire(3, health_check=CHECK)[:2]
    now = swept(workers, START)
    asked, now = checked(workers, now, [A])
    first = workers[0] if asked[0] else workers[1]
    (other,) = [each for each in workers if each is not first]
    if gone == "killed" and hasattr(first, "kill"):
        first.kill()
    asked, now = checked([other], now + 10.0)
    assert asked == [[A, B, C]]
    assert "unhealthy" not in other.state(now=now)["states"][A]


def test_services_that_are_checked_are_shared_though_nobody_calls_them(hire):
    workers = hire(2, health_check=CHECK)
    for each in workers:
        each.rest()
    now = swept(workers, START)
    asked, _ = checked(workers, now)
    assert sorted(map(len, asked)) == [0, 3]


def test_a_retry_budget_is_one_for_the_host(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    assert one.state(now=now)["tokens"] + two.state(now=now)["tokens"] == 2.0

    assert one.withdraw(now=now)
    assert one.withdraw(now=now)
    now = swept(workers, now)

    assert not two.state(now=now)["affordable"]
    assert not two.withdraw(now=now)


def test_a_limit_of_calls_in_flight_is_one_for_the_host(hire):
    workers = one, two = hire(2, limits={"start": 8})
    now = swept(workers, START)
    one.answers(address=A, now=now, count=20, status=500)  # the service is in trouble
    two.answers(address=A, now=now, count=20, status=500)
    for _ in range(7):
        one.hold(address=B, now=now)
    now = swept(workers, now)

    two.hold(address=B, now=now)
    assert "8 in flight" in two.state(now=now)["refused"]


def test_a_worker_that_has_nothing_in_flight_does_not_hold_the_limit_of_the_others(hire):
    workers = _, two = hire(2, limits={"start": 50})
    now = swept(workers, START)
    two.answers(address=A, now=now, count=30, status=429)

    before = two.state(now=now)["limit"]
    now = swept(workers, now)

    assert before < 15
    assert two.state(now=now)["limit"] == before, "one has nothing in flight"


def test_files_that_somebody_has_spoilt_do_not_keep_a_worker_from_closing(hire, directory):
    workers = one, two = hire(2)
    now = swept(workers, START)
    for each in directory.rglob("*.counts"):
        each.unlink()
        each.write_bytes(b"nonsense")

    two.close(now=now)
    one.close(now=now)
    assert one.status()["reason"] == two.status()["reason"] == "closed"


def test_a_recycled_worker_starts_with_what_the_others_know(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    for address, elapsed in ((A, 0.3), (B, 0.01), (C, 0.01)):
        one.answers(address=address, now=now, count=12, elapsed=elapsed)
    now = swept(workers, now + 0.5)
    two.end()

    (fresh,) = hire()
    now = swept([one, fresh], now)

    cost = fresh.state(now=now)["cost"]
    assert cost[A] > 3 * cost[B]


def test_what_a_killed_worker_had_in_flight_is_gone_once_it_has_missed_a_sweep(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    for _ in range(5):
        one.hold(address=A, now=now)
    assert two.state(now=now)["load"][A] == 5

    one.kill()
    two.sweep(now=now + FRESH)

    assert two.state(now=now)["load"][A] == 0
    assert two.status()["workers"] == [two.pid]


def test_a_server_is_as_busy_as_all_its_workers(hire):
    workers = one, two = hire(2)
    one.serve(count=3, now=START)
    two.serve(count=1, now=START)
    now = swept(workers, START)
    assert one.state(now=now)["served"] == two.state(now=now)["served"] == [4, 8]

    one.kill()
    now = swept([two], now)
    assert two.state(now=now)["served"] == [1, 4]


def test_counts_outlive_who_has_counted(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    one.answers(address=A, now=now, count=7)
    two.answers(address=B, now=now, count=2)
    two.answers(address=B, now=now, count=1, status=500)
    now = swept(workers, now + 1)
    assert [one.counts()["inventory"][each] for each in ("good", "bad", "late")] == [9, 1, 0]

    one.kill()
    now = swept([two], now)

    counted = two.counts()["inventory"]
    assert [counted[each] for each in ("good", "bad", "late")] == [9, 1, 0]
    assert sum(counted["buckets"]) == 10


def test_the_last_to_leave_takes_every_file_away(hire, directory):
    workers = one, two = hire(2)
    now = swept(workers, START)
    one.answers(address=A, now=now)
    assert len(files(directory)) == 3

    one.close(now=now)
    assert len(files(directory)) == 3, "totals in place of its counts"
    two.close(now=now)

    assert files(directory) == []


def test_who_was_killed_leaves_nothing_to_who_comes_later(hire, directory):
    (one,) = hire()
    now = swept([one], START)
    one.hold(address=A, now=now)
    one.kill()

    (two,) = hire()
    now = swept([two], now)
    assert two.state(now=now)["load"][A] == 0
    two.close(now=now)

    assert files(directory) == []


def test_a_board_is_this_users_alone(hire, directory):
    (one,) = hire()
    swept([one], START)

    for path in directory.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_workers_with_other_settings_share_nothing_and_are_told(hire):
    (one,) = hire()
    now = swept([one], START)
    (two,) = hire(settings="others")
    now = swept([one, two], now)

    one.hold(address=A, now=now)

    state = two.state(now=now)
    assert state["load"][A] == 0
    assert [each for each in state["events"] if each.startswith("BoardsApart")] == ["BoardsApart: "]


def test_services_of_other_names_share_nothing_and_say_nothing(hire):
    (one,) = hire()
    now = swept([one], START)
    (two,) = hire(name="bank")
    now = swept([one, two], now)
    one.hold(address=A, now=now)

    state = two.state(now=now)
    assert state["load"][A] == 0
    assert state["events"] == []


def test_endpoints_beyond_the_room_are_each_workers_own(hire):
    endpoints = [f"10.0.{number // 250}.{number % 250}:80" for number in range(520)]
    workers = one, two = hire(2, endpoints=endpoints)
    now = swept(workers, START)

    shared = two.state(now=now)["shared"]
    assert len(shared) == 512
    one.hold(address=endpoints[-1], now=now)
    assert two.state(now=now)["load"][endpoints[-1]] == 0
    assert one.state(now=now)["load"][endpoints[-1]] == 1


# A worker that cannot share goes on alone, and says why, once


def alone(worker, now: float) -> str:
    """The one line that a worker says which has to go on alone; and it works."""
    for _ in range(3):
        worker.sweep(now=now)
    worker.answers(address=A, now=now)
    worker.hold(address=A, now=now)
    state = worker.state(now=now)
    assert state["load"][A] == 1
    assert state["shared"] == []
    (line,) = state["events"]
    return line


def test_a_directory_that_cannot_be_written(hire):
    (one,) = hire(directory="/proc")
    assert "BoardLost: /proc/meshware" in alone(one, START)


def test_a_directory_that_others_may_write_to(hire, directory):
    mine = directory / f"meshware-{os.geteuid()}"
    mine.mkdir(parents=True)
    mine.chmod(0o777)
    (one,) = hire()
    assert "not a directory of this user's alone" in alone(one, START)


def test_a_link_in_the_directorys_place(hire, directory, tmp_path):
    directory.mkdir()
    (directory / f"meshware-{os.geteuid()}").symlink_to(tmp_path)
    (one,) = hire()
    assert "not a directory of this user's alone" in alone(one, START)


def board_of(hire, directory):
    (one,) = hire()
    swept([one], START)
    (board,) = (each for each in directory.rglob("shop*") if not each.name.endswith(".counts"))
    return one, board


@pytest.mark.parametrize("content", [b"", b"x", b"\x01" * 4096, None], ids=["empty", "short", "other", "version"])
def test_a_file_of_another_kind_or_version(hire, directory, content):
    one, board = board_of(hire, directory)
    if content is None:
        content = bytearray(board.read_bytes())
        content[8] += 1
    one.kill()
    board.write_bytes(content)

    (two,) = hire()
    assert "not a file of this version" in alone(two, START)


def test_a_file_that_others_may_read(hire, directory):
    one, board = board_of(hire, directory)
    one.kill()
    board.chmod(0o644)
    (two,) = hire()
    assert "not a file of this user's alone" in alone(two, START)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(hire, directory):
    one, board = board_of(hire, directory)
    one.kill()
    os.chown(board, 12345, 12345)
    (two,) = hire()
    assert "not a file of this user's alone" in alone(two, START)


def test_a_link_in_the_files_place(hire, directory, tmp_path):
    one, board = board_of(hire, directory)
    one.kill()
    board.rename(tmp_path / "elsewhere")
    board.symlink_to(tmp_path / "elsewhere")
    (two,) = hire()
    assert "BoardLost" in alone(two, START)


def test_a_worker_too_many(hire, directory):
    one, board = board_of(hire, directory)
    with board.open("r+b") as file:
        one.kill()
        fcntl.lockf(file, fcntl.LOCK_EX, WORKERS, 1)
        (two,) = hire()
        assert f"all {WORKERS} places are taken" in alone(two, START)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_full_disk(hire, directory):
    directory.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "full", directory], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (one,) = hire()
        assert "No space left on device" in alone(one, START)
        assert files(directory) == []
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_limit_of_a_files_size(hire, directory):
    (one,) = hire(file_size=100_000)
    assert "File too large" in alone(one, START)
    assert files(directory) == []
