"""Settings that are wrong are refused at once, with every problem, its path, its value and the right name."""

from __future__ import annotations

import math
import pickle
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings.refusing import one_service, refusal

from meshware.core.errors import SettingsError
from meshware.plugins import strategies
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings, Policy

EVERYTHING_WRONG = {
    "sevices": {},
    "trusted_peers": ["10.0.0.0/8", "10.0.0.1/8"],
    "defaults": {"timeot": 1},
    "services": {
        "unknown-key": {"endpoints": ["a:1"], "timeuot": 2.0},
        "wrong-type": {"endpoints": ["a:1"], "timeout": "fast", "retry": {"attempts": 2.0}},
        "no-endpoints": {"endpoints": []},
        "nowhere": {},
        "negative": {"endpoints": [{"address": "a:1", "weight": -1}]},
        "nan": {"endpoints": ["b:1", {"address": "a:1", "weight": math.nan}]},
        "inf": {"endpoints": [{"address": "a:1", "weight": math.inf}]},
        "zero": {"endpoints": [{"address": "a:1", "weight": 0}, {"address": "b:1", "weight": 0.0}]},
        "bad-address": {"endpoints": ["a:1", "http://b:1"]},
        "dangling": {"endpoints": ["a:1"], "strategy": "least_requests"},
        "twice": {"endpoints": ["a:1"]},
        "TWICE": {"endpoints": ["a:1"]},
        "same-endpoint": {"endpoints": ["a:1", "A:1"]},
    },
}


def test_every_problem_is_said_at_once_each_with_its_path():
    assert {problem.path for problem in refusal(EVERYTHING_WRONG)} == {
        "sevices",
        "trusted_peers[1]",
        "defaults.timeot",
        "services.unknown-key.timeuot",
        "services.wrong-type.timeout",
        "services.wrong-type.retry.attempts",
        "services.no-endpoints.endpoints",
        "services.nowhere.endpoints",
        "services.negative.endpoints[0].weight",
        "services.nan.endpoints[1].weight",
        "services.inf.endpoints[0].weight",
        "services.zero.endpoints",
        "services.bad-address.endpoints[1].address",
        "services.dangling.strategy",
        "services.TWICE",
        "services.same-endpoint.endpoints",
    }


def test_each_problem_is_said_once():
    paths = [problem.path for problem in refusal(EVERYTHING_WRONG)]
    assert len(paths) == len(set(paths))


def test_the_message_holds_every_path_value_and_right_name():
    with pytest.raises(SettingsError) as caught:
        load(EVERYTHING_WRONG)
    message = str(caught.value)
    assert message.startswith("16 problem(s) in the settings:")
    assert "services.unknown-key.timeuot: 2.0: unknown key" in message
    assert "did you mean 'timeout'?" in message
    assert "services.wrong-type.timeout: 'fast'" in message


def test_a_refusal_can_be_sent_to_another_process():
    with pytest.raises(SettingsError) as caught:
        load(one_service(timeout=0))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


@pytest.mark.parametrize(
    ("source", "path", "nearest"),
    [
        ({"servces": {}}, "servces", "services"),
        (one_service(timout=1), "services.shop.timout", "timeout"),
        (one_service(RETYR={}), "services.shop.retyr", "retry"),
        (one_service(retry={"attemps": 1}), "services.shop.retry.attemps", "attempts"),
        (one_service(retry={"budget": {"ration": 1}}), "services.shop.retry.budget.ration", "ratio"),
        (one_service(tls={"certs": "x"}), "services.shop.tls.certs", "cert"),
        (one_service(endpoints=[{"address": "a:1", "wieght": 1}]), "services.shop.endpoints[0].wieght", "weight"),
        (one_service(strategy="peak-ewma"), "services.shop.strategy", "peak_ewma"),
        (one_service(strategy={"peak_ewma": {"taw": 1}}), "services.shop.strategy", "tau"),
        (one_service(attempt_timeout="adaptve"), "services.shop.attempt_timeout", "adaptive"),
        (one_service(entirely_else=1), "services.shop.entirely_else", None),
        ({"services": {"retry": {"endpoints": ["a:1"], "timout": 1}}}, "services.retry.timout", "timeout"),
    ],
)
def test_the_nearest_right_name_is_offered(source, path, nearest):
    (problem,) = refusal(source)
    assert (problem.path, problem.nearest) == (path, nearest)


def test_two_problems_in_one_service_are_both_shown():
    problems = refusal(one_service(timeout=-1, strategy="none", circuit={"calls": 0}, endpoints=["a"]))
    assert [problem.path.removeprefix("services.shop.") for problem in problems] == [
        "strategy",
        "timeout",
        "circuit.calls",
        "endpoints[0].address",
    ]


@pytest.mark.parametrize("source", [5, None, [], "x y", "", ".relative", b"shop"])
def test_what_is_no_source_of_settings_is_refused(source):
    (problem,) = refusal(source)
    assert problem.path == ""
    assert problem.value == source


def test_any_mapping_will_do_at_every_level():
    inner = MappingProxyType({"endpoints": ("a:1",), "Retry": MappingProxyType({"ATTEMPTS": 3})})
    settings = load(MappingProxyType({"Services": MappingProxyType({"shop": inner})}))
    assert settings.services["shop"].retry.attempts == 3


def test_settings_that_are_loaded_already_stay_as_they_are():
    settings = load(one_service())
    assert load(settings) is settings


# What a strategy says of its options


def test_a_strategy_that_nobody_brings_is_refused_with_those_there_are():
    (problem,) = refusal(one_service(strategy="fastest"))
    assert problem.value == "fastest"
    assert problem.expected == f"one of {', '.join(sorted(strategies()))}"
    assert {"least_request", "peak_ewma", "random", "round_robin"} <= strategies()


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ({"peak_ewma": {"tau": -1}}, "tau must be a positive number of seconds, not -1"),
        ({"least_request": {"choices": 1}}, "choices must be a whole number from 2 on"),
        ({"random": {"seed": 1}}, "random takes no options, not 'seed'"),
        ({"name": "least_request", "options": {"choices": True}}, "choices must be a whole number"),
    ],
)
def test_options_that_the_strategy_refuses_are_a_problem_of_the_settings(strategy, reason):
    (problem,) = refusal(one_service(strategy=strategy))
    assert problem.path == "services.shop.strategy"
    assert problem.value == strategy
    assert reason in problem.expected


# Defaults


def test_a_problem_in_defaults_is_named_once_and_not_per_service():
    services = {name: {"endpoints": ["a:1"]} for name in ("one", "two", "three")}
    source = {"defaults": {"timeout": -1, "retry": {"attemps": 1}, "strategy": "nobody"}, "services": services}
    assert sorted(problem.path for problem in refusal(source)) == [
        "defaults.retry.attemps",
        "defaults.strategy",
        "defaults.timeout",
    ]


def test_a_wrong_default_hides_no_problem_of_a_service():
    source = {"defaults": {"timeout": "x"}, "services": {"shop": {"endpoints": ["a:1"], "panic": 2}}}
    assert [problem.path for problem in refusal(source)] == ["defaults.timeout", "services.shop.panic"]


def test_endpoints_are_no_default():
    (problem,) = refusal({"defaults": {"endpoints": ["a:1"]}, "services": {}})
    assert problem.path == "defaults.endpoints"


@pytest.mark.parametrize("defaults", [5, "timeout", ["timeout"]])
def test_defaults_that_are_no_dict_are_refused(defaults):
    (problem,) = refusal({"defaults": defaults, "services": {"shop": {"endpoints": ["a:1"]}}})
    assert (problem.path, problem.expected) == ("defaults", "a dict is needed")


# Never anything but SettingsError

KEYS = st.one_of(
    st.sampled_from([*MeshSettings.model_fields, *Policy.model_fields]),
    st.sampled_from(["endpoints", "address", "weight", "TIMEOUT", "name", "options", "breaker", "ca", "methods"]),
    st.text(max_size=8),
    st.integers(),
    st.none(),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=4),
    st.sampled_from(["a:1", "[::1]:80", "random", "peak_ewma", "adaptive", "os:path", 10**400, object()]),
)  # fmt: skip
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)
SERVICES = st.dictionaries(
    st.one_of(KEYS, st.sampled_from(["shop", "SHOP", "shop.", "shop:80"])),
    st.one_of(JUNK, st.fixed_dictionaries({"endpoints": JUNK}, optional={"retry": JUNK, "strategy": JUNK})),
    max_size=3,
)


@given(st.one_of(JUNK, st.fixed_dictionaries({"services": st.one_of(JUNK, SERVICES)}, optional={"defaults": JUNK})))
def test_whatever_is_handed_in_gives_settings_or_a_refusal(source):
    try:
        assert isinstance(load(source), MeshSettings)
    except SettingsError as error:
        refused = error
    else:
        return
    assert refused.problems
    assert str(refused).startswith(f"{len(refused.problems)} problem(s)")


def test_a_number_that_python_will_not_print_is_refused_all_the_same():
    (problem,) = refusal(one_service(timeout=10**5000))
    assert str(problem).startswith("services.shop.timeout: <int>: ")


def test_settings_that_hold_themselves_are_refused():
    loop = one_service()
    loop["services"]["shop"]["retry"] = loop["defaults"] = loop
    assert "services.shop.retry.services" in {problem.path for problem in refusal(loop)}


def test_settings_nested_without_end_are_refused():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    (problem,) = refusal(one_service(timeout=deep))
    assert problem.path == "services.shop.timeout"
