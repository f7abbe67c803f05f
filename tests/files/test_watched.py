"""A file that is looked at: what counts as a change, when it is read, and when it is left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from meshware.files import watched
from meshware.files.contents import Unreadable
from meshware.files.watched import Watched

OLD = 1_000.0


class Wall:
    """The time of day, set by hand."""

    now = OLD + 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def path(tmp_path):
    return put(tmp_path / "a.json", "one")


@pytest.fixture
def seen(path, wall):
    """The file, after a first look at it."""
    found = Watched(str(path), wall=wall)
    assert found.look() == b"one"
    return found


def put(path, text, at=OLD):
    """Another file in its place."""
    new = path.with_name("new")
    new.write_text(text)
    os.utime(new, (at, at))
    os.replace(new, path)
    return path


def write(path, text, at=OLD):
    """The same file, written again."""
    with open(path, "r+") as file:
        file.write(text)
        file.truncate()
    os.utime(path, (at, at))


def test_what_has_not_changed_is_not_read_again(seen, monkeypatch):
    monkeypatch.setattr(watched, "contents", None)
    assert [seen.look(), seen.look(), seen.moving] == [None, None, False]


def test_a_file_that_was_renamed_into_its_place_is_read_at_once(seen, path, wall):
    put(path, "two", at=wall.now)
    assert (seen.look(), seen.moving) == (b"two", True)
    assert (seen.look(), seen.moving) == (None, False)


def test_a_symlink_that_is_turned_is_another_file(tmp_path, wall):
    """As kubelet does it: mesh.json -> ..data/mesh.json, ..data -> ..1, and a rename turns ..data to ..2."""
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "mesh.json", name)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "mesh.json").symlink_to("..data/mesh.json")
    seen = Watched(str(tmp_path / "mesh.json"), wall=wall)
    assert seen.look() == b"..1"
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    assert seen.look() == b"..2"


def test_a_file_that_is_written_in_place_is_read_when_it_was_left_alone(seen, path, wall):
    write(path, "tw", at=wall.now)
    assert (seen.look(), seen.moving) == (None, True)
    write(path, "two", at=wall.now)
    assert seen.look() is None
    wall.now += watched.ALONE + 0.001
    assert seen.look() == b"two"


def test_a_file_that_is_never_left_alone_is_read_all_the_same(seen, path, wall):
    looks = []
    for turn in range(watched.PATIENCE + 1):
        write(path, f"turn {turn}", at=wall.now)
        looks.append(seen.look())
    assert looks == [None] * watched.PATIENCE + [f"turn {watched.PATIENCE}".encode()]


def test_a_file_that_has_the_number_of_the_last_one_is_another_all_the_same(seen, path, wall):
    """File systems give numbers away again: the third file in its place may have that of the first."""
    for turn in range(20):
        put(path, "between", at=wall.now)
        put(path, f"turn {turn}", at=wall.now)
        assert seen.look() == f"turn {turn}".encode()


def test_one_that_is_looked_at_no_more_is_not_kept_open(path):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for turn in range(20):
        seen = Watched(str(put(path, str(turn))))
        seen.read()
        put(path, str(turn + 1))
        seen.look()
    del seen
    assert before == 0 or len(os.listdir("/proc/self/fd")) == before


def test_a_time_to_come_puts_nothing_off(seen, path, wall):
    write(path, "two", at=wall.now + 3600.0)
    assert seen.look() == b"two"


def test_a_change_within_the_grain_of_the_files_clock_is_seen(path, wall):
    os.utime(path, (wall.now, wall.now))
    seen = Watched(str(path), wall=wall)
    assert seen.look() == b"one"
    before = os.stat(path)
    write(path, "two", at=wall.now)
    seen._stamp = watched.Stamp.of(str(path))  # as if nothing showed it
    assert before.st_size == os.stat(path).st_size
    assert seen.look() == b"two"
    wall.now += watched.GRAIN
    assert [seen.look(), seen._fresh] == [None, False]


def test_another_time_on_the_same_words_is_no_change(seen, path):
    os.utime(path, (OLD + 50.0, OLD + 50.0))
    assert (seen.look(), seen.moving) == (None, True)
    assert (seen.look(), seen.moving) == (None, False)


def test_one_that_changes_while_it_is_read_is_read_at_the_next_look(seen, path, monkeypatch):
    read = watched.contents

    def slow(name, *, size):
        data = read(name, size=size)
        put(path, "three")
        monkeypatch.setattr(watched, "contents", read)
        return data

    put(path, "two")
    monkeypatch.setattr(watched, "contents", slow)
    assert (seen.look(), seen.moving) == (None, True)
    assert seen.look() == b"three"


@pytest.mark.parametrize(
    ("what", "said"), [("gone", "No such file"), ("directory", "but that is none"), ("large", "at most 524,288 bytes")]
)
def test_what_cannot_be_read_says_so_each_time_and_is_told_when_it_is_back(seen, path, what, said):
    path.unlink()
    if what == "directory":
        path.mkdir()
    if what == "large":
        path.write_bytes(b"x" * 600_000)
    for _ in range(2):
        with pytest.raises(Unreadable, match=said):
            seen.look()
    path.rmdir() if what == "directory" else path.unlink(missing_ok=True)
    put(path, "one")
    assert seen.look() is None
    put(path, "two")
    assert seen.look() == b"two"


def test_the_wall_is_the_time_of_day(path):
    assert abs(Watched(str(Path(path)))._wall() - time.time()) < 5.0
