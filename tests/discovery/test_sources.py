"""Several sources of one service: their sets merged, each with its own last good set; what a first call waits for."""

from __future__ import annotations

import pytest
from discovery.conftest import Found, Told

from meshware.assembly.services import assemble
from meshware.core.errors import NoEndpoint
from meshware.discovery import Endpoints
from meshware.settings.schema import MeshSettings

A, B, C, D = (f"10.0.0.{number}:80" for number in range(1, 5))


class One(Told):
    """The first."""


class Two(Told):
    """The second."""


@pytest.fixture
def both(registered, monkeypatch):
    """A service with two sources, `one` and `two`, neither asked yet."""
    for kind, name in ((One, "one"), (Two, "two")):
        monkeypatch.setattr(kind, "said", (), raising=False)
        registered(kind, name)
    return Found(discovery=["one", "two"])


def say(one, two, **answer):
    """What each says from now on: entries, or an error."""
    for kind, said in ((One, one), (Two, two)):
        kind.said = said if isinstance(said, Exception) else Endpoints(said, **{"valid_for": 1.0} | answer)


def test_their_sets_are_merged_and_what_both_name_is_one_endpoint_as_the_first_says_it(both):
    say([A, {"address": B, "weight": 3}], [{"address": B, "weight": 5}, C])
    both.keep_house()
    assert both.addresses == [A, B, C]
    assert both.endpoints[1].weight == 3
    assert both.refused == both.failures == []


def test_what_the_first_names_no_longer_is_what_the_second_says_of_it_and_keeps_what_was_learned(both):
    say([A, {"address": B, "weight": 3}], [{"address": B, "weight": 5}, C])
    both.keep_house()
    known = both.endpoints[1]
    say([A], [{"address": B, "weight": 5}, C])
    both.pass_time(1.0)
    assert {each.address: each.weight for each in both.endpoints} == {A: 1, B: 5, C: 1}
    assert known in both.endpoints


def test_one_that_fails_keeps_its_own_last_set_and_the_other_changes(both):
    say([A], [B])
    both.keep_house()
    say(OSError("no route"), [C])
    for _ in range(5):
        both.pass_time(100.0)
    assert both.addresses == [A, C]
    assert {plugin for plugin, _ in both.failures} == {"discovery one"}


def test_an_empty_answer_of_one_counts_after_ten_minutes_and_leaves_the_other_alone(both):
    say([A], [B])
    both.keep_house()
    say([], [B])
    both.pass_time(1.0)
    both.pass_time(599.0)
    assert both.addresses == [A, B]
    both.pass_time(1.0)
    assert both.addresses == [B]


def test_their_state_is_told_as_one_and_each_by_itself(both):
    say([A], [B])
    both.keep_house()
    say(OSError("no route"), [B, "x"])
    both.pass_time(1.0)
    both.pass_time(0.5)
    status = both.service.source.status(both.now)
    one, two = status.pop("sources")
    assert status == {"name": "one, two", "age": 1.5, "failures": 1, "error": "one: OSError: no route"}
    assert one == {"name": "one", "age": 1.5, "failures": 1, "error": "OSError: no route"}
    assert (two["age"], len(two["refused"])) == (0.5, 1)


def test_two_of_a_name_are_told_apart(registered):
    registered(Told)
    assert Found(discovery=["told", {"told": {}}]).service.source.name == "told[0], told[1]"


def test_where_none_has_any_each_says_why(both):
    with pytest.raises(NoEndpoint, match="one, two: one: no answer yet; two: no answer yet"):
        both.call().begin(both.now)
    say(OSError("no route"), [])
    both.keep_house()
    with pytest.raises(NoEndpoint, match="one, two: one: OSError: no route; two: found none"):
        both.call().begin(both.now)


# The first call


class Held:
    """Hands whose jobs are done when the test says so."""

    def __init__(self):
        self.jobs = {}

    def give(self, key, work, *, limit, done):
        self.jobs[key.name] = work, done
        return True

    def do(self, name, now):
        work, done = self.jobs.pop(name)
        try:
            result, error = work(), None
        except Exception as caught:
            result, error = None, caught
        done(result, error, now)


@pytest.mark.parametrize(
    ("first", "goes_on"), [([A], True), ([], False), (OSError("no"), False)], ids=["some", "none", "failed"]
)
def test_the_first_that_has_found_any_ends_the_waiting_or_else_the_last(both, first, goes_on):
    both.hands = Held()
    say([B], first)
    both.keep_house()
    both.hands.do("two", both.now)
    assert (both.service.arrival is None) is goes_on
    both.hands.do("one", both.now)
    assert both.service.arrival is None
    assert both.addresses[0] == B


# A reload


def reloaded(world, discovery):
    """The service with other sources, by the settings."""
    settings = {"services": {"inventory": {"strategy": "round_robin", "discovery": discovery}}}
    services = assemble(
        MeshSettings.model_validate(settings),
        {"inventory": world.service},
        rng=world.rng,
        emit=world.events.append,
        now=world.now,
    )
    world.service = services["inventory"]


def test_a_source_that_is_added_is_waited_for_by_nobody(both):
    say([A], [B])
    reloaded(both, "one")
    both.keep_house()
    reloaded(both, ["one", "two"])
    assert (both.addresses, both.service.arrival) == ([A], None)
    both.keep_house()
    assert both.addresses == [A, B]


def test_the_endpoints_of_a_source_that_is_taken_away_go_with_it(both):
    say([A, B], [B, C])
    both.keep_house()
    reloaded(both, "two")
    assert both.addresses == [B, C]


def test_what_was_found_before_stays_until_each_new_source_has_answered(both, registered):
    registered(Told, "three")
    Told.said = OSError("no route")
    say([A, B], [C])
    both.keep_house()
    reloaded(both, [{"one": {}}, "three"])
    say([A], [D])
    both.pass_time(100.0)
    assert both.addresses == [A, C]  # `three` stands where `two` stood, and has said nothing yet
    Told.said = (D,)
    both.pass_time(100.0)
    assert both.addresses == [A, D]
    Told.said = ()


def test_the_age_of_what_was_found_goes_on_over_a_reload(both):
    say([A], [B])
    both.keep_house()
    both.pass_time(0.5)
    reloaded(both, ["two", "one"])
    assert [each["age"] for each in both.service.source.status(both.now)["sources"]] == [0.5, 0.5]
