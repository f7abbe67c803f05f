"""Service: who is picked, who decides when the strategy cannot, and what follows from a change."""

from __future__ import annotations

import pytest
from world import START, World

from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.errors import NoEndpoint
from meshware.core.events import EndpointsChanged, PanicTurned, PluginFailed


class Fixed:
    """A strategy whose pickers always do the same."""

    def __init__(self, pick):
        self._pick = pick

    def picker(self, endpoints):
        return self

    def pick(self, call):
        return self._pick(call)


def with_strategy(pick, **settings):
    world = World(**settings)
    world.service.strategy = Fixed(pick)
    world.service.refresh(world.now)
    return world


def stranger(call):
    return Endpoint("192.0.2.1:1")


def raising(call):
    raise RuntimeError("no idea")


@pytest.mark.parametrize("pick", [stranger, raising], ids=["a stranger", "an exception"])
def test_a_misbehaving_strategy_never_breaks_a_call(pick):
    world = with_strategy(pick)
    assert set(world.picks(300)) == {each.address for each in world.endpoints}


def test_a_strategy_that_raises_is_told_of_as_an_event():
    world = with_strategy(raising)
    world.picks(1)
    failed = next(each for each in world.events if isinstance(each, PluginFailed))
    assert (failed.service, failed.plugin, failed.error) == ("inventory", "strategy", "RuntimeError: no idea")


def test_a_strategy_that_cannot_make_a_picker_leaves_the_choice_to_the_stand_in():
    world = World()

    class Broken:
        def picker(self, endpoints):
            raise ValueError("cannot")

    world.service.strategy = Broken()
    world.service.refresh(world.now)
    assert set(world.picks(300)) == {each.address for each in world.endpoints}
    assert any(isinstance(each, PluginFailed) for each in world.events)


def test_of_two_first_calls_at_once_one_makes_the_picker_and_both_use_it():
    world = World()
    service = world.service

    class Busy:
        """The lock, held by the other call until it has made the picker."""

        def __enter__(self):
            service.picker, service.changed = made, False

        def __exit__(self, *error):
            pass

    service.refresh(world.now)
    made, service.picker = service.picker, None
    service.refreshing, service.changed = Busy(), True
    assert world.call().begin(world.now).endpoint in world.endpoints
    assert service.picker is made


def test_an_unavailable_pick_is_asked_for_once_more_and_then_the_stand_in_decides():
    asked = []

    def stubborn(call):
        asked.append(call)
        return world.endpoints[0]

    world = with_strategy(stubborn)
    world.endpoints[0].availability.bar(Bar.EJECTED)
    endpoint = world.call().begin(world.now).endpoint
    assert endpoint is not world.endpoints[0]
    assert len(asked) == 2


def test_the_second_answer_of_the_strategy_is_taken_when_it_is_usable():
    answers = []
    world = with_strategy(lambda call: answers.pop())
    answers[:] = [world.endpoints[1], world.endpoints[0]]
    world.endpoints[0].availability.bar(Bar.EJECTED)
    assert world.call().begin(world.now).endpoint is world.endpoints[1]


def test_the_stand_in_takes_the_less_loaded_of_two_draws():
    world = with_strategy(raising, endpoints=2)
    for _ in range(50):
        call = world.call()
        call.begin(world.now)
    loads = sorted(each.load for each in world.endpoints)
    assert loads[1] - loads[0] <= 12


def test_a_tried_endpoint_is_picked_again_only_when_nothing_else_is_there():
    world = World(2)
    world.endpoints[1].availability.bar(Bar.HELD)
    call = world.call()
    first = call.begin(world.now)
    step = world.answer(call, first, 503)
    assert step.attempt.endpoint is first.endpoint


def test_no_endpoint_says_the_state_of_each():
    world = World(2)
    world.endpoints[0].availability.bar(Bar.EJECTED, detail="3 failures in a row")
    world.endpoints[1].availability.bar(Bar.DRAINED)
    with pytest.raises(NoEndpoint) as refused:
        world.call().begin(world.now)
    assert refused.value.states == {"10.0.0.1:80": "ejected (3 failures in a row)", "10.0.0.2:80": "drained"}


def test_a_weight_of_zero_takes_no_traffic_not_even_a_retry():
    world = World(2)
    world.service.replace([Endpoint("10.0.0.1:80", weight=0.0), Endpoint("10.0.0.2:80")], world.now)
    assert set(world.picks(300)) == {"10.0.0.2:80"}
    call = world.call()
    assert world.answer(call, call.begin(world.now), 503).attempt.endpoint.address == "10.0.0.2:80"
    assert world.endpoints[0].availability.state() == "weight 0"
    world.service.replace([Endpoint("10.0.0.1:80"), Endpoint("10.0.0.2:80", weight=0.0)], world.now)
    assert set(world.picks(300)) == {"10.0.0.1:80"}


def test_an_endpoint_is_in_the_picker_again_once_its_bar_has_fallen_whoever_saw_that_first():
    world = World(2)
    world.endpoints[0].availability.bar(Bar.OVERLOADED, world.now + 1)
    world.service.refresh(world.now)
    world.now += 1
    call = world.call()
    assert world.answer(call, call.begin(world.now), 503).attempt.endpoint is world.endpoints[0]  # by the stand-in
    world.keep_house()
    assert world.picks(100) == {"10.0.0.1:80": 50, "10.0.0.2:80": 50}


@pytest.mark.row("F43")
def test_an_endpoint_that_warms_up_gets_a_growing_share():
    world = World(2)
    world.endpoints[0].availability.warm(world.now, 10.0)
    shares = []
    for _ in range(3):
        shares.append(world.picks(1000)["10.0.0.1:80"] / 1000)
        world.now += 4.5
    assert shares[0] < 0.15
    assert shares[0] < shares[1] < shares[2]
    world.pass_time(5)
    assert not world.endpoints[0].bars
    assert world.picks(1000)["10.0.0.1:80"] == 500


def test_what_one_that_warms_up_does_not_get_goes_where_the_strategy_would_have_it():
    world = World(6, strategy={"subset": {"size": 3, "strategy": "random", "client": "me"}})
    members = set(world.picks(300))
    for endpoint in world.endpoints:
        endpoint.availability.warm(world.now, 10.0)
    assert len(members) == 3
    assert set(world.picks(500)) == members


def test_while_all_of_the_preferred_warm_up_the_next_priority_gets_nothing():
    first, second, backup = ({"address": f"10.0.0.{number}:80", "priority": number // 3} for number in (1, 2, 3))
    world = World([first, second, backup], strategy="random")
    for endpoint in world.endpoints[:2]:
        endpoint.availability.warm(world.now, 10.0)
    world.service.refresh(world.now)
    assert set(world.picks(500)) == {"10.0.0.1:80", "10.0.0.2:80"}


def test_the_stand_in_prefers_the_first_priority():
    world = with_strategy(raising)
    world.endpoints[0].priority = 1
    assert set(world.picks(200)) == {each.address for each in world.endpoints[1:]}
    for endpoint in world.endpoints[1:]:
        endpoint.availability.bar(Bar.HELD)
    assert set(world.picks(20)) == {world.endpoints[0].address}


# Changes


def test_those_that_have_gone_are_forgotten_after_a_minute_without_another_change():
    world = World(2)
    world.succeed()
    kept, _ = world.endpoints
    world.service.replace([kept], world.now)
    assert world.service._gone
    assert not world.service.quiet()
    world.pass_time(60.0)
    assert not world.service._gone
    assert world.service.quiet()


def test_a_new_set_keeps_what_was_learned_by_address_and_takes_the_new_facts():
    world = World(2)
    kept, gone = world.endpoints
    kept.epoch = 7
    fresh = [Endpoint("10.0.0.1:80", weight=3.0, metadata={"v": 2}), Endpoint("10.0.0.9:80")]
    world.events.clear()
    world.service.replace(fresh, world.now)
    assert world.endpoints[0] is kept
    assert (kept.weight, kept.metadata, kept.epoch) == (3.0, {"v": 2}, 7)
    assert gone.availability.state() == "removed"
    assert world.events == [EndpointsChanged("inventory", START, ("10.0.0.9:80",), ("10.0.0.2:80",))]


def test_the_same_set_again_is_no_event():
    world = World(2)
    world.events.clear()
    world.service.replace(world.endpoints, world.now)
    assert world.events == []


def test_the_same_set_in_another_order_makes_no_new_picker():
    world = World(3)
    picker, before = world.service.picker, world.endpoints
    world.service.replace(reversed(before), world.now)
    world.service.replace([Endpoint(each.address) for each in before], world.now)
    assert world.service.picker is picker
    assert world.endpoints == before


@pytest.mark.parametrize("kept", [slice(1, None), slice(None, -1), slice(0, None, 2), slice(0, 0)])
def test_endpoints_that_are_handed_in_again_stay_as_they_are(kept):
    world = World(5)
    before, fresh = world.endpoints, Endpoint("10.0.9.9:80")
    wanted = (*before[kept][:1], fresh, *before[kept][1:])
    world.service.replace(wanted, world.now)
    assert world.endpoints == wanted
    assert fresh.fleet is world.service.fleet
    assert [Bar.REMOVED in each.bars for each in before] == [each not in wanted for each in before]


def test_one_that_was_removed_and_is_handed_in_again_is_there_again():
    world = World(2)
    first, second = world.endpoints
    world.service.replace([first], world.now)
    world.pass_time(100.0)
    world.service.replace([first, second], world.now)
    assert world.endpoints == (first, second)
    assert not second.bars


def test_a_picker_made_before_the_change_cannot_send_to_an_endpoint_that_is_gone():
    world = with_strategy(lambda call: gone)
    gone = world.endpoints[0]
    world.service.replace(world.endpoints[1:], world.now)
    assert all(world.call().begin(world.now).endpoint is not gone for _ in range(20))


def test_a_change_is_due_for_the_housekeeper_and_so_is_a_bar_whose_time_has_passed():
    world = World()
    woken = []
    world.service.wake = lambda: woken.append(True)
    assert not world.service.stale(world.now)
    world.service.change()
    assert world.service.stale(world.now)
    assert woken
    world.service.refresh(world.now)
    world.endpoints[0].availability.bar(Bar.OVERLOADED, world.now + 1)
    assert not world.service.stale(world.now)
    assert world.service.stale(world.now + 1)


# Panic


def panicking(share_barred):
    world = World(4)
    world.service.guard.on = True
    for endpoint in world.endpoints[:share_barred]:
        endpoint.availability.bar(Bar.EJECTED)
    world.service.refresh(world.now)
    return world


@pytest.mark.row("F32")
def test_in_panic_all_that_are_only_suspected_are_used():
    world = panicking(3)
    assert world.service.panic
    assert PanicTurned("inventory", START, True) in world.events
    assert len(world.picks(300)) == 4


def test_panic_spares_what_was_held_or_removed_by_order():
    world = panicking(3)
    world.endpoints[0].availability.bar(Bar.HELD)
    assert set(world.picks(300)) == {each.address for each in world.endpoints[1:]}


def test_panic_does_not_count_what_is_out_by_order():
    world = World(5)
    world.service.guard.on = True
    for endpoint in world.endpoints[:3]:
        endpoint.availability.bar(Bar.DRAINED)
    world.service.refresh(world.now)
    assert not world.service.panic


def test_there_is_no_panic_while_half_are_left_or_the_guard_is_off():
    assert not panicking(2).service.panic
    world = panicking(3)
    world.service.guard.on = False
    world.service.refresh(world.now)
    assert not world.service.panic
    assert PanicTurned("inventory", START, False) in world.events


def test_the_inbox_may_be_emptied_by_another_thread_meanwhile():
    world = World()

    class Racing:
        """Says that there is something, and then there is not."""

        def __bool__(self):
            return True

        def popleft(self):
            raise IndexError

    world.service.inbox = Racing()
    world.service.settle(world.now)


def test_a_service_shows_its_name_and_size():
    assert repr(World(2).service) == "<Service inventory: 2 endpoints>"


def test_what_is_forgotten_is_made_anew_though_the_service_was_complete():
    world = World()
    world.service.complete(world.now)
    before = world.service.budget
    world.service.forget({"budget"})
    assert world.service.budget is not before
    with pytest.raises(AttributeError, match="a service has no 'wings'"):
        _ = world.service.wings


def test_a_part_that_cannot_be_made_is_told_of_and_asked_for_again():
    world = World()
    world.service.parts.fallback = raising
    world.service.complete(world.now)
    assert world.events[-1] == PluginFailed("inventory", START, "fallback", "RuntimeError: no idea")
    world.service.parts.fallback = lambda service: "instead"
    assert world.service.fallback == "instead"
