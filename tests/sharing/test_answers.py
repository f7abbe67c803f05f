"""What is told of answers: the same as what was heard, as far as a meter can see."""

from __future__ import annotations

import threading
from collections import Counter
from math import log

import pytest

from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Cause, Outcome, Verdict
from meshware.sharing.answers import ROOM, Heard, Pending, Tally, sensible, tally, told


class Notes:
    """A meter that notes what it is given."""

    def fleet(self):
        return None

    def reading(self, fleet):
        return self

    def __init__(self):
        self.heard = []

    def sample(self, elapsed, failed, outcome, now):
        self.heard.append((elapsed, failed, outcome))


def answer(elapsed, *, found=0.0, cause=None, late=False, doubtful=False):
    made = Outcome(elapsed=elapsed, cause=cause)
    made.verdict = Verdict.SUCCESS if cause is None else Verdict.FAILURE
    made.found, made.late, made.doubtful = found, late, doubtful
    return made


def shared():
    """An endpoint, and where its answers wait."""
    endpoint, pending = Endpoint("10.0.0.1:80"), Pending()
    endpoint.share([0.0], [0.0], pending)
    return endpoint, pending


def heard(*answers):
    """What another worker's meter hears of them."""
    mine, pending = shared()
    for each in answers:
        mine.sample(each.elapsed, each.cause is not None, each, 0.0)
    said = tally(pending.drain())
    notes, endpoint = Notes(), Endpoint("10.0.0.1:80")
    endpoint.attach(notes)
    assert sensible(said)
    assert list(told(endpoint, said, 0.0)) == []
    return notes.heard


@pytest.mark.parametrize("times", [(0.01,), (0.01, 0.09), (0.01, 0.02, 0.5), (0.003, 0.01, 0.02, 0.3)])
def test_times_keep_their_mean_and_how_far_they_are_apart(times):
    logs = [log(elapsed) for elapsed, _, _ in heard(*map(answer, times))]
    assert len(logs) == len(times)
    mean = sum(map(log, times)) / len(times)
    spread = sum((log(each) - mean) ** 2 for each in times)
    assert sum(logs) / len(logs) == pytest.approx(mean)
    assert sum((each - mean) ** 2 for each in logs) == pytest.approx(spread, rel=0.35)


def test_what_was_in_flight_when_they_were_asked_for_is_told():
    found = [outcome.found for _, _, outcome in heard(answer(0.01, found=2.0), answer(0.02, found=5.0))]
    assert found == [3.5, 3.5]


@pytest.mark.parametrize("why", ["late", "doubtful"])
def test_timeouts_that_blame_nobody_blame_nobody_when_they_are_told(why):
    timeouts = [answer(1.0, cause=Cause.TIMEOUT, **facts) for facts in ({}, {why: True})]
    outcomes = [outcome for _, failed, outcome in heard(*timeouts) if failed]
    assert sorted(each.late for each in outcomes) == [False, True]
    assert {each.cause for each in outcomes} == {Cause.TIMEOUT}


def test_other_failures_are_no_timeouts():
    ((elapsed, failed, outcome),) = heard(answer(0.5, cause=Cause.RESET))
    assert (elapsed, failed, outcome.cause, outcome.late) == (0.5, True, Cause.RESET, False)


def test_none_is_lost_that_comes_while_they_are_taken():
    (endpoint, pending), done, taken = shared(), threading.Event(), []

    def asked(number):
        for _ in range(1000):
            endpoint.sample(number, False, answer(number, found=2 * number), 0.0)

    def taking():
        while not done.is_set():
            taken.append(pending.drain())

    threads = [threading.Thread(target=asked, args=(float(number),)) for number in (1, 2, 3)]
    taker = threading.Thread(target=taking)
    for each in (taker, *threads):
        each.start()
    for each in threads:
        each.join()
    done.set()
    taker.join()
    taken.append(pending.drain())
    assert Counter(seconds for heard in taken for seconds in heard.good) == {1.0: 1000, 2.0: 1000, 3.0: 1000}
    assert sum(heard.found for heard in taken) == 2 * 6000
    assert all(sensible(tally(heard)) for heard in taken)


def test_half_an_answer_waits_for_its_other_half():
    class Late:
        """An answer that is taken while it is put there."""

        @property
        def found(self):
            taken.append(pending.drain())
            return 3.0

    _, pending = shared()
    taken = []
    pending.sample(0.01, False, Late())
    taken.append(pending.drain())
    assert [(list(each.good), each.found) for each in taken] == [([], 0), ([0.01], 3.0)]


def test_so_many_wait_at_most_when_nobody_takes_them():
    endpoint, pending = shared()
    for _ in range(ROOM + 10):
        endpoint.sample(0.01, False, answer(0.01), 0.0)
        endpoint.sample(0.01, True, answer(0.01, cause=Cause.RESET), 0.0)
    assert pending
    heard = pending.drain()
    assert len(heard.good) == len(heard.bad) == ROOM
    assert not pending


@pytest.mark.parametrize(("seconds", "counted"), [(0.0, 1e-6), (1e9, 1e6)])
def test_no_time_is_said_that_none_can_have_taken(seconds, counted):
    said = tally(Heard(sorted([seconds, 1.0]), [seconds]))
    assert sensible(said)
    assert (said.logs, said.bads) == (pytest.approx(log(counted)), pytest.approx(counted))


def test_another_strategy_of_an_endpoint_takes_its_answers_from_nobody():
    endpoint, pending = shared()
    endpoint.unlearn({})
    endpoint.sample(0.01, False, answer(0.01), 0.0)
    assert pending.drain().good == [0.01]


def test_what_is_nearly_nothing_makes_sense_as_differences_of_sums_have_it():
    assert sensible(Tally(squares=-1e-10, found=1e-10, bads=-1e-10))


@pytest.mark.parametrize(
    "said",
    [
        Tally(good=-1.0),
        Tally(good=1.0, logs=1e9),
        Tally(good=1.0, squares=1e9),
        Tally(good=1.0, squares=-1.0),
        Tally(good=1.0, found=1e12),
        Tally(bad=1.0, bads=1e12),
        Tally(bad=1.0, cut=5.0),
        Tally(bad=2.0, cut=1.0, late=2.0),
        Tally(good=float("nan")),
    ],
)
def test_nonsense_is_seen(said):
    assert not sensible(said)
