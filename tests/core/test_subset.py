"""A subset picks among its own: what is known of its endpoints is the service's, and so is their return."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from world import World

from meshware.assembly.policies import retries_of
from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.errors import NoEndpoint
from meshware.core.outcome import Cause
from meshware.core.plan import Plan
from meshware.core.subset import Subset

V1, V2 = {"version": "1"}, {"version": "2"}
SIX = [{"address": f"10.0.0.{n}:80", "metadata": V1 if n < 4 else V2} for n in range(1, 7)]


class Town(World):
    """Six endpoints, the last three of version 2, and a subset of these."""

    def __init__(self, endpoints=SIX, *, elsewhere=False, metadata=V2, **settings):
        super().__init__(endpoints, **settings)
        self.subset = Subset(
            self.service,
            metadata,
            elsewhere=elsewhere,
            strategy=partial(self.service.parts.strategy_over, self.service, self.service.learner),
        )
        self.service.subsets = (self.subset,)
        self.service.refresh(self.now)
        self.plan = Plan(self.service, subset=self.subset)

    def routed(self, method="GET", **facts):
        call = super().call(method, **facts)
        return Call(self.service, call.request, plan=self.plan)

    def where(self, count):
        seen = Counter()
        for _ in range(count):
            call = self.routed()
            attempt = call.begin(self.now)
            seen[attempt.endpoint.address] += 1
            call.abandon(attempt, self.now)
        return seen


def test_only_its_own_endpoints_are_picked_by_the_services_strategy():
    town = Town()
    assert town.where(30) == {"10.0.0.4:80": 10, "10.0.0.5:80": 10, "10.0.0.6:80": 10}


def test_its_endpoints_are_the_services_own():
    town = Town()
    assert set(town.subset.endpoints) == set(town.endpoints[3:])
    call = town.routed()
    attempt = call.begin(town.now)
    assert attempt in attempt.endpoint.open
    town.answer(call, attempt)
    town.read(call, attempt)
    assert town.in_flight() == 0


def test_it_is_renewed_when_the_service_is():
    town = Town()
    town.endpoints[3].availability.bar(Bar.UNHEALTHY)
    town.service.refresh(town.now)
    assert set(town.where(30)) == {"10.0.0.5:80", "10.0.0.6:80"}
    town.service.replace([Endpoint("10.0.0.9:80", metadata=V2), Endpoint("10.0.0.1:80", metadata=V2)], town.now)
    town.service.refresh(town.now)
    assert set(town.where(30)) == {"10.0.0.1:80", "10.0.0.9:80"}


def test_a_retry_stays_within_it():
    town = Town()
    call = town.routed()
    attempt = call.begin(town.now)
    step = town.fail(call, attempt, Cause.REFUSED, sent=False)
    assert step.attempt.endpoint in town.subset.endpoints
    assert step.attempt.endpoint is not attempt.endpoint


def test_without_any_of_its_endpoints_the_call_fails_and_says_whose():
    town = Town()
    for each in town.endpoints[3:]:
        each.availability.bar(Bar.UNHEALTHY)
    with pytest.raises(NoEndpoint, match=r"inventory \(version=2\)") as caught:
        town.routed().begin(town.now)
    assert set(caught.value.states) == {"10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"}
    town.service.refresh(town.now)
    with pytest.raises(NoEndpoint):
        town.routed().begin(town.now)


def test_with_a_fallback_others_are_taken_while_none_of_its_own_may_be_used():
    town = Town(elsewhere=True)
    assert set(town.where(30)) == {"10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"}
    for each in town.endpoints[3:]:
        each.availability.bar(Bar.UNHEALTHY)
    town.service.refresh(town.now)
    assert set(town.where(30)) == {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}
    assert town.subset.untried(town.routed(), town.now)


def test_metadata_that_nobody_has_is_an_empty_subset():
    town = Town(metadata={"version": "3"})
    assert town.subset.picker is None
    with pytest.raises(NoEndpoint):
        town.routed().begin(town.now)
    assert set(Town(metadata={"version": "3"}, elsewhere=True).where(60)) == {each["address"] for each in SIX}


def test_the_first_call_of_all_may_be_one_to_a_subset():
    town = Town()
    fresh = Town()
    fresh.service.picker = fresh.subset.picker = None
    fresh.service.changed = True
    assert set(fresh.where(9)) == set(town.where(9))


def test_an_ejected_endpoint_is_tried_by_calls_to_its_own_subset_only():
    town = Town(ejection={"consecutive": 1, "base": 1.0, "jitter": 0})
    bad = town.endpoints[0]  # of version 1
    while not bad.bars:
        call = town.call()
        attempt = call.begin(town.now)
        town.answer(call, attempt, 500 if attempt.endpoint is bad else 200)
        town.read(call, attempt)
    town.now += 1.5
    assert set(town.where(30)) == {"10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"}
    tried = town.call().begin(town.now)
    assert tried.endpoint is bad
    assert tried.lease is not None


def test_a_strategy_that_picks_outside_is_not_followed():
    class Wanderer:
        def pick(self, call):
            return call.service.endpoints[0]

    town = Town()
    town.subset.picker = Wanderer()
    assert set(town.where(60)) <= {"10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"}


def test_a_strategy_that_fails_is_told_and_the_stand_in_decides():
    class Broken:
        def pick(self, call):
            raise RuntimeError("broken")

    town = Town()
    town.subset.picker = Broken()
    town.events.clear()
    assert set(town.where(20)) <= {"10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"}
    assert {event.plugin for event in town.events} == {"strategy"}


def test_localities_of_a_subset_are_its_own():
    where = [each | {"locality": "aws/eu/a" if n % 2 else "aws/eu/b"} for n, each in enumerate(SIX)]
    town = Town(where, locality={"mode": "weighted", "weights": {"aws/eu/a": 1}})
    assert set(town.where(30)) == {"10.0.0.4:80", "10.0.0.6:80"}


def test_groups_of_a_subset_and_of_its_service_are_measured_beside_each_other():
    where = [each | {"locality": "aws/eu/a" if n % 2 else "aws/eu/b"} for n, each in enumerate(SIX)]
    town = Town(where, locality={"mode": "weighted", "weights": {"aws": 1}})
    assert [len(each.readings) for each in town.endpoints] == [1, 1, 1, 2, 2, 2]
    town.subset.leave()
    assert [len(each.readings) for each in town.endpoints] == [1] * 6


def test_one_without_metadata_is_all_of_the_service_and_is_called_so():
    town = Town(metadata={})
    assert set(town.where(60)) == {each["address"] for each in SIX}
    assert town.subset.name == "inventory"


def test_it_may_have_a_strategy_of_its_own():
    class Last:
        def pick(self, call):
            return town.subset.endpoints[-1]

        def picker(self, endpoints):
            return self

    town = Town()
    town.subset = Subset(
        town.service,
        {},
        elsewhere=False,
        strategy=partial(town.service.parts.strategy_over, town.service, Last()),
        learner=Last,
    )
    town.service.subsets = (town.subset,)
    assert town.service.learners == (town.service.learner, Last)
    town.service.refresh(town.now)
    town.plan = Plan(town.service, subset=town.subset)
    assert town.where(10) == {"10.0.0.6:80": 10}


def test_the_policies_of_a_plan_stand_above_the_services():
    town = Town(retry={"attempts": 1})
    settings = town.service.settings.retry
    plan = Plan(town.service, retry=retries_of(settings, type(settings)(attempts=3)))
    assert (plan.retry.attempts, town.service.retry.attempts) == (3, 1)


def test_a_strategy_that_makes_no_picker_leaves_the_choice_to_the_stand_in():
    town = Town()

    def refuse(endpoints):
        raise LookupError("no picker")

    town.subset._strategy.picker = refuse
    town.service.refresh(town.now)
    assert set(town.where(40)) == {f"10.0.0.{n}:80" for n in (4, 5, 6)}
    assert any("no picker" in str(each.error) for each in town.events if hasattr(each, "plugin"))


def test_it_says_whose_part_it_is():
    assert repr(Town().subset) == "<Subset inventory (version=2): 3 endpoints>"


@pytest.mark.parametrize("strategy", ["ring_hash", "maglev"])
def test_a_key_has_one_endpoint_within_a_subset(strategy):
    pytest.importorskip("xxhash")
    town = Town(strategy={strategy: {"key": {"header": "x-user"}}}, seed=5)
    homes = {}
    for user in range(60):
        for _ in range(3):
            endpoint = town.routed(headers={"x-user": str(user)}).begin(town.now).endpoint
            homes.setdefault(user, set()).add(endpoint.address)
    assert all(len(each) == 1 for each in homes.values())
    assert len(set.union(*homes.values())) == 3
    assert set.union(*homes.values()) <= {each.address for each in town.subset.endpoints}
