"""check_discovery passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

import time

import pytest

from meshware.discovery import Endpoints, source
from meshware.testing import check_discovery, discoveries

FOUND = ["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}]


class Asked:
    answer = staticmethod(lambda: Endpoints(list(FOUND), 5.0))

    def fetch(self, now):
        return self.answer()


class Watching:
    def watch(self, publish, stop):
        publish(Endpoints(FOUND))
        while not stop.wait(0.01):
            pass


class Both(Asked, Watching):
    pass


class Fixed(Asked):
    answer = staticmethod(lambda: Endpoints(tuple(FOUND)))


@pytest.mark.parametrize("kind", [Asked, Watching, Both, Fixed])
def test_one_that_is_fit_for_use_passes(kind):
    check_discovery(kind)


SHARED = list(FOUND)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: FOUND, "is no `meshware.discovery.Endpoints`"),
        (lambda: None, "is no `meshware.discovery.Endpoints`"),
        (lambda: Endpoints([]), "finds nothing"),
        (lambda: Endpoints(["10.0.0.1"]), "'10.0.0.1' is no endpoint"),
        (lambda: Endpoints(["10.0.0.1:80", "10.0.0.1:80"]), "named twice: 10.0.0.1:80"),
        (lambda: Endpoints(FOUND, 0), "valid_for is 0"),
        (lambda: Endpoints(FOUND, float("inf")), "fetch failed|valid_for"),
        (lambda: 1 / 0, "fetch failed: ZeroDivisionError"),
        (lambda: Endpoints(SHARED), "share one list"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(answer, said):
    class Odd(Asked):
        pass

    Odd.answer = staticmethod(answer)
    with pytest.raises((AssertionError, TypeError), match=said):
        check_discovery(Odd)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(source, "LIMIT", 0.1)
    monkeypatch.setattr(discoveries, "STOPPED", 0.1)
    monkeypatch.setattr(discoveries, "AT_ONCE", 0.1)


class SlowToMake(Asked):
    def __init__(self):
        time.sleep(0.15)


class SlowToAnswer(Asked):
    def fetch(self, now):
        time.sleep(0.3)


class Silent:
    def watch(self, publish, stop):
        stop.wait(5.0)


class Returning:
    def watch(self, publish, stop):
        publish(Endpoints(FOUND))


class Failing:
    def watch(self, publish, stop):
        raise LookupError("no zone")


class Deaf:
    def watch(self, publish, stop):
        publish(Endpoints(FOUND))
        time.sleep(0.5)


class Nonsense:
    def watch(self, publish, stop):
        publish(FOUND)
        stop.wait(5.0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (dict, "has `fetch"),
        (SlowToMake, "must not ask anybody yet"),
        (SlowToAnswer, "no answer from fetch"),
        (Silent, "published nothing"),
        (Returning, "returned before it was told"),
        (Failing, "watch failed: LookupError: no zone"),
        (Deaf, "did not end within"),
        (Nonsense, "is no `meshware.discovery.Endpoints`"),
    ],
)
def test_what_is_wrong_with_its_manners_is_said(impatient, kind, said):
    with pytest.raises(AssertionError, match=said):
        check_discovery(kind)
