"""Both drivers do what the Call says, in the same order."""

from __future__ import annotations

import gc

import pytest
from drivers.scenario import Network
from world import World

from meshware.core.call import Call, State
from meshware.core.errors import NoEndpoint
from meshware.core.outcome import Cause, Outcome
from meshware.outbound.exchange import headers_for


def scripted(*outcomes):
    left = list(outcomes)
    return lambda attempt: left.pop(0)


def test_a_good_answer_is_delivered(driver):
    world = World()
    network = Network(world, scripted(Outcome(elapsed=0.1, status=200)))
    won = driver(network, world.call())
    assert won.state is State.ANSWERED
    assert network.log == [f"send {won.endpoint.address} #1"]


def test_a_bad_answer_is_dropped_before_the_wait_and_the_next_attempt(driver):
    world = World()
    network = Network(world, scripted(Outcome(elapsed=0.1, status=503), Outcome(elapsed=0.1, status=200)))
    won = driver(network, world.call())
    assert [line.split()[0] for line in network.log] == ["send", "drop", "sleep", "send"]
    assert won.number == 2
    world.service.settle(world.now)
    assert world.in_flight() == 1


def test_a_refused_connection_has_nothing_to_drop_and_is_tried_elsewhere_at_once(driver):
    world = World()
    refused = Outcome(elapsed=0.0, cause=Cause.REFUSED, sent=False, error=ConnectionRefusedError())
    network = Network(world, scripted(refused, Outcome(elapsed=0.1, status=200)))
    driver(network, world.call())
    assert [line.split()[0] for line in network.log] == ["send", "send"]


def test_the_last_error_is_the_clients_own(driver):
    world = World()
    error = ConnectionResetError("by peer")
    network = Network(world, lambda attempt: Outcome(elapsed=0.1, cause=Cause.RESET, error=error))
    with pytest.raises(ConnectionResetError) as raised:
        driver(network, world.call())
    assert raised.value is error
    assert world.in_flight() == 0


def test_a_refusal_sends_nothing(driver):
    world = World(1)
    world.service.replace([], world.now)
    network = Network(world, scripted())
    with pytest.raises(NoEndpoint):
        driver(network, world.call())
    assert network.log == []


def test_an_attempt_carries_the_time_it_has_left_and_its_number():
    world = World(timeout=2.0)
    call = world.call()
    first = call.begin(world.now)
    assert headers_for(call, first, world.now + 0.5) == {"x-meshware-timeout": "1.500"}
    assert headers_for(call, first, world.now + 9) == {"x-meshware-timeout": "0.000"}
    second = world.answer(call, first, 503).attempt
    assert headers_for(call, second, world.now)["x-meshware-attempt"] == "2"


def test_observers_may_add_headers():
    world = World()
    world.service.on_begin = (lambda call, attempt, headers, now: headers.update(traceparent="00-1"),)
    call = world.call()
    assert headers_for(call, call.begin(world.now), world.now)["traceparent"] == "00-1"


def test_a_call_that_might_have_been_hedged_is_gone_once_it_is_over_and_waits_for_no_garbage_collector(driver):
    world = World()
    world.succeed(100)
    network = Network(world, lambda attempt: Outcome(elapsed=0.01, status=200))
    gc.collect()
    gc.disable()
    try:
        before = sum(type(each) is Call for each in gc.get_objects())
        call = world.call()
        won = driver(network, call)
        assert won.hedge_at is not None
        call = won = network.call = None
        assert sum(type(each) is Call for each in gc.get_objects()) == before
    finally:
        gc.enable()
