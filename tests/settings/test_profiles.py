"""Profiles: another system's defaults are in force, and below all that somebody has set."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.least_request import LeastRequest
from meshware.balancing.peak_ewma import PeakEwma
from meshware.balancing.round_robin import RoundRobin
from meshware.core.call import Retry
from meshware.core.errors import SettingsError
from meshware.core.events import EndpointEjected
from meshware.core.outcome import Cause
from meshware.mesh import Mesh
from meshware.retrying.attempt_timeout import NoAttemptTimeout
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.model import PluginChoice
from meshware.settings.origin import Source
from meshware.settings.profiles import PROFILES, markdown
from meshware.settings.reference import markdown as reference

WHOLE = {"inventory": {"endpoints": ["a:1"]}}


def of(profile, defaults=None, **own):
    """The settings in force of one service with this profile."""
    services = {"inventory": {"endpoints": ["a:1"], "profile": profile, **own}}
    return load({"defaults": defaults or {}, "services": services}).services["inventory"]


def attempts(profile, **end):
    """How often a call goes out while it always ends like this."""
    world = World(12, profile=profile, ejection={"enabled": False})
    call = world.call()
    attempt = call.begin(world.now)
    for count in range(1, 100):
        step = world.fail(call, attempt, **end) if "cause" in end else world.answer(call, attempt, **end)
        if not isinstance(step, Retry):
            return count
        attempt = step.attempt
        world.now += step.after
    raise AssertionError("it never ends")


def ejected(profile, **ejection):
    """After how many failures in a row one of many well endpoints is out, and for how long; None: it never is."""
    world = World(20, profile=profile, ejection=ejection)
    bad = world.endpoints[0]
    failures = 0
    for round_ in range(60):
        for _ in world.endpoints:
            call = world.call("POST")
            attempt = call.begin(world.now)
            failing = attempt.endpoint is bad and round_ >= 40
            world.answer(call, attempt, 500 if failing else 200)
            world.read(call, attempt)
            failures += failing
            for event in world.events:
                if isinstance(event, EndpointEjected):
                    return failures, event.until - world.now
    return None


@pytest.mark.parametrize(
    ("profile", "after_503", "after_500", "after_refused"),
    [("envoy", 1, 1, 1), ("istio", 3, 1, 3), ("linkerd", 2, 2, 2), ("finagle", 1, 1, 10), ("grpc", 1, 1, 2)],
)
def test_calls_are_sent_again_as_there(profile, after_503, after_500, after_refused):
    refused = {"cause": Cause.REFUSED, "sent": False}
    assert attempts(profile, status=503) == after_503
    assert attempts(profile, status=500) == after_500
    assert attempts(profile, **refused) == after_refused


@pytest.mark.parametrize(
    ("profile", "failures", "shortest", "longest"),
    [("envoy", 5, 30, 30), ("linkerd", 7, 0.5, 1.5), ("finagle", 5, 2.5, 7.5)],
)
def test_endpoints_are_ejected_as_there(profile, failures, shortest, longest):
    row, seconds = ejected(profile)
    assert row == failures
    assert shortest - 0.01 <= seconds <= longest + 0.01


def test_nobody_is_ejected_where_there_nobody_is_until_asked_for():
    assert ejected("istio") is None
    assert ejected("istio", enabled=True)[0] == 5
    assert ejected("grpc") is None  # by a row never


def test_grpc_ejects_whose_failures_are_85_percent_of_at_least_50():
    world = World(12, profile="grpc")
    bad = world.endpoints[0]
    for _ in range(49 * 12):
        _one(world, bad)
    assert not any(isinstance(event, EndpointEjected) for event in world.events)
    for _ in range(3 * 12):
        _one(world, bad)
    assert any(isinstance(event, EndpointEjected) for event in world.events)


def _one(world, bad):
    call = world.call("POST")
    attempt = call.begin(world.now)
    world.answer(call, attempt, 500 if attempt.endpoint is bad else 200, after=0.001)
    world.read(call, attempt)


@pytest.mark.parametrize(
    ("profile", "strategy", "timeout", "connect"),
    [
        ("envoy", RoundRobin, 15.0, 5.0),
        ("istio", LeastRequest, 86_400.0, 10.0),
        ("linkerd", PeakEwma, 86_400.0, 1.0),
        ("finagle", LeastRequest, 86_400.0, 1.0),
        ("grpc", RoundRobin, 86_400.0, 20.0),
    ],
)
def test_policies_are_made_of_it(profile, strategy, timeout, connect):
    mesh = Mesh.from_settings({"defaults": {"profile": profile}, "services": WHOLE})
    service = mesh.services["inventory"]
    assert isinstance(service.learner, strategy)
    assert (service.timeout, service.timeout_chosen, service.connect_timeout) == (timeout, True, connect)
    assert (service.hedging, service.limiter, service.panic_below) == (None, None, service.settings.panic)
    assert service.attempt_timeout.__class__ is NoAttemptTimeout
    mesh.close()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_service_that_fails_all_the_time_is_never_refused(profile):
    world = World(3, profile=profile)
    for _ in range(200):
        call = world.call("POST")
        attempt = call.begin(world.now)
        world.answer(call, attempt, 500, after=0.1)
        world.read(call, attempt)
    assert world.call("POST").begin(world.now)


def test_whatever_is_set_stands_above_it():
    assert of("envoy").timeout == 15.0
    assert of("envoy", {"timeout": 3.0}).timeout == 3.0
    assert of("envoy", {"timeout": 3.0}, timeout=2.0).timeout == 2.0
    assert of("envoy", retry={"attempts": 4}).retry.attempts == 4
    assert of("envoy", retry={"attempts": 4}).retry.budget.minimum == 3.0
    assert of("linkerd", {"retry": False}).retry.attempts == 1
    assert of("envoy", ejection={"outliers": None}).ejection.outliers is None


def test_half_of_what_goes_together_may_be_set():
    assert of("istio", retry={"on": ["5xx"]}).retry.on == ("5xx",)
    assert of("linkerd", retry={"statuses": [500]}).retry.statuses == (500,)
    assert of(None, {"retry": {"statuses": [500]}}, retry={"on": ["reset"]}).retry.on == ("reset",)


def test_a_services_own_profile_stands_above_that_of_the_defaults():
    assert of("linkerd", {"profile": "envoy"}).connect_timeout == 1.0
    ours = of(None, {"profile": "envoy"})
    assert (ours.timeout, ours.timeout_chosen) == (10.0, False)


@pytest.mark.parametrize("place", ["defaults", "services.inventory"])
def test_an_unknown_one_is_refused_with_the_nearest_name(place):
    settings = {"defaults": {}, "services": {"inventory": {"endpoints": ["a:1"]}}}
    (settings["defaults"] if place == "defaults" else settings["services"]["inventory"])["profile"] = "linkered"
    with pytest.raises(SettingsError) as caught:
        load(settings)
    (problem,) = caught.value.problems
    assert (problem.path, problem.nearest) == (f"{place}.profile", "linkerd")
    assert "envoy, istio, linkerd, finagle, grpc" in problem.expected


def test_check_says_what_is_the_profiles():
    source = Source({"defaults": {"profile": "istio", "retry": {"base": 1.0, "cap": 2.0}}, "services": WHOLE})
    said = {each.path: each.source for each in explain(load(source.settings), source)}
    assert said["services.inventory.profile"] == "defaults"
    assert said["services.inventory.retry.base"] == "defaults"
    assert said["services.inventory.retry.attempts"] == "profile"
    assert said["services.inventory.retry.budget.minimum"] == "profile"
    assert said["services.inventory.retry.methods"] == "default"


def test_check_knows_what_a_whole_section_has_taken_the_place_of():
    source = Source({"services": {"inventory": {"endpoints": ["a:1"], "profile": "istio", "retry": False}}})
    said = {each.path: each.source for each in explain(load(source.settings), source)}
    assert said["services.inventory.retry.base"] == "default"


def test_the_reference_says_what_each_one_sets_and_what_is_missing():
    assert markdown() in reference()
    assert "| `ejection.base` | `30.0` | `30.0` | `1.0` | `5.0` | `30.0` |" in markdown()
    assert all(each in markdown() for profile in PROFILES.values() for each in profile.without)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_setting_of_it_is_in_force(profile):
    assert _missing(PROFILES[profile].settings, of(profile)) == []


def _missing(said, model):
    """What is not in force as it is said, section by section."""
    found = []
    for key, value in said.items():
        real = getattr(model, key)
        if isinstance(value, dict) and key != "strategy":
            found += _missing(value, real)
        elif key == "strategy":
            found += [] if real == PluginChoice.model_validate(value) else [key]
        elif real != (tuple(value) if isinstance(value, list) else value):
            found.append(key)
    return found
