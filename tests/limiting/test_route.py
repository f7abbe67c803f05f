"""A route's own limits: beside its service's, for all who have one of its calls, and given back on every ending."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from world import World

from meshware.core.call import Call
from meshware.core.errors import NoEndpoint, Overloaded
from meshware.core.outcome import Cause, Ending
from meshware.core.plan import Plan
from meshware.limiting.rate import RateOptions
from meshware.limiting.route import RouteLimiter


class Lane(World):
    """A service with a route whose calls are limited."""

    def __init__(self, most=None, rate=None, **settings):
        super().__init__(**settings)
        self.limiter = RouteLimiter("slow", most, rate)
        self.plan = Plan(self.service, name="slow", limiter=self.limiter)

    def routed(self):
        return Call(self.service, self.call().request, plan=self.plan)

    def begun(self):
        call = self.routed()
        return call, call.begin(self.now)


def test_so_many_calls_of_the_route_are_in_flight_and_no_more():
    lane = Lane(most=2)
    first, _ = lane.begun(), lane.begun()
    with pytest.raises(Overloaded, match=r"2 in flight of route slow, limit 2"):
        lane.begun()
    lane.succeed()  # by no route
    lane.answer(*first)
    lane.read(*first)
    lane.begun()


@pytest.mark.parametrize("ending", list(Ending))
def test_a_call_is_over_when_its_body_is(ending):
    lane = Lane(most=1)
    call, attempt = lane.begun()
    lane.answer(call, attempt)
    assert lane.limiter.in_flight == 1
    lane.read(call, attempt, ending)
    assert (lane.limiter.in_flight, lane.service.limiter.in_flight) == (0, 0)


def test_a_call_is_over_when_it_has_failed_or_nobody_waits_for_it():
    lane = Lane(most=1, retry={"attempts": 1})
    lane.fail(*lane.begun(), Cause.RESET)
    assert lane.limiter.in_flight == 0
    call, attempt = lane.begun()
    call.leave(attempt, lane.now)
    lane.service.settle(lane.now)
    assert (lane.limiter.in_flight, lane.service.limiter.in_flight) == (0, 0)


def test_a_call_without_an_endpoint_gives_its_place_back():
    lane = Lane(most=1)
    lane.service.replace((), lane.now)
    for _ in range(3):
        with pytest.raises(NoEndpoint):
            lane.begun()
    assert lane.limiter.in_flight == 0


def test_so_many_calls_a_second_are_let_out():
    lane = Lane(rate=RateOptions(10.0, 2))
    lane.begun(), lane.begun()
    with pytest.raises(Overloaded, match=r"rate limit of 10 a second, 2 at once; next in 0.100 s, of route slow"):
        lane.begun()
    lane.now += 0.1
    lane.begun()


def test_who_is_refused_for_want_of_a_place_has_no_token_taken():
    lane = Lane(most=1, rate=RateOptions(0.001, 2))
    call, attempt = lane.begun()
    with pytest.raises(Overloaded, match="in flight"):
        lane.begun()
    call.leave(attempt, lane.now)
    lane.service.settle(lane.now)
    lane.begun()


def test_the_services_limits_hold_beside_it():
    lane = Lane(most=5, rate_limit={"rate": 1.0, "burst": 1})
    lane.begun()
    with pytest.raises(Overloaded, match="rate limit of 1 a second"):
        lane.begun()
    assert lane.limiter.in_flight == 1


def test_it_holds_where_the_service_has_no_limits():
    lane = Lane(most=1, limits={"enabled": False})
    assert lane.service.limiter is None
    lane.answer(*(begun := lane.begun()))
    with pytest.raises(Overloaded):
        lane.begun()
    lane.read(*begun)
    lane.begun()


def test_a_limit_of_the_service_that_fails_keeps_no_place():
    lane = Lane(most=1)

    class Broken:
        def acquire(self, call, now):
            raise RuntimeError("broken")

    lane.service.limiter = Broken()
    lane.begun()  # a fault of our own never ends a call
    assert lane.limiter.in_flight == 0


def test_what_is_foreseen_takes_nothing():
    lane = Lane(most=2, rate=RateOptions(1.0, 1), rate_limit={"rate": 1.0, "burst": 1})
    call = lane.routed()
    for _ in range(3):
        assert lane.limiter.foreseen(call, lane.now) is None
    lane.begun()
    assert "of route slow" in lane.limiter.foreseen(call, lane.now)
    lane.limiter.rate = None
    assert lane.limiter.foreseen(call, lane.now) == lane.service.limiter.foreseen(call, lane.now) != None  # noqa: E711


def test_no_more_than_that_are_let_in_by_any_number_of_threads():
    lane = Lane(most=10)
    start, let_in = Barrier(8), []

    def run():
        start.wait()
        for _ in range(50):
            if lane.limiter.acquire(lane.routed(), lane.now) is None:
                let_in.append(1)

    threads = [Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(let_in) == lane.limiter.in_flight == 10


def test_it_says_what_it_is():
    assert repr(RouteLimiter("slow", 20, RateOptions(10.0, 5))) == (
        "<RouteLimiter slow: 0 of 20 in flight, 10 a second, 5 at once>"
    )
    assert str(RouteLimiter("slow", 20, None)) == "0 of 20 in flight"
