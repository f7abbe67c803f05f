"""Active health checks under a manual clock: who goes out, who comes back, and who never goes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from world import World

from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.events import EndpointHealthy, EndpointUnhealthy
from meshware.core.outcome import Cause
from meshware.health.asking import Ailing


class Hand:
    """Hands that do at once what they are given, unless told to hang."""

    def __init__(self):
        self.hung = {}
        self.hanging = False
        self.now = 0.0

    def give(self, key, work, *, limit, done, lesser):
        assert lesser
        if key in self.hung:
            return False
        if self.hanging:
            self.hung[key] = done
            return True
        try:
            work()
            error = None
        except Exception as caught:
            error = caught
        done(None, error, self.now)
        return True


class Checked(World):
    """A world whose endpoints are asked: `wrong` says what each raises."""

    def __init__(self, endpoints=3, **settings):
        check = {"call": self.ask, "interval": 5.0, **settings.pop("health_check", {})}
        super().__init__(endpoints, health_check=check, **settings)
        self.wrong, self.asked = {}, []
        self.hands = Hand()
        self.checks = self.service.checks
        self.checks.keep(self.now, self.hands)  # all are due within an interval

    def ask(self, endpoint):
        self.asked.append(endpoint.address)
        if endpoint.address in self.wrong:
            raise self.wrong[endpoint.address]
        return True

    def rounds(self, count=1):
        """So many intervals, the longest that there are."""
        for _ in range(count):
            self.now += 6.25
            self.hands.now = self.now
            self.checks.keep(self.now, self.hands)
            self.keep_house()

    def out(self):
        return [number for number, each in enumerate(self.endpoints) if Bar.UNHEALTHY in each.bars]

    def fail(self, number, error=None):
        self.wrong[self.endpoints[number].address] = error or ConnectionRefusedError("refused")

    def mend(self, number):
        del self.wrong[self.endpoints[number].address]

    def of(self, kind):
        return [each for each in self.events if isinstance(each, kind)]


@pytest.fixture
def world():
    return Checked()


def test_everybody_is_asked_once_an_interval_and_not_in_step(world):
    world.rounds(3)
    assert {world.asked.count(each.address) for each in world.endpoints} <= {3, 4}
    world.now += 1e-6
    dues = [record.due for record in world.checks._records.values()]
    assert len(set(dues)) == 3
    assert all(3.7 <= due - world.now <= 6.3 for due in dues)


def test_one_that_fails_three_times_in_a_row_is_out(world):
    world.rounds()
    world.fail(0)
    world.rounds(2)
    assert world.out() == []
    world.rounds()
    assert world.out() == [0]
    (event,) = world.of(EndpointUnhealthy)
    assert (event.address, event.reason) == (world.endpoints[0].address, "ConnectionRefusedError: refused")
    assert world.endpoints[0].availability.state() == "unhealthy (ConnectionRefusedError: refused)"
    assert set(world.picks(100)) == {each.address for each in world.endpoints[1:]}


def test_a_success_between_begins_the_row_anew(world):
    world.fail(0)
    world.rounds(2)
    world.mend(0)
    world.rounds()
    world.fail(0)
    world.rounds(2)
    assert world.out() == []


def test_an_answer_that_says_no_counts_at_once(world):
    world.fail(0, Ailing("it answers 503"))
    world.rounds()
    assert world.out() == [0]
    assert world.of(EndpointUnhealthy)[0].reason == "it answers 503"


def test_it_is_back_after_two_good_ones_slowly_and_as_if_new():
    world = Checked(slow_start=10.0)
    world.rounds()
    world.fail(0, Ailing("no"))
    world.rounds()
    world.mend(0)
    world.rounds()
    assert world.out() == [0]
    world.rounds()
    assert world.out() == []
    assert world.of(EndpointHealthy)[0].away == pytest.approx(12.5)
    assert Bar.WARMING in world.endpoints[0].bars
    assert world.endpoints[0].bars[Bar.WARMING] == pytest.approx(world.now + 10.0)


def test_without_slow_start_it_is_back_at_once():
    world = Checked(slow_start=0.0)
    world.fail(0, Ailing("no"))
    world.rounds()
    world.mend(0)
    world.rounds()
    assert not world.endpoints[0].bars


def test_one_that_was_never_well_needs_one_good_check_only(world):
    world.fail(0, Ailing("starting"))
    world.rounds(2)
    world.mend(0)
    world.rounds()
    assert world.out() == []


def test_the_last_one_is_never_taken_out(world):
    for number in range(3):
        world.fail(number, Ailing("no"))
    world.rounds(5)
    assert len(world.out()) == 2
    assert len(world.picks(10)) == 1


def test_when_all_others_have_gone_the_one_found_ailing_last_is_used(world):
    world.fail(0, Ailing("no"))
    world.rounds()
    world.fail(1, Ailing("no"))
    world.rounds()
    assert world.out() == [0, 1]
    world.service.replace([Endpoint(each.address) for each in world.endpoints[:2]], world.now)
    world.rounds()
    assert world.out() == [0]
    assert set(world.picks(10)) == {world.endpoints[1].address}


def test_who_is_held_for_another_reason_is_not_spared(world):
    world.fail(0, Ailing("no"))
    world.rounds()
    for each in world.endpoints:
        each.availability.bar(Bar.HELD)
    world.rounds()
    assert world.out() == [0]


def test_a_check_that_hangs_has_failed_and_fails_again_for_as_long_as_it_hangs(world):
    first = world.endpoints[0]
    world.hands.hanging = True
    world.rounds()
    done = world.hands.hung[world.checks, first]
    world.hands.hanging = False
    done(None, TimeoutError("no answer in 1 s"), world.now)
    world.rounds(2)
    assert world.out() == [0]
    assert world.checks.status(first, world.now)["said"] == "TimeoutError: its last check still hangs"


def test_one_that_is_still_being_asked_is_not_asked_again(world):
    world.hands.hanging = True
    world.rounds(3)
    assert len(world.hands.hung) == 3
    assert world.out() == []


def test_what_is_said_of_one_that_has_gone_meanwhile_is_not_heard(world):
    world.hands.hanging = True
    world.rounds()
    first = world.endpoints[0]
    world.service.replace([Endpoint("10.0.0.9:80")], world.now)
    world.hands.hanging = False
    world.rounds()
    world.hands.hung[world.checks, first](None, Ailing("no"), world.now)
    assert Bar.UNHEALTHY not in first.bars
    assert world.checks.status(first, world.now) == {"said": "not checked yet", "age": None}


def test_one_that_goes_and_comes_back_is_not_kept_out_for_what_was(world):
    world.fail(0, Ailing("no"))
    world.rounds()
    gone = world.endpoints[0]
    world.service.replace([Endpoint(each.address) for each in world.endpoints[1:]], world.now)
    world.rounds()
    world.service.replace([Endpoint(gone.address), *(Endpoint(each.address) for each in world.endpoints)], world.now)
    assert Bar.UNHEALTHY not in gone.bars


def test_a_passed_check_brings_back_who_refused_connections(world):
    world.service.used = True
    call = world.call()
    attempt = call.begin(world.now)
    World.fail(world, call, attempt, Cause.REFUSED, sent=False)
    assert Bar.EJECTED in attempt.endpoint.bars
    world.rounds()
    assert Bar.EJECTED not in attempt.endpoint.bars


def test_status_says_what_the_last_check_said_and_its_age(world):
    first = world.endpoints[0]
    world.checks.keep(world.now, SimpleNamespace(give=None))
    assert world.checks.status(first, world.now) == {"said": "not checked yet", "age": None}
    world.rounds()
    assert world.checks.status(first, world.now + 2) == {"said": "healthy", "age": 2.0}


def test_a_service_that_is_checked_is_looked_after_though_nobody_calls_it(world):
    assert not world.service.quiet()
    assert not World().service.checks


def test_short_intervals_are_kept(world):
    assert not world.checks.keep(world.now, world.hands)
    assert Checked(health_check={"interval": 1.0}).checks.keep(1000.0, Hand())


# Beside the other workers of this host


def test_who_checks_says_what_it_found_and_when(world):
    first = world.endpoints[0]
    assert world.checks.word(first) == 0.0
    world.fail(0, Ailing("no"))
    world.rounds()
    assert world.checks.word(first) == world.now
    world.mend(0)
    world.rounds(2)
    assert world.checks.word(first) < 0


def test_who_follows_does_not_ask_and_takes_the_others_word(world):
    for each in world.endpoints:
        world.checks.follow(each, 0.0, False, world.now)
    world.rounds(3)
    assert world.asked == []
    first = world.endpoints[0]
    world.checks.follow(first, world.now, False, world.now)
    assert world.out() == [0]
    assert world.checks.word(first) == 0.0, "it is the other's"
    world.checks.follow(first, world.now - 1, False, world.now)
    world.checks.follow(first, -(world.now + 1), False, world.now + 1)
    assert world.out() == []


def test_when_the_one_who_checked_is_gone_another_takes_over_where_he_was(world):
    first = world.endpoints[0]
    world.checks.follow(first, world.now, False, world.now)
    world.fail(0, Ailing("no"))
    world.checks.follow(first, 0.0, True, world.now)
    world.rounds()
    assert world.out() == [0]
    world.mend(0)
    world.rounds(2)
    assert world.out() == []


def test_not_even_by_anothers_word_is_the_last_one_out(world):
    for each in world.endpoints:
        world.checks.follow(each, world.now, False, world.now)
    assert world.out() == [0, 1]


def test_a_word_of_one_that_is_unknown_changes_nothing(world):
    world.checks.follow(Endpoint("10.9.9.9:80"), world.now, False, world.now)
    assert world.out() == []
