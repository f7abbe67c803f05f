"""What a mirror decides: which calls have a copy, what that says, and whether two answers are alike."""

from __future__ import annotations

import random

import pytest
from world import World

from meshware.core.mirrored import Answer, Mirrored
from meshware.core.outcome import Outcome, Verdict
from meshware.core.plan import Plan
from meshware.core.request import Request
from meshware.routing.mirror import Mirror, MirrorOptions, by_body, by_status, shadow


def mirror(**options):
    return Mirror("route", MirrorOptions(**options), Plan(World().service), made_of=None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("inventory", "inventory-shadow"),
        ("inventory:8080", "inventory-shadow:8080"),
        ("shop.example", "shop.example-shadow"),
        ("[::1]:80", "[::1]-shadow:80"),
    ],
)
def test_the_suffix_stands_before_a_port(host, expected):
    assert shadow(host) == expected


def test_chance_decides_for_a_part_of_the_calls():
    some, rng = mirror(share=0.3), random.Random(1)
    assert sum(some.draws(rng) for _ in range(10_000)) == pytest.approx(3_000, abs=184)  # 4 sigma
    assert not mirror(share=0.0).draws(rng)


def test_only_a_short_body_in_memory_is_copied_and_nothing_of_tls_goes_out_in_plain_text():
    short = mirror(max_body=2)
    assert [short.refuses(body, secure=False) for body in (b"", b"ab", b"abc", None)] == [
        None,
        None,
        "long",
        "streamed",
    ]
    assert short.refuses(b"", secure=True) == "insecure"
    short.plan.service.tls = object()
    assert short.refuses(b"", secure=True) is None


def test_a_copy_leaves_out_what_frames_the_message_and_what_it_was_told_to():
    given = {
        "host": "a",
        "cookie": "1",
        "connection": "close",
        "content-length": "2",
        "proxy-authorization": "1",
        "x": "1",
    }
    request = Request("POST", "a", "/items", given, query="b=1", streamed=True, timeout=2.0)
    copy = mirror(without=frozenset({"cookie"})).request(request, given)
    assert (copy.authority, copy.target, copy.headers) == ("inventory", "/items?b=1", {"x": "1", "host": "a-shadow"})
    assert (copy.streamed, copy.timeout, request.headers) == (False, None, given)


def test_where_bodies_are_compared_the_copy_asks_for_one_that_is_not_compressed():
    copy = mirror(compare=by_body, reads=True, host="b").request(
        Request("GET", "a", "/", {}), {"host": "a", "accept-encoding": "br"}
    )
    assert copy.headers == {"host": "b", "accept-encoding": "identity"}


@pytest.mark.parametrize(
    ("compare", "primary", "copy", "alike"),
    [
        (None, (200, b""), (500, b""), None),
        (by_status, (200, None), (200, None), True),
        (by_status, (200, b"a"), (404, b"a"), False),
        (by_body, (200, b"a"), (200, b"a"), True),
        (by_body, (200, b"a"), (200, b"b"), False),
        (by_body, (200, b"a"), (404, b"a"), False),
        (by_body, (200, None), (200, b"a"), None),
        (by_body, (200, b"a"), (200, None), None),
        (lambda primary, copy: 1, (200, b"a"), (404, b"b"), True),
    ],
)
def test_two_answers_are_alike_or_not_or_nobody_knows(compare, primary, copy, alike):
    (status, body), (other, another) = primary, copy
    asked = mirror(compare=compare, reads=compare is not by_status)
    assert asked.compared(Answer(status, {}, body), Answer(other, {}, another)) is alike


def test_what_became_of_copies_is_counted():
    counted, good, bad = mirror(), Outcome(elapsed=0.1, status=200), Outcome(elapsed=0.1, status=500)
    good.verdict = Verdict.SUCCESS
    for each in (
        Mirrored("route", "inventory", "full"),
        Mirrored("route", "inventory", outcome=good, alike=True),
        Mirrored("route", "inventory", outcome=good),
        Mirrored("route", "inventory", outcome=bad, alike=False),
    ):
        counted.count(each)
    assert counted.status() == {
        "route": "route", "service": "inventory", "sent": 3, "failed": 1, "alike": 1, "unlike": 1,
        "dropped": {"full": 1},
    }  # fmt: skip
