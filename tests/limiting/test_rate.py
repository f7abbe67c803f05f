"""Token buckets: so many a second, so many at once, and no more callers than fit."""

from __future__ import annotations

import pytest

from meshware.limiting.rate import Buckets, RateOptions, TokenBucket, holder


def test_a_burst_is_let_through_and_then_so_many_a_second():
    bucket = TokenBucket(RateOptions(10, 5), 0.0)
    let = [bucket.wait(n / 1000) == 0.0 for n in range(2001)]
    assert sum(let) in (24, 25)
    assert let[:6] == [True] * 5 + [False]


def test_it_says_how_long_until_the_next():
    bucket = TokenBucket(RateOptions(2, 1), 0.0)
    assert bucket.wait(0.0) == 0.0
    assert bucket.wait(0.1) == pytest.approx(0.4)


def test_a_rest_saves_no_more_than_a_burst():
    bucket = TokenBucket(RateOptions(10, 3), 0.0)
    assert [bucket.wait(1000.0) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    bucket = TokenBucket(RateOptions(10, 1), 10.0)
    assert bucket.wait(10.0) == 0.0
    assert bucket.wait(5.0) > 0.0


def test_each_caller_has_his_own_and_there_are_only_so_many():
    buckets = Buckets(RateOptions(1, 1), keys=3)
    assert buckets.wait("a", 0.0) == 0.0
    for name in ("b", "c"):
        buckets.wait(name, 0.0)
        assert buckets.wait("a", 0.0) > 0.0
    buckets.wait("d", 0.0)  # b was not heard of for longest
    assert len(buckets) == 3
    assert buckets.wait("a", 0.0) > 0.0
    assert buckets.wait("b", 0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::/64".lstrip("0")),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("", ""),
        ("a:b", "a:b"),
        ("x" * 100_000, "x" * 64),
        (":" * 100_000, ":" * 64),
    ],
    ids=lambda each: each[:16],
)
def test_a_holder_of_ipv6_addresses_has_one_bucket(address, whose):
    assert holder(address) == whose


def test_two_addresses_of_one_network_are_one_holders():
    assert holder("2001:db8::1") == holder("2001:db8::2") != holder("2001:db8:0:1::1")
