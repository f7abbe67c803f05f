"""What every door reads off a request."""

from __future__ import annotations

import pytest

from meshware.outbound.exchange import finite


@pytest.mark.parametrize("seconds", [None, 0, -1, float("inf"), float("nan"), "5", object()])
def test_what_limits_nothing_is_no_limit(seconds):
    assert finite(seconds) is None


@pytest.mark.parametrize("seconds", [86_401, 1e10, pytest.param(10**400, id="10**400")])
def test_more_than_a_day_is_a_day(seconds):
    assert finite(seconds) == 86_400.0


def test_seconds_are_taken_as_they_are():
    assert finite(5) == 5.0
    assert finite(0.25) == 0.25
