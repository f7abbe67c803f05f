"""Sticky sessions: a key keeps its endpoint while it can, moves when it must, and is forgotten in the end."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.sticky import Sticky
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Outcome
from meshware.testing import check_strategy

KEY = {"header": "x-user"}


def world(endpoints=10, **options):
    return World(endpoints, strategy={"sticky": {"key": KEY, "strategy": "random", **options}})


def pick(made, key):
    call = made.call(headers={"x-user": key} if key else None)
    call.now = made.now
    return made.service.picker.pick(call)


def users(count):
    return [f"user-{number}" for number in range(count)]


def test_every_key_keeps_its_endpoint():
    made = world()
    homes = {user: pick(made, user) for user in users(1000)}
    assert all(pick(made, user) is home for user, home in homes.items())
    assert len(set(homes.values())) == 10


def test_calls_without_a_key_go_as_the_inner_strategy_says():
    made = World(4, strategy={"sticky": {"key": KEY, "strategy": "round_robin"}})
    assert all(count == 2500 for count in made.picks(10_000).values())


def test_new_keys_follow_the_inner_strategys_weights():
    made = world(strategy="round_robin")
    made.service.replace([Endpoint("10.0.0.1:80"), Endpoint("10.0.0.2:80", weight=3)], made.now)
    homes = [pick(made, user).host for user in users(1000)]
    assert homes.count("10.0.0.2") == pytest.approx(750, abs=2)


def test_an_endpoint_added_moves_no_key():
    made = world()
    homes = {user: pick(made, user) for user in users(200)}
    made.service.replace([*made.endpoints, Endpoint("10.0.0.99:80")], made.now)
    assert all(pick(made, user) is home for user, home in homes.items())


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_key_whose_endpoint_is_unavailable_moves_and_stays_there(refreshed):
    made = world()
    homes = {user: pick(made, user) for user in users(200)}
    gone = homes["user-0"]
    gone.availability.bar(Bar.HELD)
    while pick(made, "user-0") is gone:  # until the refresh the inner strategy may still name it
        assert not refreshed
    if refreshed:
        made.service.refresh(made.now)
    there = {user: pick(made, user) for user in users(200) if homes[user] is not gone or user == "user-0"}
    gone.availability.lift(Bar.HELD)
    made.service.refresh(made.now)
    assert all(pick(made, user) is home for user, home in there.items())
    assert all(home is homes[user] for user, home in there.items() if user != "user-0")


def test_a_retry_goes_elsewhere_and_takes_the_key_along():
    made = world()
    call = made.call(headers={"x-user": "ann"})
    first = call.begin(made.now)
    second = made.answer(call, first, 503).attempt
    assert second.endpoint is not first.endpoint
    assert pick(made, "ann") is second.endpoint


def test_a_key_stays_wherever_its_calls_are_drawn_to():
    places = ["aws/eu/a", "aws/eu/a", "gcp/eu/a", "gcp/eu/a"]
    endpoints = [{"address": f"10.0.0.{number}:80", "locality": place} for number, place in enumerate(places)]
    weighted = {"mode": "weighted", "weights": {"aws": 1, "gcp": 1}}
    made = World(endpoints, strategy={"sticky": {"key": KEY}}, locality=weighted)
    made.service.refresh(made.now)
    homes = {user: pick(made, user) for user in users(50)}
    assert all(pick(made, user) is home for _ in range(5) for user, home in homes.items())
    assert {home.locality.cloud for home in homes.values()} == {"aws", "gcp"}


def test_slow_start_turns_no_key_away():
    made = world()
    homes = {user: pick(made, user) for user in users(100)}
    for endpoint in made.endpoints:
        endpoint.availability.warm(made.now, 10.0)
    for user, home in homes.items():
        call = made.call(headers={"x-user": user})
        assert call.begin(made.now).endpoint is home


def test_a_key_is_forgotten_when_it_was_not_used_for_long():
    made = world(ttl=60)
    homes = {user: pick(made, user) for user in users(300)}
    for _ in range(3):
        made.now += 50
        assert all(pick(made, user) is home for user, home in homes.items())
    made.now += 61
    assert sum(pick(made, user) is home for user, home in homes.items()) < 100


def test_beyond_its_size_the_key_used_longest_ago_is_forgotten():
    made = world(size=100)
    homes = {user: pick(made, user) for user in users(100)}
    others = [f"other-{number}" for number in range(50)]
    for user in users(50):
        pick(made, user)
    for other in others:
        pick(made, other)
    assert all(pick(made, user) is homes[user] for user in users(50))
    assert sum(pick(made, user) is homes[user] for user in users(100)[50:]) < 25


class Interrupted:
    """Picks the first endpoint; but while it does so for the first time, another call of the key gets the second."""

    def picker(self, endpoints):
        self.left = list(reversed(endpoints))
        return self

    def pick(self, call):
        endpoint = self.left.pop()
        if self.left:
            self.again(call)
        return endpoint


def test_calls_of_one_new_key_at_once_agree():
    made, inner = World(2), Interrupted()
    picker = Sticky(make=lambda choice: inner, key="path").picker(made.endpoints)
    inner.again = picker.pick
    assert [picker.pick(made.call()) for _ in range(3)] == [made.endpoints[1]] * 3


def test_a_learning_strategy_within_learns():
    made = World(2, strategy={"sticky": {"key": KEY, "strategy": "peak_ewma"}})
    slow, fast = made.endpoints
    for endpoint, elapsed in ((slow, 1.0), (fast, 0.01)):
        endpoint.sample(elapsed, False, Outcome(elapsed=elapsed, status=200), made.now)
    assert {pick(made, user) for user in users(50)} == {fast}


@pytest.mark.parametrize("options", [{"key": "path"}, {"key": KEY, "strategy": {"least_request": {"choices": 3}}}])
def test_fit_for_use(options):
    check_strategy({"sticky": options})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "missing 1 required keyword-only argument: 'key'"),
        ({"key": "cookie"}, "key must be 'path'"),
        ({"key": "path", "ttl": 0}, "ttl must be a finite number of seconds above 0, not 0"),
        ({"key": "path", "ttl": float("inf")}, "ttl must be a finite number"),
        ({"key": "path", "ttl": True}, "ttl must be a finite number"),
        ({"key": "path", "size": 0}, "size must be a whole number from 1 on, not 0"),
        ({"key": "path", "size": 1.5}, "size must be a whole number"),
        ({"key": "path", "strategy": "stickiest"}, "no plugin named 'stickiest'"),
    ],
)
def test_bad_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        World(2, strategy={"sticky": options})
