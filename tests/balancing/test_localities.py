"""Localities: which group gets a call, for every strategy; what crosses, when, and how it comes back."""

from __future__ import annotations

import pytest
from world import START, World

from meshware.assembly.services import assemble
from meshware.balancing.levels import Level
from meshware.balancing.localities import Localities, spread
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import LocalityTurned
from meshware.core.outcome import Cause
from meshware.settings.schema import MeshSettings

HOME = "aws/eu-west-1/a"
NEAR, ZONE, REGION, CLOUD = HOME, "aws/eu-west-1/b", "aws/us-east-1/a", "gcp/europe-west1/b"


class Clouds(World):
    """Endpoints at these places: a locality, or (locality, priority); named by their numbers from 0."""

    def __init__(self, *places, home=HOME, strategy="round_robin", **locality):
        super().__init__()
        written = []
        for number, place in enumerate(places):
            where, priority = place if isinstance(place, tuple) else (place, 0)
            written.append({"address": f"10.0.0.{number}:80", "locality": where, "priority": priority})
        service = {"strategy": strategy, "endpoints": written, "locality": locality}
        source = {"services": {"inventory": service}, "locality": home}
        settings = MeshSettings.model_validate(source)
        self.events.clear()
        self.service = assemble(settings, {}, rng=self.rng, emit=self.events.append, now=START)["inventory"]
        self.service.refresh(self.now)

    def shares(self, count=10_000):
        """The share of the calls that each endpoint gets now."""
        seen = self.picks(count)
        return [seen[each.address] / count for each in self.endpoints]

    def drain(self, *numbers, out=True):
        for number in numbers:
            availability = self.endpoints[number].availability
            availability.bar(Bar.DRAINED) if out else availability.lift(Bar.DRAINED)
        self.service.refresh(self.now)

    def busy(self, seconds, *, takes, rate=200.0):
        """Calls at a rate for a while; `takes` says how long the endpoint of a number takes. Where they went."""
        answers, went = [], [0] * len(self.endpoints)
        until = self.now + seconds
        numbers = {each: number for number, each in enumerate(self.endpoints)}
        while self.now < until:
            call = self.call()
            attempt = call.begin(self.now)
            number = numbers[attempt.endpoint]
            went[number] += 1
            answers.append((self.now + takes[number], call, attempt))
            self.now += 1 / rate
            for at, one, its in [each for each in answers if each[0] <= self.now]:
                answers.remove((at, one, its))
                self.answer(one, its, after=0.0)
                self.read(one, its)
        for _, call, attempt in answers:
            call.abandon(attempt, self.now)
        self.service.settle(self.now)
        return [each / sum(went) for each in went]

    def turned(self):
        return [(each.locality, each.on) for each in self.events if isinstance(each, LocalityTurned)]


# Who is asked


@pytest.mark.parametrize("strategy", ["round_robin", "random", "least_request", "peak_ewma", "response_time"])
def test_the_nearest_are_asked_whatever_the_strategy(strategy):
    clouds = Clouds(CLOUD, ZONE, NEAR, REGION, NEAR, strategy=strategy)
    shares = clouds.shares()
    assert shares[2] + shares[4] == 1.0
    assert shares[2] == pytest.approx(0.5, abs=0.05)


def test_as_zone_region_and_cloud_are_lost_the_next_nearest_is_asked():
    clouds = Clouds(CLOUD, REGION, ZONE, NEAR, "")
    for number in (3, 2, 1, 0, 4):
        assert clouds.shares(100)[number] == 1.0
        if number != 4:
            clouds.drain(number)


def test_other_zones_of_the_region_are_one_level():
    assert Clouds(ZONE, "aws/eu-west-1/c", REGION).shares() == [0.5, 0.5, 0.0]


def test_a_home_without_a_zone_knows_no_nearer_zones():
    assert Clouds(NEAR, ZONE, REGION, home="aws/eu-west-1").shares() == [0.5, 0.5, 0.0]


def test_without_a_home_or_with_mode_off_localities_make_no_difference():
    even = [pytest.approx(1 / 3, abs=0.01)] * 3
    assert Clouds(NEAR, ZONE, CLOUD, home="").shares() == even
    assert Clouds(NEAR, (ZONE, 1), CLOUD, mode="off").shares() == even


def test_one_group_costs_nothing_the_strategys_own_picker_is_used():
    with_localities, without = Clouds(ZONE, ZONE).service, World().service
    assert isinstance(with_localities.strategy, Localities)
    assert type(with_localities.picker) is type(without.picker)


def test_another_home_takes_effect_at_a_reload():
    settings = {"services": {"shop": {"endpoints": [{"address": "a:1", "locality": NEAR}]}}}
    world = World()
    facts = {"rng": world.rng, "emit": world.events.append, "now": START}
    before = assemble(MeshSettings.model_validate(settings), {}, **facts)
    same = assemble(MeshSettings.model_validate(settings), before, **facts)
    moved = assemble(MeshSettings.model_validate(settings | {"locality": HOME}), before, **facts)
    assert same["shop"] is before["shop"]
    assert moved["shop"] is not before["shop"]


# Priorities


@pytest.mark.parametrize(
    ("healths", "shares"),
    [
        ([1.0, 1.0], [1.0, 0.0]),
        ([0.72, 1.0], [1.0, 0.0]),
        ([0.5, 1.0], [0.7, 0.3]),
        ([0.25, 0.25, 1.0], [0.35, 0.35, 0.3]),
        ([0.25, 0.25], [0.5, 0.5]),
        ([0.0, 0.5], [0.0, 1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_priorities_are_spread_as_envoy_does(healths, shares):
    assert spread(healths, 1.4) == pytest.approx(shares)


def test_a_priority_with_half_of_its_endpoints_spills_30_percent():
    clouds = Clouds(("", 0), ("", 0), ("", 1), ("", 1))
    assert clouds.shares() == [0.5, 0.5, 0.0, 0.0]
    clouds.drain(0)
    shares = clouds.shares()
    assert shares[1] == pytest.approx(0.7, abs=0.02)
    assert shares[2] == pytest.approx(shares[3], abs=0.01)


def test_priority_stands_above_distance():
    assert Clouds((NEAR, 1), (CLOUD, 0)).shares() == [0.0, 1.0]


def test_a_priority_is_whole_again_when_it_has_been_so_for_the_hold():
    clouds = Clouds(("", 0), ("", 0), ("", 1), hold=3.0)
    clouds.drain(0)
    clouds.shares(10)
    clouds.now += 10
    clouds.shares(10)
    clouds.drain(0, out=False)
    clouds.now += 2.9
    assert clouds.shares()[2] == pytest.approx(0.3, abs=0.02)
    clouds.now += 0.3
    assert clouds.shares()[2] == 0.0
    assert clouds.turned() == [("elsewhere (priority 1)", True), ("elsewhere (priority 1)", False)]


# Weights


def test_weighted_traffic_goes_by_locality_and_evenly_within():
    clouds = Clouds(NEAR, ZONE, CLOUD, CLOUD, mode="weighted", weights={"aws": 3, "aws/eu-west-1/b": 1, "gcp": 4})
    shares = clouds.shares()
    assert shares == [pytest.approx(each, abs=0.02) for each in (3 / 8, 1 / 8, 1 / 4, 1 / 4)]


def test_a_weighted_locality_that_has_lost_too_much_gets_less():
    clouds = Clouds(NEAR, NEAR, CLOUD, mode="weighted", weights={"aws": 1, "gcp": 1})
    clouds.drain(0)
    assert clouds.shares()[1] == pytest.approx(0.7 / 1.7, abs=0.02)


def test_localities_without_a_weight_are_for_when_no_other_is_left():
    clouds = Clouds(NEAR, CLOUD, REGION, mode="weighted", weights={"aws/eu-west-1": 1})
    assert clouds.shares() == [1.0, 0.0, 0.0]
    clouds.drain(0)
    assert clouds.shares() == [0.0, pytest.approx(0.5, abs=0.02), pytest.approx(0.5, abs=0.02)]


# Pressure


def test_while_the_near_ones_are_quick_nothing_crosses():
    clouds = Clouds(NEAR, NEAR, CLOUD)
    assert clouds.busy(5.0, takes=[0.01, 0.01, 0.04])[2] == 0.0
    assert clouds.turned() == []


def test_what_the_near_ones_are_too_slow_for_crosses_and_comes_back():
    clouds = Clouds(NEAR, NEAR, CLOUD)
    clouds.busy(2.0, takes=[0.01, 0.01, 0.04])
    clouds.busy(4.0, takes=[0.2, 0.2, 0.04])
    assert clouds.busy(1.0, takes=[0.2, 0.2, 0.04])[2] > 0.5
    clouds.busy(35.0, takes=[0.01, 0.01, 0.04])
    assert clouds.busy(1.0, takes=[0.01, 0.01, 0.04])[2] == 0.0
    assert clouds.turned() == [(CLOUD.rpartition("/")[0], True), (CLOUD.rpartition("/")[0], False)]


def test_as_slow_but_no_slower_than_the_way_to_the_other_cloud_stays():
    clouds = Clouds(NEAR, NEAR, CLOUD)
    clouds.busy(2.0, takes=[0.01, 0.01, 0.04])
    assert clouds.busy(5.0, takes=[0.035, 0.035, 0.04])[2] == 0.0


def test_a_loss_moves_at_once_what_envoy_would_and_idle_capacity_takes_it_back():
    clouds = Clouds(NEAR, NEAR, CLOUD)
    takes = [0.01, 0.01, 0.04]
    clouds.busy(2.0, takes=takes)
    clouds.drain(0)
    assert clouds.busy(0.3, takes=takes)[2] == pytest.approx(0.3, abs=0.12)
    clouds.busy(9.0, takes=takes)
    assert clouds.busy(2.0, takes=takes)[2] <= 0.01


@pytest.mark.row("F44")
def test_a_cloud_that_comes_and_goes_each_second_is_left_once():
    clouds = Clouds(NEAR, CLOUD)
    takes = [0.01, 0.04]
    clouds.busy(2.0, takes=takes)
    for _ in range(8):
        clouds.drain(0)
        clouds.busy(1.0, takes=takes)
        clouds.drain(0, out=False)
        assert clouds.busy(1.0, takes=takes)[0] < 0.2
    assert len(clouds.turned()) == 1


def test_of_two_far_regions_the_one_that_measures_nearer_is_taken():
    far, farther = "gcp/us/a", "azure/us/a"
    clouds = Clouds(NEAR, farther, far)
    takes = [0.01, 0.2, 0.05]
    clouds.busy(2.0, takes=takes)
    clouds.drain(0, 1)
    clouds.busy(2.0, takes=takes)
    clouds.drain(1, out=False)
    clouds.drain(2)
    clouds.busy(3.0, takes=takes)
    clouds.drain(2, out=False)
    clouds.now += 10
    clouds.busy(5.0, takes=takes)
    assert clouds.busy(1.0, takes=takes)[2] > 0.9


# Retries


def test_a_retry_stays_in_its_zone_while_that_has_another():
    for _ in range(20):
        clouds = Clouds(NEAR, NEAR, CLOUD)
        call = clouds.call()
        step = clouds.fail(call, call.begin(clouds.now), Cause.RESET)
        assert str(step.attempt.endpoint.locality) == NEAR


def test_a_retry_crosses_when_its_zone_has_no_other():
    clouds = Clouds(NEAR, ZONE, CLOUD, CLOUD, CLOUD)
    call = clouds.call()
    step = clouds.fail(call, call.begin(clouds.now), Cause.RESET)
    assert str(step.attempt.endpoint.locality) == ZONE


# Endpoints that move


def moved(clouds, number, place):
    """The endpoint of a number is somewhere else now."""
    endpoints = [
        Endpoint(each.address, locality=Locality.parse(place) if index == number else each.locality)
        for index, each in enumerate(clouds.endpoints)
    ]
    clouds.service.replace(endpoints, clouds.now)


def test_an_endpoint_that_moves_is_heard_of_where_it_is_only():
    clouds = Clouds(NEAR, NEAR, CLOUD, CLOUD)
    mover = clouds.endpoints[0]
    for place in (CLOUD, ZONE, REGION, NEAR, CLOUD):
        moved(clouds, 0, place)
        levels = [each for each in mover.readings if isinstance(each, Level)]
        assert [each.key.place.cloud for each in levels] == [mover.locality.cloud]
    assert len([each for each in mover.samplers if isinstance(each, Level)]) == 1


def test_places_that_come_and_go_leave_nothing_behind():
    clouds = Clouds(NEAR, CLOUD)
    for number in range(30):
        moved(clouds, 1, f"gcp/region-{number}/a")
    assert len(clouds.service.strategy._levels) == 2
    assert sum(isinstance(each, Level) for each in clouds.service.fleet) == 2
