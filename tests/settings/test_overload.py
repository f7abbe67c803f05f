"""Settings of overload control: what may be written, and what a wrong threshold is told that it means."""

from __future__ import annotations

import pytest

from meshware.core.errors import SettingsError
from meshware.settings.load import load


def inbound(environ=None, **settings):
    return load({"inbound": settings}, environ=environ).inbound


def service(**settings):
    return load({"services": {"inventory": {"endpoints": ["10.0.0.1:80"], **settings}}}).services["inventory"]


@pytest.mark.parametrize("written", [50, {"kind": "fixed", "start": 50}, {"KIND": "fixed", "START": 50}])
def test_a_number_is_a_fixed_limit(written):
    limit = inbound(limit=written).limit
    assert (limit.kind, limit.start) == ("fixed", 50)


@pytest.mark.parametrize("kind", ["aimd", "gradient", "off"])
def test_a_word_is_a_kind(kind):
    assert inbound(limit=kind).limit.kind == kind


def test_a_limit_may_be_a_variable():
    assert inbound({"MESHWARE__INBOUND__LIMIT": "30"}).limit.start == 30
    assert inbound({"MESHWARE__INBOUND__LIMIT": "gradient"}).limit.kind == "gradient"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"limit": True}, "inbound.limit"),
        ({"limit": 0}, "inbound.limit.start"),
        ({"limit": "vegas"}, "gradient"),
        ({"limit": {"kind": "fixed"}}, "`fixed` needs `start`"),
        ({"limit": {"kind": "fixed", "start": 9, "least": 2}}, "`least` means nothing for the kind `fixed`"),
        ({"limit": {"kind": "aimd", "tolerance": 2.0}}, "`tolerance` means nothing for the kind `aimd`"),
        ({"limit": {"kind": "gradient", "start": 5}}, "`start` (5) is not from `least` (20) to `most` (200)"),
        ({"limit": {"kind": "gradient", "tolerance": float("nan")}}, "inbound.limit.tolerance"),
        ({"limit": {"kind": "aimd", "backoff": 1.0}}, "inbound.limit.backoff"),
        ({"queue": {"target": 1.0}}, "`target` (1 s) is not below `interval` (0.1 s)"),
        ({"rate_limits": [{"rate": 0, "burst": 1}]}, "rate"),
        ({"rate_limits": [{"rate": float("inf"), "burst": 1}]}, "rate"),
        ({"rate_limits": [{"rate": 1.0}]}, "burst"),
        ({"criticality": {"admin": "critical"}}, "a path, like /admin"),
        ({"criticality": {"/admin": "urgent"}}, "critical"),
        ({"exempt": ["/healthz?x=1"]}, "a path, like /admin"),
        ({"exempt": ["/" + "x" * 256]}, "at most 256 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(settings, words):
    with pytest.raises(SettingsError) as refused:
        inbound(**settings)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"rate_limit": {"rate": -1.0, "burst": 1}},
        {"rate_limit": {"rate": True, "burst": 1}},
        {"rate_limit": {"rate": 1.0, "burst": 0}},
        {"throttle": {"enabled": True, "k": 1.0}},
        {"throttle": {"enabled": True, "window": 0.0}},
        {"limits": {"feasible": "perhaps"}},
    ],
)
def test_so_is_it_of_a_service(settings):
    with pytest.raises(SettingsError):
        service(**settings)


def test_a_services_rate_is_merged_with_the_defaults():
    settings = {
        "defaults": {"rate_limit": {"rate": 10, "burst": 5}},
        "services": {"inventory": {"endpoints": ["10.0.0.1:80"], "rate_limit": {"burst": 9}}},
    }
    limit = load(settings).services["inventory"].rate_limit
    assert (limit.rate, limit.burst) == (10.0, 9)
