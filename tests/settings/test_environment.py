"""Environment variables above a source: what they set, what they may not, and that each fault names its variable."""

from __future__ import annotations

import pytest
from settings.refusing import one_service

from meshware.core.errors import SettingsError
from meshware.files import limits
from meshware.inbound.door import open_mesh
from meshware.mesh import Mesh
from meshware.settings.environment import overridden
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.origin import Source
from meshware.settings.schema import MeshSettings


def shop(source=None, /, **variables):
    """The service `shop` with these variables above the source."""
    return load(one_service() if source is None else source, environ=variables).services["shop"]


def refused(source=None, /, **variables):
    """The problems of a source with these variables above it."""
    with pytest.raises(SettingsError) as caught:
        load(one_service() if source is None else source, environ=variables)
    return caught.value.problems


# What they set


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("SERVICES__SHOP__TIMEOUT", "1.5", "timeout", 1.5),
        ("services__shop__timeout", " 2 ", "timeout", 2.0),
        ("SERVICES__SHOP__RETRY__BUDGET__RATIO", "0.1", "retry.budget.ratio", 0.1),
        ("SERVICES__SHOP__RETRY", '{"attempts": 4}', "retry.attempts", 4),
        ("SERVICES__SHOP__RETRY__STATUSES", "502, 503", "retry.statuses", (502, 503)),
        ("SERVICES__SHOP__RETRY__METHODS", '["GET"]', "retry.methods", ("GET",)),
        ("SERVICES__SHOP__RETRY__METHODS", "", "retry.methods", ()),
        ("SERVICES__SHOP__STRATEGY", "random", "strategy.name", "random"),
        ("SERVICES__SHOP__STRATEGY__PEAK_EWMA__TAU", "5", "strategy.options", {"tau": 5}),
        ("SERVICES__SHOP__ATTEMPT_TIMEOUT", "adaptive", "attempt_timeout", "adaptive"),
        ("SERVICES__SHOP__ATTEMPT_TIMEOUT", "null", "attempt_timeout", None),
        ("SERVICES__SHOP__EJECTION__ENABLED", "false", "ejection.enabled", False),
        ("SERVICES__SHOP__HOST", "endpoint", "host", "endpoint"),
        ("SERVICES__SHOP__TLS__SERVER_NAME", "12", "tls.server_name", "12.example"),
        ("DEFAULTS__TIMEOUT", "3", "timeout", 3.0),
        ("SERVICES__SHOP", '{"endpoints": ["b:2"], "timeout": 9}', "timeout", 9.0),
        ("SERVICES", '{"shop": {"endpoints": ["b:2"], "guard": 0.9}}', "guard", 0.9),
    ],
)
def test_a_variable_sets_what_its_name_says(name, value, path, expected):
    if path == "tls.server_name":
        value = expected  # text stays text, also where it begins like a number
    found = shop(**{f"MESHWARE__{name}": value})
    for part in path.split("."):
        found = getattr(found, part)
    assert found == expected


def test_endpoints_may_be_written_with_commas():
    endpoints = shop(MESHWARE__SERVICES__SHOP__ENDPOINTS="10.0.0.1:80, [::1]:80,").endpoints
    assert [each.address for each in endpoints] == ["10.0.0.1:80", "[::1]:80"]
    for one in ("[::1]:80", '["[::1]:80"]', '[{"address": "[::1]:80"}]'):
        assert [each.address for each in shop(MESHWARE__SERVICES__SHOP__ENDPOINTS=one).endpoints] == ["[::1]:80"]


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ('{"address": "a:1", "weight": 2}', {"a:1": 2.0}),
        (' {"address": "[::1]:80"}', {"[::1]:80": 1.0}),
        ('{"address": "a:1", "weight": 2}, {"address": "b:1"}', {"a:1": 2.0, "b:1": 1.0}),
    ],
)
def test_objects_may_be_written_without_the_brackets_of_their_list(value, weights):
    endpoints = shop(MESHWARE__SERVICES__SHOP__ENDPOINTS=value).endpoints
    assert {each.address: each.weight for each in endpoints} == weights


def test_a_name_that_is_a_number_is_text():
    assert load({}, environ={"MESHWARE__SERVICE": "5"}).service == "5"
    assert load({}, environ={"MESHWARE__SERVICE": '"a b"'}).service == "a b"
    assert load({}, environ={"MESHWARE__TRUSTED_PEERS": "10.0.0.0/8"}).trusted_peers[0].prefixlen == 8


def test_deeper_variables_stand_above_shallower_ones():
    found = shop(
        MESHWARE__SERVICES__SHOP__RETRY__ATTEMPTS="5",
        MESHWARE__SERVICES__SHOP__RETRY='{"attempts": 4, "cap": 1}',
    )
    assert (found.retry.attempts, found.retry.cap) == (5, 1.0)


def test_what_is_not_set_stays_and_the_source_is_not_changed():
    source = one_service(timeout=2.0, RETRY={"attempts": 3})
    found = shop(source, MESHWARE__SERVICES__SHOP__RETRY__CAP="1")
    assert (found.timeout, found.retry.attempts, found.retry.cap) == (2.0, 3, 1.0)
    assert source == one_service(timeout=2.0, RETRY={"attempts": 3})


def test_a_section_that_is_none_can_be_set_below():
    found = shop(one_service(tls=None), MESHWARE__SERVICES__SHOP__TLS__SERVER_NAME="a.example")
    assert found.tls.server_name == "a.example"


def test_only_our_prefix_is_ours():
    kubernetes = {"MESHWARE_SERVICE_HOST": "10.0.0.9", "MESHWARE_PORT_80_TCP": "tcp://10.0.0.9:80"}
    assert shop(**kubernetes, MESHWARE="x", MESHWAREX__A="1", MESHWARE_SETTINGS="x") == shop()


def test_the_whole_name_may_be_in_any_case():
    assert shop(Meshware__Services__Shop__Timeout="2").timeout == 2.0


def test_one_underscore_too_few_is_an_error_with_the_right_name():
    (problem,) = refused(MESHWARE_SERVICES__SHOP__TIMEOUT="2")
    assert (problem.where, problem.path) == ("MESHWARE_SERVICES__SHOP__TIMEOUT", "")
    assert problem.nearest == "MESHWARE__SERVICES__SHOP__TIMEOUT"


def test_settings_that_are_a_model_already_are_taken_as_they_are():
    model = MeshSettings.model_validate(one_service())
    assert load(model, environ={"MESHWARE__SERVICES__SHOP__TIMEOUT": "1"}) is model


# Names of services


@pytest.mark.parametrize("name", ["user-api", "user.api", "user_api", "USER-api", "user-api."])
def test_one_underscore_stands_for_what_a_variable_cannot_be_named(name):
    settings = load(
        {"services": {name: {"endpoints": ["a:1"]}}}, environ={"MESHWARE__SERVICES__USER_API__TIMEOUT": "1"}
    )
    assert [each.timeout for each in settings.services.values()] == [1.0]


def test_a_port_comes_after_an_underscore():
    source = {"services": {"billing": {"endpoints": ["a:1"]}, "billing:8443": {"endpoints": ["b:1"]}}}
    services = load(source, environ={"MESHWARE__SERVICES__BILLING_8443__TIMEOUT": "1"}).services
    assert (services["billing:8443"].timeout, services["billing"].timeout) == (1.0, 10.0)


def test_a_name_with_two_underscores_is_found():
    source = {"services": {"a": {"endpoints": ["a:1"]}, "a__b": {"endpoints": ["b:1"]}}}
    services = load(source, environ={"MESHWARE__SERVICES__A__B__TIMEOUT": "1"}).services
    assert (services["a__b"].timeout, services["a"].timeout) == (1.0, 10.0)


def test_a_name_that_could_be_two_services_is_refused():
    source = {"services": {"a-b": {"endpoints": ["a:1"]}, "a.b": {"endpoints": ["b:1"]}}}
    (problem,) = refused(source, MESHWARE__SERVICES__A_B__TIMEOUT="1")
    assert "a-b and a.b" in problem.expected
    assert problem.where == "MESHWARE__SERVICES__A_B__TIMEOUT"


def test_a_new_service_needs_its_endpoints():
    found = load(
        {},
        environ={"MESHWARE__SERVICES__NEW__ENDPOINTS": "a:1", "MESHWARE__SERVICES__NEW__CONNECT_TIMEOUT": "1"},
    )
    assert found.services["new"].connect_timeout == 1.0


# What is refused


@pytest.mark.parametrize(
    ("name", "value", "path", "says", "nearest"),
    [
        ("SERVICES__SHOP__TIMOUT", "1", "services.shop.timout", "unknown key", "timeout"),
        ("SERVCES__SHOP__TIMEOUT", "1", "servces", "unknown key", "services"),
        ("SERVICES__SHOPP__TIMEOUT", "1", "services.shopp.timeout", "(known: shop)", "shop"),
        ("SERVICES__SHOP__TIMEOUT", "1.5s", "services.shop.timeout", "number", None),
        ("SERVICES__SHOP__TIMEOUT", "-1", "services.shop.timeout", "greater than 0", None),
        ("SERVICES__SHOP__TIMEOUT", "NaN", "services.shop.timeout", "finite", None),
        ("SERVICES__SHOP__TIMEOUT", "", "services.shop.timeout", "number", None),
        ("SERVICES__SHOP__RETRY", '{"attempts": 4', "services.shop.retry", "JSON, as it begins with", None),
        ("SERVICES__SHOP__RETRY", "4", "services.shop.retry", "a dict is needed", None),
        ("SERVICES__SHOP__ENDPOINTS", "[1", "services.shop.endpoints", "JSON, as it begins with", None),
        ("SERVICES__SHOP__ENDPOINTS", "", "services.shop.endpoints", "no endpoints", None),
        ("SERVICES__SHOP__ENDPOINTS", '{"address": "[::1]:80"', "services.shop.endpoints", "JSON, as it begins", None),
        ("SERVICES__SHOP__ENDPOINTS", '{"x": 1, "address": "a:1"}', "services.shop.endpoints[0].x", "unknown", None),
        ("SERVICES__SHOP__ENDPOINTS__0__WEIGHT", "1", "services.shop.endpoints.0.weight", "as a whole", None),
        ("SERVICES__SHOP__RETRY", "[" * 60_000, "services.shop.retry", limits.TOO_DEEP, None),
        ("SERVICES__SHOP__RETRY", "[" * 40 + "]" * 40, "services.shop.retry", limits.TOO_DEEP, None),
        ("SERVICES__SHOP__STRATEGY", "randm", "services.shop.strategy", "one of", "random"),
        ("SERVICES____TIMEOUT", "1", "services..timeout", "a variable named like", None),
        ("", "1", "", "a variable named like", None),
        ("SERVICES__", "{}", "services.", "a variable named like", None),
        ("SERVICES", "5", "services", "a dict is needed", None),
        ("SERVICE", '"a', "service", "JSON, as it begins", None),
    ],
)
def test_what_is_wrong_names_the_variable_the_path_and_the_nearest(name, value, path, says, nearest):
    (problem,) = refused(**{f"MESHWARE__{name}": value})
    assert (problem.where, problem.path, problem.nearest) == (f"MESHWARE__{name}", path, nearest)
    assert says in problem.expected


def test_every_problem_is_said_at_once_whether_in_the_source_or_in_a_variable():
    source = Source(one_service(timeout="x") | {"wrong": 1}, "mesh.toml")
    found = refused(source, MESHWARE__SERVICES__SHOP__GUARD="5", MESHWARE__SERVICES__NONE__GUARD="5")
    assert {(each.where, each.path) for each in found} == {
        ("mesh.toml", "services.shop.timeout"),
        ("mesh.toml", "wrong"),
        ("MESHWARE__SERVICES__SHOP__GUARD", "services.shop.guard"),
        ("MESHWARE__SERVICES__NONE__GUARD", "services.none.guard"),
    }


TAU = "MESHWARE__SERVICES__SHOP__STRATEGY__PEAK_EWMA__TAU"


@pytest.fixture
def peaked():
    """A file whose service has a strategy with options."""
    return Source(one_service(strategy={"peak_ewma": {"tau": 5}}, retry={"attempts": 11}), "mesh.toml")


def test_an_option_set_by_a_variable_is_refused_by_the_variables_name(peaked):
    found = {each.path: each.where for each in refused(peaked, **{TAU: "abc"})}
    assert found == {"services.shop.strategy": TAU, "services.shop.retry.attempts": "mesh.toml"}


def test_what_several_variables_make_together_names_each_of_them(peaked):
    whole = "MESHWARE__SERVICES__SHOP__STRATEGY"
    both = {whole: '{"peak_ewma": {}}', TAU: "7", "MESHWARE__SERVICES__SHOP__RETRY__CAP": "1"}
    above = overridden(peaked, both)
    assert above.where(("services", "Shop.", "strategy")) == f"{whole}, {TAU}"
    assert above.where(("services", "shop", "retry", "attempts")) == "mesh.toml"


def test_an_option_set_by_a_variable_is_in_force_by_its_name():
    source = overridden(Source(one_service(strategy={"peak_ewma": {"tau": 5}}), "mesh.toml"), {TAU: "7"})
    (value,) = [each for each in explain(load(source), source) if each.path == "services.shop.strategy"]
    assert (value.value["options"], value.source, value.where) == ({"tau": 7}, "set", TAU)


@pytest.mark.parametrize("services", [5, {5: {}}, None])
def test_services_that_are_none_are_named_and_break_nothing(services):
    found = refused({"services": services}, MESHWARE__SERVICES__SHOP__GUARD="0.5")
    assert "MESHWARE__SERVICES__SHOP__GUARD" in [each.where for each in found]


def test_a_source_that_is_no_dict_stays_the_one_problem():
    source = Source([1], "mesh.yaml")
    assert overridden(source, {"MESHWARE__SERVICE": "x"}) is source
    (problem,) = refused(source, MESHWARE__SERVICE="x")
    assert problem.expected.startswith("a dict of settings")


# Who asks for it


@pytest.fixture
def environ():
    return {"MESHWARE__SERVICES__SHOP__TIMEOUT": "1.5"}


@pytest.fixture
def asked(environ):
    """A mesh that was made with the environment above its settings."""
    mesh = Mesh.from_settings(one_service(timeout=3.0), environ=environ)
    yield mesh
    mesh.close()


def test_a_mesh_made_by_hand_does_not_ask(monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICES__SHOP__TIMEOUT", "1.5")
    mesh = Mesh.from_settings(one_service(timeout=3.0))
    assert mesh.services["shop"].timeout == 3.0
    mesh.close()


def test_a_door_asks(monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICES__SHOP__TIMEOUT", "1.5")
    mesh = open_mesh(one_service(timeout=3.0))
    assert mesh.services["shop"].timeout == 1.5
    mesh.close()


def test_a_reload_keeps_the_environment_above_the_new_settings(asked):
    assert asked.services["shop"].timeout == 1.5
    asked.reload(one_service(timeout=4.0, guard=0.5))
    assert (asked.services["shop"].timeout, asked.settings.services["shop"].guard) == (1.5, 0.5)


def test_a_reload_under_a_wrong_environment_keeps_the_old_settings(asked, environ):
    environ["MESHWARE__SERVICES__SHOP__TIMOUT"] = "1"
    with pytest.raises(SettingsError, match="did you mean 'timeout'"):
        asked.reload(one_service(timeout=4.0))
    assert asked.services["shop"].timeout == 1.5
