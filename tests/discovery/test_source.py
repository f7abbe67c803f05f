"""A source: what is taken of an answer, what stays when there is none, and when it is asked again."""

from __future__ import annotations

import pytest
from discovery.conftest import Found, Told

from meshware.core.availability import Bar
from meshware.core.errors import NoEndpoint
from meshware.core.events import EndpointsChanged
from meshware.core.outcome import Cause
from meshware.discovery import Endpoints, answer

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


def test_what_is_found_is_put_in_force_whole(found):
    found.says(A, {"address": B, "weight": 2, "locality": "aws/eu", "metadata": {"price": 1}, "priority": 3})
    found.keep_house()
    assert found.addresses == [A, B]
    other = found.endpoints[1]
    assert (other.weight, other.locality.region, other.metadata, other.priority) == (2, "eu", {"price": 1}, 3)
    assert set(found.picks(10)) == {A}  # B is for when there is no A
    assert [(each.added, each.removed) for each in found.events if isinstance(each, EndpointsChanged)] == [((A, B), ())]


def test_it_is_asked_again_when_the_answer_is_no_longer_valid(found):
    found.says(A, valid_for=20.0)
    found.keep_house()
    found.says(B)
    found.pass_time(19.0)
    assert (found.hands.jobs, found.addresses) == (1, [A])
    found.pass_time(1.0)
    assert (found.hands.jobs, found.addresses) == (2, [B])
    assert A not in found.picks(20)


@pytest.mark.parametrize(("valid_for", "seconds"), [(0, 1.0), (-5, 1.0), (1e12, 86_400.0)])
def test_it_is_asked_once_a_second_at_most_and_once_a_day_at_least(found, valid_for, seconds):
    found.says(A, valid_for=valid_for)
    found.keep_house()
    found.pass_time(seconds - 0.1)
    assert found.hands.jobs == 1
    found.pass_time(0.1)
    assert found.hands.jobs == 2


def test_the_same_answer_again_makes_no_new_picker(found):
    found.says(A, B)
    found.keep_house()
    picker = found.service.picker
    found.says(B, A)
    found.pass_time(30.0)
    assert found.service.picker is picker


def test_what_was_learned_is_kept_by_address(found):
    found.says(A, B)
    found.keep_house()
    known = found.endpoints[1]
    found.says(C, {"address": B, "weight": 5})
    found.pass_time(30.0)
    assert found.endpoints[1] is known
    assert known.weight == 5


def test_what_stood_in_the_last_answer_is_not_read_again(found, monkeypatch):
    reader, seen = found.source._reader, []
    read = reader._read
    monkeypatch.setattr(reader, "_read", lambda entry: seen.append(entry) or read(entry))

    def read_of(*entries):
        seen.clear()
        found.says(*entries)
        found.pass_time(30.0)
        return list(seen)

    weighted = {"address": B, "weight": 2}
    assert read_of(A, weighted) == [A, weighted]
    assert read_of(dict(weighted), C, str(A)) == [C]
    assert read_of(A, {"address": B, "weight": 3}) == [{"address": B, "weight": 3}]
    assert {each.address: each.weight for each in found.endpoints} == {A: 1, B: 3}
    assert read_of(C) == [C]
    assert read_of(A, C) == [A]


def test_what_may_change_under_our_hands_is_read_each_time(found):
    entry = {"address": A, "metadata": {"version": 1}}
    found.says(entry)
    found.keep_house()
    entry["metadata"]["version"] = 2
    found.pass_time(30.0)
    assert found.endpoints[0].metadata == {"version": 2}


@pytest.mark.parametrize(("away", "same"), [(59.0, True), (60.0, False)])
def test_an_address_that_returns_within_a_minute_is_the_same_endpoint(found, away, same):
    found.says(A, B, valid_for=1.0)
    found.keep_house()
    gone = found.endpoints[1]
    found.says(A, valid_for=1.0)
    found.pass_time(1.0)
    assert Bar.REMOVED in gone.bars
    found.says(A, B, valid_for=1.0)
    found.pass_time(away)
    assert (found.endpoints[1] is gone) is same
    assert not found.endpoints[1].bars


def test_one_that_was_ejected_when_it_went_is_not_when_it_is_back(found):
    found.says(A, B, valid_for=1.0)
    found.keep_house()
    gone = found.endpoints[0]
    call = found.call()
    attempt = call.begin(found.now)
    while attempt.endpoint is not gone:
        call = found.call()
        attempt = call.begin(found.now)
    found.fail(call, attempt, Cause.REFUSED)
    assert Bar.EJECTED in gone.bars
    found.says(B, valid_for=1.0)
    found.pass_time(1.0)
    found.says(A, B, valid_for=1.0)
    found.pass_time(1.0)
    assert found.endpoints[0] is gone
    assert not gone.bars
    assert not found.service.ejection.waiting


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.RESET])
def test_what_becomes_of_a_call_to_one_that_has_gone_is_not_remembered(found, cause):
    found.says(A, valid_for=1.0)
    found.keep_house()
    call = found.call()
    attempt = call.begin(found.now)
    found.says(B, C)
    found.pass_time(1.0)
    found.fail(call, attempt, cause)
    assert not found.service.ejection.waiting
    assert not found.service.ejection._records
    assert not attempt.endpoint.open
    found.pass_time(1.0)
    assert not list(found.service.ejection.probes(found.now))


# What is wrong with an answer


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.9:0", "10.0.0.9:99999", "10.0.0.9", " 10.0.0.9:80", "user@10.0.0.9:80", "10.0.0.9:80 ", "", 5, None, [],
     "[fe80::1%eth0]:80", "fe80::1:80", "http://10.0.0.9:80", "10.0.0.9:80/", "10.0.0.9:+80", "a b:80", b"10.0.0.9:80",
     {"address": "10.0.0.9:80", "weight": -1}, {"address": "10.0.0.9:80", "prio": 1}, {"weight": 1}, A],
    ids=repr,
)  # fmt: skip
def test_an_entry_that_is_no_endpoint_is_left_out_and_the_rest_kept(found, entry):
    found.says(A, entry, B)
    found.keep_house()
    assert found.addresses == [A, B]
    (((said,),), failures) = found.refused, found.failures
    assert failures == []
    assert repr(entry)[:70] in said or said == f"{A}: named twice"


def test_each_entry_that_is_left_out_is_told_once(found):
    for _ in range(10):
        found.says(A, "x", "y", "x", valid_for=20.0)
        found.pass_time(20.0)
    ((first, second),) = found.refused
    assert first.startswith("'x': ")
    assert second.startswith("'y': ")
    assert [each[:3] for each in found.source.status(found.now)["refused"]] == ["'x'", "'y'", "'x'"]


def test_what_is_wrong_with_further_entries_is_told_a_minute_later_at_most(found):
    told = []
    for wrong in (("x",), ("x", "y"), ("x", "y", "z"), ("z",), ("x", "z")):
        found.says(A, *wrong, valid_for=20.0)
        found.pass_time(20.0)
        told.append([[each[1] for each in refused] for refused in found.refused])
    assert told == [[["x"]], [["x"]], [["x"]], [["x"], ["z"]], [["x"], ["z"]]]
    found.says(A, "x", "z", valid_for=20.0)
    found.pass_time(40.0)
    assert [each[1] for each in found.refused[-1]] == ["x"]  # it was right in between


def test_once_all_entries_are_right_nothing_is_said_to_be_wrong(found):
    found.says(A, "x")
    found.keep_house()
    found.says(A, B)
    found.pass_time(30.0)
    assert "refused" not in found.source.status(found.now)


def test_the_very_same_answer_is_not_looked_at_again(found, monkeypatch):
    answer = Endpoints((A, B), 5.0)
    type(found.source._discovery).said = answer
    found.keep_house()
    monkeypatch.setattr(found.source._reader, "_answer", None)
    found.pass_time(5.0)
    found.pass_time(5.0)
    assert (found.hands.jobs, found.addresses, found.source.error) == (3, [A, B], "")
    assert found.source.status(found.now)["age"] == 0.0


def test_a_list_may_have_changed_when_it_is_given_again(found):
    answer = Endpoints([A], 5.0)
    type(found.source._discovery).said = answer
    found.keep_house()
    answer.found.append(B)
    found.pass_time(5.0)
    assert found.addresses == [A, B]


def test_an_answer_of_which_nothing_can_be_used_is_a_failure(found):
    found.says(A)
    found.keep_house()
    found.says("nonsense")
    found.pass_time(30.0)
    found.pass_time(10_000.0)
    assert found.addresses == [A]
    assert "nonsense" in found.source.error


@pytest.mark.parametrize(
    "said",
    [
        None,
        [A],
        5,
        Endpoints(A),
        Endpoints([B], float("nan")),
        Endpoints([B], True),
        Endpoints([B], None),
        Endpoints(5),
    ],
    ids=repr,
)
def test_what_is_no_answer_at_all_is_a_failure(found, monkeypatch, said):
    found.says(A)
    found.keep_house()
    monkeypatch.setattr(type(found.source._discovery), "fetch", lambda self, now: said)
    found.pass_time(30.0)
    assert found.addresses == [A]
    assert found.source.error.startswith("TypeError: ")


def test_an_endless_answer_is_cut(found, monkeypatch):
    monkeypatch.setattr(answer, "MOST", 2)
    found.says(A, B, C)
    found.keep_house()
    assert found.addresses == [A, B]


class Odd:
    """A value that cannot be compared."""

    def __eq__(self, other):
        raise ValueError("ambiguous")

    __hash__ = None


def test_metadata_that_cannot_be_compared_is_taken_as_new(found):
    found.says({"address": A, "metadata": {"odd": Odd()}})
    found.keep_house()
    found.says({"address": A, "metadata": {"odd": (other := Odd())}})
    found.pass_time(30.0)
    assert found.endpoints[0].metadata["odd"] is other
    assert found.source.error == ""


class Speechless(Exception):
    def __str__(self):
        raise LookupError("no words")


def test_an_error_without_words_is_known_by_its_kind(found):
    found.fails(Speechless())
    found.keep_house()
    assert found.source.error == "Speechless"
    assert found.failures == [("discovery told", "Speechless")]


# When there is none


@pytest.mark.row("F21")
def test_while_it_fails_the_last_set_stays_for_ever_and_its_age_is_shown(found):
    found.says(A)
    found.keep_house()
    found.fails(OSError("no route"))
    for _ in range(100):
        found.pass_time(3600.0)
    assert found.addresses == [A]
    assert set(found.picks(5)) == {A}
    status = found.source.status(found.now)
    assert status == {"name": "told", "age": 360_000.0, "failures": 100, "error": "OSError: no route"}


def test_one_that_fails_is_asked_again_after_longer_and_longer(found):
    found.fails(OSError("no route"))
    waits = []
    for _ in range(8):
        before, at = found.hands.jobs, found.now
        while found.hands.jobs == before:
            found.pass_time(0.05)
        waits.append(found.now - at)
    assert all(
        0.7 * usual <= wait <= 1.3 * usual for wait, usual in zip(waits[1:], (1, 2, 4, 8, 16, 30, 30), strict=True)
    )
    found.says(A, valid_for=1)
    found.pass_time(60.0)
    assert (found.source.error, found.addresses) == ("", [A])
    found.fails(OSError("again"))
    found.pass_time(1.0)
    jobs = found.hands.jobs
    found.pass_time(1.3)
    assert found.hands.jobs == jobs + 1


@pytest.mark.parametrize(
    ("longest", "most"), [(1.0, 1.3), (4, 5.1), (0.5, 0.75), (-1, 38.0), ("soon", 38.0), (1e9, 38.0)]
)
def test_one_that_is_cheap_to_ask_may_be_asked_sooner(registered, longest, most):
    registered(Told)
    Told.longest_wait = longest
    try:
        found = Found()
        found.fails(OSError("no route"))
        for _ in range(8):
            found.pass_time(40.0)
        jobs, waited = found.hands.jobs, 0.0
        while found.hands.jobs == jobs:
            found.pass_time(0.1)
            waited += 0.1
        assert most / 2 <= waited <= most
    finally:
        del Told.longest_wait
        Told.said = ()


def test_the_answer_of_one_that_is_cheap_to_ask_may_be_valid_for_less_than_a_second(registered):
    class Cheap(Told):
        longest_wait = 0.2
        said = Endpoints([A], 0.3)

    registered(Cheap)
    world = Found()
    world.keep_house()
    world.pass_time(0.25)
    assert world.hands.jobs == 1
    world.pass_time(0.06)
    assert world.hands.jobs == 2


@pytest.mark.row("F21")
def test_an_empty_answer_does_not_count_for_ten_minutes(found):
    found.says(A)
    found.keep_house()
    found.says(valid_for=60.0)
    found.pass_time(30.0)
    found.pass_time(599.0)
    assert found.addresses == [A]
    found.pass_time(1.0)
    assert found.addresses == []
    with pytest.raises(NoEndpoint, match="told: found none"):
        found.call().begin(found.now)


def test_an_answer_between_two_empty_ones_starts_the_ten_minutes_anew(found):
    found.says(A, valid_for=1.0)
    found.keep_house()
    found.says(valid_for=1.0)
    found.pass_time(500.0)
    found.says(A, valid_for=1.0)
    found.pass_time(90.0)
    found.says(valid_for=1.0)
    found.pass_time(90.0)
    found.pass_time(500.0)
    assert found.addresses == [A]


def test_a_service_that_never_had_any_says_why(found):
    with pytest.raises(NoEndpoint, match="told: no answer yet"):
        found.call().begin(found.now)
    found.fails(LookupError("no such zone"))
    found.keep_house()
    with pytest.raises(NoEndpoint, match="told: LookupError: no such zone"):
        found.call().begin(found.now)
    found.says()
    found.pass_time(2.0)
    with pytest.raises(NoEndpoint, match="told: found none"):
        found.call().begin(found.now)


@pytest.mark.parametrize("said", [(A,), (), OSError("no")], ids=["some", "none", "failed"])
def test_the_first_answer_good_or_bad_ends_the_waiting(found, said):
    arrival = found.service.arrival
    assert arrival is not None
    type(found.source._discovery).said = said
    found.keep_house()
    assert found.service.arrival is None
    arrival.wait(60.0)


def test_a_stopped_source_is_not_asked_and_its_answer_not_taken(found):
    kept = {}
    found.hands.give = lambda key, work, *, limit, done: kept.update(done=done, answer=work()) or True
    found.says(A)
    found.keep_house()
    found.service.source.stop()
    assert found.service.arrival is None
    kept["done"](kept.pop("answer"), None, found.now)
    found.pass_time(100.0)
    assert found.addresses == []
    assert "answer" not in kept


def test_while_its_last_question_is_open_it_is_asked_no_other(found):
    found.hands.give = lambda *_, **__: found.events.append("asked") or False
    for _ in range(30):
        found.pass_time(0.1)
    assert found.events.count("asked") == 3
