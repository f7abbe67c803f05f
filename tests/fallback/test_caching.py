"""What HTTP says of keeping an answer."""

from __future__ import annotations

from math import inf

import pytest

from meshware.fallback import caching


@pytest.mark.parametrize(
    ("method", "headers", "private", "may"),
    [
        ("GET", {}, False, True),
        ("HEAD", {}, False, True),
        ("POST", {}, True, False),
        ("GET", {"range": "bytes=0-1"}, True, False),
        ("GET", {"cookie": "a=b"}, False, False),
        ("GET", {"authorization": "Bearer x"}, False, False),
        ("GET", {"authorization": "Bearer x", "cookie": "a=b"}, True, True),
        ("GET", {"cache-control": "no-store"}, True, False),
        ("GET", {"cache-control": b"No-Cache"}, True, False),
        ("GET", {"cache-control": "max-age=0"}, False, True),
    ],
)
def test_a_request_is_kept_for_when_it_and_the_setting_allow(method, headers, private, may):
    assert caching.askable(method, headers, private=private) is may


@pytest.mark.parametrize(
    ("status", "headers", "private", "may"),
    [
        (200, {}, False, True),
        (404, {}, False, True),
        (206, {}, False, False),
        (304, {}, False, False),
        (500, {}, False, False),
        (200, {"cache-control": "max-age=1, no-store"}, True, False),
        (200, {"cache-control": "must-revalidate"}, True, False),
        (200, {"cache-control": "private"}, False, False),
        (200, {"cache-control": 'private="x-name"'}, False, False),
        (200, {"cache-control": "private"}, True, True),
        (200, {"set-cookie": "a=b"}, False, False),
        (200, {"set-cookie": "a=b"}, True, True),
        (200, {"vary": "Accept, *"}, True, False),
        (200, {"cache-control": ",, =x"}, False, True),
    ],
)
def test_an_answer_is_kept_when_it_and_the_setting_allow(status, headers, private, may):
    assert caching.keepable(status, headers, private=private) is may


def test_what_an_answer_varies_by_has_one_order_and_an_encoded_one_was_chosen():
    assert caching.varying({"vary": "X-B, x-a,"}) == ("x-a", "x-b")
    assert caching.varying({"content-encoding": "gzip"}) == ("accept-encoding",)
    assert caching.varying({}) == ()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", inf),
        ("max-age=60", inf),
        ("max-age=60, stale-if-error=30", 90.0),
        ("stale-if-error=0", 0.0),
        ("stale-if-error=soon", inf),
        ("stale-if-error=٣", inf),
        ("stale-if-error=" + "9" * 5000, inf),
    ],
)
def test_an_answer_may_say_how_long_it_stands_in_after_errors(value, seconds):
    assert caching.longest({"cache-control": value}) == seconds


def test_what_belongs_to_a_connection_or_a_user_is_not_shown_again():
    headers = {"X-A": "1", "Set-Cookie": "a=b", "Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}
    assert caching.shown(headers, decoded=True) == (("X-A", "1"),)
    assert caching.shown(headers, decoded=False) == (("X-A", "1"), ("Content-Encoding", "gzip"))
