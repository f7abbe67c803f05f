"""Call: what good answers have left waits until the next request is out, and nothing that must be known before."""

from __future__ import annotations

import pytest
from world import World

from meshware.core.call import Call
from meshware.core.errors import Overloaded
from meshware.core.outcome import Cause, Ending
from meshware.core.service import FEW_WORDS


def patient(world, **facts) -> Call:
    call = world.call(**facts)
    call.patient = True
    return call


def begun(world):
    call = patient(world)
    return call, call.begin(world.now)


def some(world, count):
    return [begun(world) for _ in range(count)]


def lived(world, ending=Ending.COMPLETE):
    """A good call whose body ended so; nothing of it is settled yet."""
    call, attempt = begun(world)
    world.answer(call, attempt)
    call.ended(attempt, ending, 0.01, world.now)
    return attempt


def known(world) -> int:
    """Answers that its operations know of."""
    return world.service.operations.total._count


def test_what_a_good_answer_says_is_known_once_the_next_request_is_out():
    world = World()
    lived(world)
    assert known(world) == 0
    call, _ = begun(world)
    assert known(world) == 0
    call.sent(world.now)
    assert known(world) == 1
    assert not world.service.inbox


def test_nothing_waits_for_a_driver_that_does_not_say_when_the_request_is_out():
    world = World()
    lived(world)
    world.call().begin(world.now)
    assert known(world) == 1
    call = world.call()
    world.answer(call, call.begin(world.now))
    assert known(world) == 2


@pytest.mark.parametrize("ending", [Ending.BROKEN, Ending.DROPPED])
def test_a_body_that_was_not_read_to_its_end_is_known_before_the_next_call_begins(ending):
    world = World()
    lived(world, ending)
    begun(world)
    assert not world.service.inbox


def test_what_a_call_held_that_was_given_up_is_there_for_the_next():
    world = World()
    call, attempt = begun(world)
    call.leave(attempt, world.now)
    begun(world)
    assert world.service.limiter.in_flight == 1


def test_a_failure_is_judged_after_what_was_good_before_it():
    world = World(1)
    lived(world)
    call, attempt = begun(world)
    world.fail(call, attempt, Cause.RESET)
    assert world.service.ejection._records[attempt.endpoint].row == 1
    begun(world)
    world.service.settle(world.now)
    assert world.service.ejection._records[attempt.endpoint].row == 1


def troubled(limit):
    """Fails, so that its limit counts."""
    world = World(limits={"start": limit, "least": 2})
    for _ in range(5):
        call = patient(world, method="POST")
        world.fail(call, call.begin(world.now), Cause.RESET, sent=True)
    return world


def test_nobody_is_refused_for_the_place_of_a_call_that_is_over():
    world = troubled(2)
    begun(world)
    lived(world)
    assert world.service.limiter.in_flight == 2
    with pytest.raises(Overloaded):
        some(world, 5)
    assert world.service.limiter.in_flight > 2


def test_nor_where_other_workers_have_the_other_places():
    world = troubled(10)
    world.service.limiter.others(8.0, [10.0])
    lived(world)
    begun(world)
    begun(world)
    assert world.service.limiter.in_flight == 2


def test_no_more_than_a_few_words_wait():
    world = World()
    for _ in range(100):
        lived(world)
        assert len(world.service.inbox) <= FEW_WORDS + 2


def test_where_there_are_no_limits_the_words_wait_all_the_same():
    world = World(limits={"enabled": False})
    lived(world)
    begun(world)
    assert known(world) == 0
