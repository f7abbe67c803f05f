"""What one worker hears of another at an endpoint: once, whole, and never what nobody can have said."""

from __future__ import annotations

from array import array

import pytest

from meshware.core.outcome import Outcome
from meshware.mesh import Mesh
from meshware.sharing.cells import Unusable
from meshware.sharing.layout import ANSWERS, CELLS, FIGURES, start_of
from meshware.sharing.place import Place

HIGH = 4


class Heard:
    """A meter that counts the answers it is told of."""

    def fleet(self):
        return None

    def reading(self, fleet):
        return Count()


class Count:
    def __init__(self):
        self.count = 0

    def sample(self, elapsed, failed, outcome, now):
        self.count += 1

    def value(self, now):
        return 0.0

    def reset(self):
        self.count = 0


@pytest.fixture
def board():
    return memoryview(array("d", bytes(8 * CELLS)))


@pytest.fixture
def worker(board):
    """`worker(row)`: its place, and the count of what it hears."""
    meshes = []

    def begin(row):
        name = f"worker{len(meshes)}"  # else endpoints of one process would be the same
        settings = {"services": {name: {"endpoints": ["10.0.0.1:80"]}}, "board": {"enabled": False}}
        meshes.append(Mesh.from_settings(settings))
        service = meshes[-1].services[name]
        (endpoint,) = service.endpoints
        count = endpoint.attach(Heard())
        place = Place(endpoint, service, board, key=1, slot=0, row=row)
        place.begin(HIGH, 0.0)
        return place, count

    yield begin
    for each in meshes:
        each.close()


def answers(place, count):
    for _ in range(count):
        place.endpoint.sample(0.03, False, Outcome(elapsed=0.03, status=200), 0.0)
    place.publish()


def test_what_a_worker_says_is_heard_once(worker):
    (mine, count), (other, _) = worker(0), worker(1)
    answers(other, 3)
    for _ in range(2):
        mine.hear(HIGH, 0.0)
    assert count.count == 3


def test_who_begins_hears_what_is_recent(worker):
    answers(worker(1)[0], 5)
    assert worker(0)[1].count == 5


def test_who_is_at_it_is_heard_at_the_next_sweep(worker, board):
    (mine, count), (other, _) = worker(0), worker(1)
    answers(other, 3)
    version = start_of("version") + 1
    board[version] += 1
    mine.hear(HIGH, 0.0)
    assert count.count == 0
    board[version] += 1
    mine.hear(HIGH, 0.0)
    assert count.count == 3


def test_after_a_long_time_only_what_is_recent_is_heard(worker):
    (mine, count), (other, _) = worker(0), worker(1)
    answers(other, 20)
    mine.hear(HIGH, 0.0)
    answers(other, 20)
    other.fade(10.0)
    mine.hear(HIGH, 0.0)
    assert 20 < count.count < 30


def test_who_follows_in_a_row_is_heard_from_his_second_word_on(worker):
    (mine, count), (other, _) = worker(0), worker(1)
    answers(other, 20)
    mine.hear(HIGH, 0.0)
    follower, _ = worker(1)
    follower._floats[start_of("version") + 1] = 100.0  # whose row was wiped, and who has begun anew
    answers(follower, 2)
    mine.hear(HIGH, 0.0)
    assert count.count == 20
    answers(follower, 2)
    mine.hear(HIGH, 0.0)
    assert count.count == 22


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -5.0])
def test_nonsense_is_no_news(worker, board, figure):
    (mine, _), (other, _) = worker(0), worker(1)
    answers(other, 3)
    board[start_of(ANSWERS) + FIGURES] = board[start_of(ANSWERS) + FIGURES + FIGURES // 2] = figure
    with pytest.raises(Unusable, match="nonsense"):
        mine.hear(HIGH, 0.0)
