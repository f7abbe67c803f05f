"""Which calls are hedged, when, and how many of them."""

from __future__ import annotations

import pytest
from world import World

from meshware.context import RequestContext
from meshware.retrying.hedging import BURST, ENOUGH


def hedging(world, **call):
    """When a call that begins now would be hedged, in seconds."""
    made = world.call(**call)
    attempt = made.begin(world.now)
    made.leave(None, world.now)
    return None if attempt.hedge_at is None else attempt.hedge_at - attempt.began


def test_a_call_is_hedged_after_one_and_a_half_p95s_once_a_hundred_answers_are_known():
    world = World()
    world.succeed(ENOUGH - 1, elapsed=0.1)
    assert hedging(world) is None
    world.succeed(1, elapsed=0.1)
    assert hedging(world) == pytest.approx(0.15, rel=0.1)


def test_what_others_take_says_nothing_of_an_operation_that_is_rare():
    world = World()
    world.succeed(ENOUGH)
    assert hedging(world, path="/report") is None


def test_a_first_attempt_has_some_milliseconds_however_fast_answers_are():
    world = World()
    world.succeed(ENOUGH, elapsed=0.001)
    assert hedging(world) == pytest.approx(0.01)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_what_reads_is_hedged(method):
    world = World(hedge={"least": 0.02})
    for _ in range(ENOUGH):
        call = world.call(method)
        attempt = call.begin(world.now)
        world.answer(call, attempt)
        world.read(call, attempt)
    assert hedging(world, method=method) is None


def test_methods_and_factor_are_the_settings():
    world = World(hedge={"methods": ["get", "delete"], "factor": 3, "least": 0.001})
    world.succeed(ENOUGH, elapsed=0.1)
    assert hedging(world) == pytest.approx(0.3, rel=0.1)


def test_it_can_be_off():
    world = World(hedge={"enabled": False})
    world.succeed(ENOUGH)
    assert hedging(world) is None
    assert world.service.hedging is None


def test_nothing_is_hedged_inside_no_retry_nor_for_a_mirror():
    world = World()
    world.succeed(ENOUGH)
    context = RequestContext()
    context.retry = False
    assert hedging(world, context=context) is None
    mirror = world.call().child(world.service, world.call().request)
    assert mirror.begin(world.now).hedge_at is None


def late(world, **call):
    """A call whose time to be hedged has come."""
    made = world.call(**call)
    attempt = made.begin(world.now)
    world.now = attempt.hedge_at
    return made


def test_copies_add_two_in_a_hundred_to_the_load_at_most():
    world = World()
    world.succeed(ENOUGH)
    hedged = 0
    for _ in range(500):
        call = late(world)
        hedged += call.hedge(world.now) is not None
        call.leave(None, world.now)
        world.succeed()
    assert 10 <= hedged <= 20  # each counts for 1.5 usual times


def test_time_that_was_not_needed_is_not_saved_up_for_long():
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 100)
    assert sum(world.service.hedging.take() for _ in range(100)) == BURST


def test_where_retries_turn_out_as_late_few_are_hedged():
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 5)
    for _ in range(20):
        call = late(world)
        call.hedge(world.now)
        world.answer(call, call.open[0], after=0.001)  # the first, after all
        call.leave(None, world.now)
        world.succeed(5)
    assert call.figures.cuts_pay < 0.2
    call = late(world)
    call.rng = Fixed(0.5)
    assert call.hedge(world.now) is None


class Fixed:
    """Chance that is none."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def test_a_hedge_that_nobody_pays_for_leaves_its_share_to_the_next():
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 5)
    call = late(world)
    while world.service.budget.withdraw(world.now):
        pass
    assert call.hedge(world.now) is None
    world.service.budget.give_back(world.now)
    assert call.hedge(world.now) is not None


def test_a_hedge_is_paid_from_the_inbound_requests_allowance_too():
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 5)
    context = RequestContext(allowance=1)
    call = late(world, context=context)
    assert context.spend()
    assert call.hedge(world.now) is None
    context.give_back()
    assert call.hedge(world.now) is not None
    assert context.retried


@pytest.mark.parametrize(
    ("headers", "hedged"),
    [({"content-length": "3"}, False), ({"transfer-encoding": "chunked"}, False), ({"accept": "*/*"}, True)],
)
def test_what_has_a_body_is_never_out_twice(headers, hedged):
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 5)
    assert (late(world, headers=headers).hedge(world.now) is not None) is hedged


def test_nothing_is_hedged_in_a_common_pause():
    world = World(hedge={"share": 1.0})
    world.succeed(ENOUGH + 5)
    calls = [world.call() for _ in range(9)]
    for call in calls:
        call.begin(world.now)
    world.now += 1.0
    assert [call.hedge(world.now) for call in calls] == [None] * 9
