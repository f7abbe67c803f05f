"""Ejection beside the other workers of a host: the last word counts, and one worker sees to an endpoint's return."""

from __future__ import annotations

from math import inf

import pytest
from world import World

from meshware.core.availability import Bar
from meshware.core.events import EndpointEjected, EndpointRestored


@pytest.fixture
def world():
    return World(4)


def failed(world, endpoint, count=3):
    world.service.picker = Always(endpoint)
    for _ in range(count):
        call = world.call("POST")
        world.answer(call, call.begin(world.now), 500)


class Always:
    def __init__(self, endpoint):
        self.endpoint = endpoint

    def pick(self, call):
        return self.endpoint


def out(endpoint):
    return Bar.EJECTED in endpoint.bars


def test_who_has_found_nothing_says_nothing(world):
    assert world.service.ejection.word(world.endpoints[0]) == (0.0, 0.0)


def test_an_ejection_is_said_with_its_time_and_end(world):
    first = world.endpoints[0]
    failed(world, first)
    word, until = world.service.ejection.word(first)
    assert word == pytest.approx(world.now)
    assert 0.7 <= until - word <= 1.3


def test_a_connection_that_cannot_be_had_has_no_end(world):
    first = world.endpoints[0]
    world.service.ejection.follow(first, world.now, inf, world.now)
    assert out(first)
    assert world.service.ejection.word(first)[0] == 0.0, "it is the other's word, not ours"
    world.now += 5
    assert world.service.ejection.probes(world.now) == [], "the other probes it"


def test_a_later_word_is_followed_and_an_earlier_one_is_not(world):
    ejection, first = world.service.ejection, world.endpoints[0]
    ejection.follow(first, 900.0, 1010.0, world.now)
    assert out(first)
    ejection.follow(first, -890.0, 0.0, world.now)
    assert out(first)
    ejection.follow(first, -905.0, 0.0, world.now)
    assert not out(first)
    kinds = [type(each) for each in world.events if isinstance(each, EndpointEjected | EndpointRestored)]
    assert kinds == [EndpointEjected, EndpointRestored]


def test_news_of_a_return_change_nothing_for_one_that_was_never_out(world):
    first = world.endpoints[0]
    world.service.ejection.follow(first, -900.0, 0.0, world.now)
    assert not out(first)
    assert not world.service.ejection.waiting


def test_who_follows_does_not_try_and_who_is_left_alone_does(world):
    ejection, first = world.service.ejection, world.endpoints[0]
    ejection.follow(first, world.now, world.now + 1, world.now)
    later = world.now + 3
    assert ejection.trial(True, later) is None
    ejection.follow(first, 0.0, 0.0, later)
    assert ejection.trial(True, later) is not None


def test_who_is_left_alone_with_an_unreachable_one_probes_it(world):
    ejection, first = world.service.ejection, world.endpoints[0]
    ejection.follow(first, world.now, inf, world.now)
    ejection.follow(first, 0.0, 0.0, world.now)
    assert ejection.probes(world.now) == [first]


def test_no_more_are_followed_than_may_be_out_for_their_answers(world):
    ejection = world.service.ejection
    for each in world.endpoints:
        ejection.follow(each, world.now, world.now + 5, world.now)
    assert [out(each) for each in world.endpoints] == [True, True, False, False]


def test_what_is_over_already_is_not_followed(world):
    world.service.ejection.follow(world.endpoints[0], 900.0, world.now - 1, world.now)
    assert not out(world.endpoints[0])


def test_nobody_is_followed_while_ejection_is_off():
    world = World(4, ejection={"enabled": False})
    world.service.ejection.follow(world.endpoints[0], world.now, inf, world.now)
    assert not out(world.endpoints[0])


def test_one_workers_few_failures_are_no_rate_beside_what_others_have_answered(world):
    ejection, first = world.service.ejection, world.endpoints[0]
    failed(world, first, 2)
    ejection.heard(first, 100, 1, world.now)
    failed(world, first, 2)
    assert not out(first), "neither a row nor a rate"
    failed(world, first, 1)
    assert out(first), "three in a row, and nobody was answered meanwhile"


def test_what_others_have_answered_without_success_ends_no_row(world):
    ejection, first = world.service.ejection, world.endpoints[0]
    ejection.heard(first, 5, 0, world.now)  # of an endpoint that nothing is known of yet
    failed(world, first, 2)
    ejection.heard(first, 0, 3, world.now)
    failed(world, first, 1)
    assert out(first)


def test_silence_about_one_that_is_ours_changes_nothing(world):
    first = world.endpoints[0]
    failed(world, first)
    before = world.service.ejection.word(first)
    world.service.ejection.follow(first, 0.0, 0.0, world.now)
    assert world.service.ejection.word(first) == before
