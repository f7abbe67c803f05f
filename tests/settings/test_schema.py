"""What may be written: cases, defaults under services, names, and what each field takes."""

from __future__ import annotations

from ipaddress import ip_network

import pybreaker
import pytest
from settings.refusing import one_service, refusal

from meshware.settings.load import load
from meshware.settings.schema import MeshSettings, Policy, ServiceSettings


def shop(**settings):
    return load(one_service(**settings)).services["shop"]


# Keys


def test_keys_may_be_in_upper_case_everywhere():
    settings = load(
        {
            "SERVICE": "web",
            "DEFAULTS": {"TIMEOUT": 3.0},
            "SERVICES": {
                "shop": {
                    "ENDPOINTS": [{"ADDRESS": "a:1", "WEIGHT": 2}],
                    "RETRY": {"ATTEMPTS": 3, "BUDGET": {"RATIO": 0.1}},
                    "STRATEGY": {"NAME": "least_request", "OPTIONS": {"choices": 3}},
                }
            },
        }
    )
    service = settings.services["shop"]
    assert (settings.service, service.timeout, service.retry.attempts, service.retry.budget.ratio) == (
        "web",
        3.0,
        3,
        0.1,
    )
    assert service.strategy.options == {"choices": 3}
    assert service.endpoints[0].weight == 2


@pytest.mark.parametrize("keys", [("timeout", "TIMEOUT"), ("TIMEOUT", "timeout"), ("TIMEOUT", "Timeout")])
def test_a_key_written_twice_in_different_cases_is_refused(keys):
    (problem,) = refusal(one_service(**dict.fromkeys(keys, 1.0)))
    assert problem.expected == "'timeout' is written twice, in different cases"


def test_metadata_and_options_are_data_and_keep_their_case():
    settings = shop(endpoints=[{"address": "a:1", "metadata": {"Version": "2"}}])
    assert settings.endpoints[0].metadata == {"Version": "2"}


# Names


@pytest.mark.parametrize("name", ["Inventory", "INVENTORY.", "inventory."])
def test_a_service_has_one_spelling(name):
    assert list(load({"services": {name: {"endpoints": ["a:1"]}}}).services) == ["inventory"]


@pytest.mark.parametrize(
    "names",
    [
        ("shop", "SHOP"), ("SHOP", "shop"), ("shop", "shop."), ("shop", "shop:80"),
        ("shop:443", "shop"), ("shop:8080", "Shop:8080"),
    ],
)  # fmt: skip
def test_two_names_for_the_same_calls_are_refused_and_both_are_read(names):
    services = {names[0]: {"endpoints": ["a:1"]}, names[1]: {"endpoints": ["a:1"], "panic": 2}}
    same, panic = refusal({"services": services})
    assert same.path == f"services.{names[1]}"
    assert "is there already" in same.expected
    assert panic.path == f"services.{names[1]}.panic"


def test_another_port_is_another_service():
    services = {name: {"endpoints": ["a:1"]} for name in ("shop", "shop:8080", "shop:8081")}
    assert list(load({"services": services}).services) == list(services)


@pytest.mark.parametrize(
    "name", ["10.0.0.1", "[::1]", "user@shop", "sh%6Fp", "", ".", "shop:0", "a b", "\u212aafka", 5]
)
def test_what_cannot_be_a_name_is_refused(name):
    (problem,) = refusal({"services": {name: {"endpoints": ["a:1"]}}})
    assert problem.value == name


# Defaults


def test_defaults_reach_every_service_that_sets_nothing_of_its_own():
    settings = load(
        {
            "defaults": {"timeout": 3.0, "strategy": "random"},
            "services": {"one": {"endpoints": ["a:1"]}, "two": {"endpoints": ["a:1"], "TIMEOUT": 1.0}},
        }
    )
    assert [each.timeout for each in settings.services.values()] == [3.0, 1.0]
    assert {each.strategy.name for each in settings.services.values()} == {"random"}


def test_sections_are_merged_key_by_key_down_to_the_budget():
    settings = load(
        {
            "defaults": {"retry": {"attempts": 4, "budget": {"ratio": 0.1}}, "circuit": {"calls": 7}},
            "services": {"shop": {"endpoints": ["a:1"], "Retry": {"base": 0.1, "budget": {"minimum": 5}}}},
        }
    )
    service = settings.services["shop"]
    assert (service.retry.attempts, service.retry.base, service.circuit.calls) == (4, 0.1, 7)
    assert (service.retry.budget.ratio, service.retry.budget.minimum) == (0.1, 5)


def test_a_service_changes_one_limit_of_the_defaults():
    settings = load(
        {
            "defaults": {"limits": {"start": 200, "least": 20}},
            "services": {"shop": {"endpoints": ["a:1"], "limits": {"tolerance": 4.0}}},
        }
    )
    limits = settings.services["shop"].limits
    assert (limits.start, limits.least, limits.tolerance) == (200, 20, 4.0)


def test_a_strategy_of_its_own_takes_no_options_from_the_default_one():
    settings = load(
        {
            "defaults": {"strategy": {"peak_ewma": {"tau": 3}}},
            "services": {"shop": {"endpoints": ["a:1"], "strategy": "random"}},
        }
    )
    assert settings.services["shop"].strategy.options == {}


def test_a_service_can_take_a_default_section_back():
    settings = load({"defaults": {"tls": {}}, "services": {"shop": {"endpoints": ["a:1"], "tls": None}}})
    assert settings.services["shop"].tls is None


def test_ready_made_models_are_merged_like_dicts():
    ready = ServiceSettings.model_validate({"endpoints": ["a:1"], "panic": 0.1})
    settings = load({"defaults": Policy.model_validate({"timeout": 3.0}), "services": {"shop": ready}})
    assert (settings.services["shop"].timeout, settings.services["shop"].panic) == (3.0, 0.1)


def test_a_timeout_that_nobody_wrote_is_told_from_one_that_is_the_same():
    assert not shop().timeout_chosen
    assert shop(timeout=10.0).timeout_chosen
    assert shop(timeout=10.0) != shop()
    assert shop() == shop()


# Values


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "3", None, 10**400, 86_401])
def test_a_time_is_a_positive_number_of_seconds(value):
    (problem,) = refusal(one_service(connect_timeout=value))
    assert problem.path == "services.shop.connect_timeout"


@pytest.mark.parametrize("value", [0, 1.0, True, "2", 11, None])
def test_attempts_are_a_whole_number_from_1_to_10(value):
    (problem,) = refusal(one_service(retry={"attempts": value}))
    assert problem.path == "services.shop.retry.attempts"


@pytest.mark.parametrize("value", [0, 0.0, -0.1, 1.1, True, "0.5", None, float("nan")])
def test_a_guard_that_would_never_end_is_refused_and_so_is_what_is_no_share(value):
    (problem,) = refusal(one_service(guard=value))
    assert problem.path == "services.shop.guard"
    if value == 0:
        assert problem.expected.startswith("input should be greater than 0; it means: Failure share of")


def test_a_limit_that_starts_below_its_least_is_refused():
    (problem,) = refusal(one_service(limits={"start": 5, "least": 20}))
    assert problem.path == "services.shop.limits"
    assert problem.expected.startswith("`start` (5) is below `least` (20)")
    assert shop(limits={"start": 20, "least": 20}).limits.start == 20


@pytest.mark.parametrize("value", ["", "often", 0, -1, True, float("inf"), float("nan"), [], 10**400])
def test_an_attempt_timeout_is_adaptive_none_or_seconds(value):
    (problem,) = refusal(one_service(attempt_timeout=value))
    assert problem.path == "services.shop.attempt_timeout"
    assert problem.expected.startswith(("`adaptive`, None, or seconds", "a number is needed"))


@pytest.mark.parametrize("value", ["adaptive", None, 2, 0.5])
def test_an_attempt_timeout_as_it_should_be(value):
    assert shop(attempt_timeout=value).attempt_timeout == value


@pytest.mark.row("F40")
@pytest.mark.parametrize(
    "endpoints",
    [5, "a:1", [5], [None], [{}], [{"address": 5}], [{"address": "a:1", "metadata": "x"}], {"address": "a:1"}, None],
)
def test_endpoints_are_a_list_of_addresses(endpoints):
    (problem,) = refusal(one_service(endpoints=endpoints))
    assert problem.path.startswith("services.shop.endpoints")


def test_two_faults_of_one_list_of_endpoints_are_both_said():
    (problem,) = refusal(one_service(endpoints=[{"address": "a:1", "weight": 0}, {"address": "A:1", "weight": 0}]))
    assert problem.expected == "endpoints named twice: a:1; all weights are 0: at least one must be more"


@pytest.mark.row("F40")
def test_one_endpoint_of_weight_0_beside_another_is_no_fault():
    assert len(shop(endpoints=["a:1", {"address": "b:1", "weight": 0}]).endpoints) == 2


@pytest.mark.parametrize("strategy", [{}, {"random": {}, "peak_ewma": {}}, {"random": 5}, 5, {"name": 5}, {5: {}}])
def test_a_strategy_is_a_name_or_a_name_with_options(strategy):
    assert {
        problem.path.removeprefix("services.shop.").partition(".")[0]
        for problem in refusal(one_service(strategy=strategy))
    } == {"strategy"}


@pytest.mark.parametrize(
    "strategy", ["random", {"random": {}}, {"random": None}, {"name": "random"}, {"NAME": "random"}]
)
def test_a_strategy_may_be_written_in_several_ways(strategy):
    assert shop(strategy=strategy).strategy.name == "random"


def test_methods_are_names_in_any_case():
    assert shop(retry={"methods": ["get", "Patch"]}).retry.methods == ("GET", "PATCH")


@pytest.mark.parametrize("host", ["logical", "endpoint", "shop.example", "shop.example:8080"])
def test_a_host_header_that_can_be_sent(host):
    assert shop(host=host).host == host


@pytest.mark.parametrize("host", ["", "a b", "a\r\nb", "shop:x", "\u212a"])
def test_a_host_header_that_cannot_be_sent_is_refused(host):
    (problem,) = refusal(one_service(host=host))
    assert problem.path == "services.shop.host"


def test_trusted_peers_are_networks_as_text_or_ready_made():
    settings = load({"trusted_peers": ["10.0.0.0/8", "::1", ip_network("192.168.0.0/16")]})
    assert [str(each) for each in settings.trusted_peers] == ["10.0.0.0/8", "::1/128", "192.168.0.0/16"]


@pytest.mark.parametrize("peer", ["everybody", 1, None, "10.0.0.1/8", True])
def test_anything_else_is_trusted_with_nothing(peer):
    (problem,) = refusal({"trusted_peers": [peer]})
    assert problem.path == "trusted_peers[0]"


# TLS


def test_tls_files_must_be_there(tmp_path):
    there = tmp_path / "ca.pem"
    there.touch()
    assert shop(tls={"ca": str(there)}).tls.ca == str(there)
    problems = refusal(one_service(tls={"ca": "", "cert": str(tmp_path / "none.pem"), "key": "\0"}))
    assert [problem.path for problem in problems] == [f"services.shop.tls.{name}" for name in ("ca", "cert", "key")]


def test_a_key_needs_its_certificate(tmp_path):
    (tmp_path / "key.pem").touch()
    (problem,) = refusal(one_service(tls={"key": str(tmp_path / "key.pem")}))
    assert (problem.path, problem.expected) == ("services.shop.tls", "key without cert")


@pytest.mark.parametrize("name", ["shop.example", "10.0.0.1", "::1", "SHOP"])
def test_a_server_name_is_a_name_or_an_address(name):
    assert shop(tls={"server_name": name}).tls.server_name == name.lower()


@pytest.mark.parametrize("name", ["", "shop:443", "a b", "\u212a", 5])
def test_a_server_name_that_no_certificate_can_have_is_refused(name):
    (problem,) = refusal(one_service(tls={"server_name": name}))
    assert problem.path == "services.shop.tls.server_name"


# A breaker of the user's own


def test_a_breaker_may_be_the_object_itself():
    breaker = pybreaker.CircuitBreaker()
    assert shop(circuit={"breaker": breaker}).circuit.breaker is breaker


def test_a_breaker_may_be_the_path_of_one(module):
    module("shop_breakers", "import pybreaker\ninventory = pybreaker.CircuitBreaker(fail_max=3)")
    import shop_breakers

    assert shop(circuit={"breaker": "shop_breakers:inventory"}).circuit.breaker is shop_breakers.inventory


def test_no_breaker_is_none():
    assert shop(circuit={"breaker": None}).circuit.breaker is None


@pytest.mark.parametrize(
    "breaker", ["no_such_module:breaker", "os:path", "os:nothing", "os", "", 5, pybreaker.CircuitBreaker, object()]
)
def test_anything_else_is_no_breaker(breaker):
    (problem,) = refusal(one_service(circuit={"breaker": breaker, "calls": 5}))
    assert (problem.path, problem.value) == ("services.shop.circuit.breaker", breaker)


# Equality


def test_settings_are_equal_whatever_the_order_and_case():
    one = load({"services": {"a": {"endpoints": ["x:1"], "timeout": 1}, "b": {"endpoints": ["y:1"]}}})
    other = load({"SERVICES": {"B": {"endpoints": [{"address": "Y:1"}]}, "a": {"TIMEOUT": 1.0, "endpoints": ("x:1",)}}})
    assert one == other
    assert one != load({"services": {"a": {"endpoints": ["x:1"], "timeout": 1}}})


def test_policies_are_all_but_the_endpoints():
    assert shop(endpoints=["a:1"]).policies() == shop(endpoints=["b:1", "c:1"]).policies()
    assert shop(timeout=1).policies() != shop(timeout=2).policies()
    assert shop(timeout=10.0).policies() != shop().policies()


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        shop().timeout = 5.0


def test_the_defaults_are_those_of_the_plan():
    policy = Policy()
    assert (policy.timeout, policy.connect_timeout, policy.attempt_timeout) == (10.0, 1.5, "adaptive")
    assert (policy.retry.attempts, policy.retry.base, policy.retry.cap) == (2, 0.025, 0.25)
    assert (policy.retry.budget.ratio, policy.retry.budget.minimum, policy.retry.budget.window) == (0.2, 2.0, 10.0)
    ejection = policy.ejection
    assert (ejection.consecutive, ejection.success_rate, ejection.minimum, ejection.window) == (3, 0.8, 5, 10.0)
    assert (ejection.refused, ejection.connect_timeouts, ejection.base, ejection.cap) == (1, 2, 1.0, 16.0)
    assert (ejection.max_share, ejection.jitter, ejection.probe_interval) == (0.5, 0.25, 1.0)
    assert (policy.circuit.calls, policy.circuit.span, policy.circuit.base, policy.circuit.cap) == (20, 2.0, 1.0, 30.0)
    assert policy.circuit.failure_rate is None
    assert (policy.panic, policy.guard, policy.slow_start, policy.host, policy.tls) == (0.5, 0.4, 10.0, "logical", None)
    assert policy.strategy.name == "adaptive"
    assert MeshSettings().trusted_peers == ()


@pytest.mark.parametrize(
    ("ejection", "path", "said"),
    [
        ({"success_rate": 80}, "ejection.success_rate", "a share from 0 to 1 (80 % is 0.8), not 80"),
        ({"max_share": -0.1}, "ejection.max_share", "a share from 0 to 1 (80 % is 0.8), not -0.1"),
        ({"consecutive": 0}, "ejection.consecutive", "it means: Failures in a row"),
        ({"base": 30.0}, "ejection", "the first ejection (`base`, 30 s) is longer than the longest (`cap`, 16 s)"),
        ({"outliers": {"stdev": 2.0}}, "ejection.outliers", "one lies at most 2.00 standard deviations below"),
        ({"outliers": {"stdev": 0}}, "ejection.outliers.stdev", "Standard deviations below the mean of all"),
        ({"slow": {}}, "ejection.slow", "either `seconds`, over which a call is slow, or `p95s`"),
        ({"slow": {"seconds": 1, "p95s": 3}}, "ejection.slow", "either `seconds`"),
        ({"slow": {"seconds": 1, "share": 1.0}}, "ejection.slow.share", "Share of its calls that may be slow"),
    ],
)
def test_a_threshold_that_cannot_be_meant_is_refused_with_what_it_means(ejection, path, said):
    (problem,) = refusal(one_service(ejection=ejection))
    assert problem.path == f"services.shop.{path}"
    assert said in problem.expected


def test_a_circuit_whose_times_shrink_is_refused():
    (problem,) = refusal(one_service(circuit={"base": 31.0}))
    assert "the first opening (`base`, 31 s)" in problem.expected


def test_a_service_of_another_kind_of_slowness_takes_nothing_of_the_defaults_in_its_place():
    slow = {"ejection": {"slow": {"seconds": 1.0, "minimum": 7}}}
    own = {"ejection": {"slow": {"p95s": 3.0}}}
    loaded = load({"defaults": slow, **one_service(**own)}).services["shop"].ejection.slow
    assert (loaded.seconds, loaded.p95s, loaded.minimum) == (None, 3.0, 7)


class Wants:
    """A classifier that asks for too much, or for nonsense."""

    def __init__(self, needs_body):
        self.needs_body = needs_body

    def classify(self, request, outcome):
        """Nobody asks."""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("graphqll", "one of graphql, jsonrpc, grpc, or an import path"),
        ("no.such.module:thing", "a module that can be imported"),
        ("math:pi", "a classifier (`needs_body` and `classify(request, outcome)`), or such a function"),
        (Wants(65_537), "a number of bytes from 0 to 65,536, not 65537"),
        (Wants(True), "a number of bytes from 0 to 65,536, not True"),
        (Wants, "that can be made without arguments"),
        (7, "a classifier"),
    ],
)
def test_what_is_no_classifier_is_refused(value, said):
    (problem,) = refusal(one_service(classify=value))
    assert problem.path == "services.shop.classify"
    assert said in problem.expected
    if value == "graphqll":
        assert problem.nearest == "graphql"


@pytest.mark.parametrize("value", ["grpc", None, Wants(0), "meshware.core.outcome:StatusClassifier"])
def test_a_classifier_is_a_name_an_object_or_where_one_stands(value):
    chosen = load(one_service(classify=value)).services["shop"].classify
    assert chosen is value or chosen.needs_body == 0


# Health checks


@pytest.mark.parametrize(
    ("check", "path", "said"),
    [
        ({}, "", "one of `http` (a section), `tcp` (true) and `call` (a function), and only one"),
        ({"tcp": True, "http": {}}, "", "and only one"),
        (
            {"tcp": True, "timeout": 6.0},
            "",
            "a check may take longer (`timeout`, 6 s) than there is between",
        ),
        ({"tcp": True, "interval": 0.01}, ".interval", "it means: Seconds between two checks of an endpoint"),
        ({"tcp": True, "unhealthy": 0}, ".unhealthy", "it means: Checks in a row that failed after which it is out"),
        ({"http": {"path": "health"}}, ".http.path", "a path that begins with / and has no spaces"),
        ({"http": {"path": "/a b"}}, ".http.path", "a path that begins with /"),
        ({"http": {"path": "/a\r\nX: y"}}, ".http.path", "a path that begins with /"),
        ({"http": {"headers": {"X": "a\r\nY: b"}}}, ".http.headers", "one line of latin-1"),
        ({"http": {"headers": {"X": "\u20ac"}}}, ".http.headers", "one line of latin-1"),
        ({"http": {"headers": {"X y": "a"}}}, ".http.headers", "no header's name"),
        ({"http": {"method": "CONNECT"}}, ".http.method", "'GET', 'HEAD', 'OPTIONS' or 'POST'"),
        ({"http": {"expected": [700]}}, ".http.expected[0]", "a status like 200, or a range of them like 200-299"),
        ({"http": {"expected": ["299-200"]}}, ".http.expected[0]", "a status like 200"),
        ({"http": {"expected": [True]}}, ".http.expected[0]", "a status like 200"),
        ({"http": {"expected": []}}, ".http.expected", "at least one status"),
        ({"call": "no.such.module:check"}, ".call", "a module that can be imported"),
        ({"call": "math:pi"}, ".call", "a function, or its import path"),
        ({"call": "asyncio:sleep"}, ".call", "an ordinary function"),
    ],
)
def test_a_health_check_that_makes_no_sense_is_refused(check, path, said):
    (problem,) = refusal(one_service(health_check=check))
    assert problem.path == f"services.shop.health_check{path}"
    assert said in problem.expected


def test_health_checks_are_off_unless_set_and_tcp_is_enough_of_a_setting():
    assert load(one_service()).services["shop"].health_check is None
    chosen = load(one_service(health_check="tcp")).services["shop"].health_check
    assert (chosen.tcp, chosen.interval, chosen.timeout, chosen.healthy, chosen.unhealthy) == (True, 5.0, 1.0, 2, 3)


def test_good_statuses_are_numbers_or_ranges():
    check = {"http": {"expected": [200, "204", "300-399"]}}
    chosen = load(one_service(health_check=check)).services["shop"].health_check
    assert chosen.http.expected == ((200, 200), (204, 204), (300, 399))
    assert load(load(one_service(health_check=check))).services["shop"].health_check == chosen


def test_a_service_checked_in_another_way_takes_only_the_times_of_the_defaults():
    defaults = {"health_check": {"http": {"path": "/health"}, "interval": 7.0}}
    loaded = load({"defaults": defaults, **one_service(health_check={"tcp": True})}).services["shop"].health_check
    assert (loaded.http, loaded.tcp, loaded.interval) == (None, True, 7.0)
    own = {"defaults": defaults, **one_service(health_check={"http": {"method": "HEAD"}})}
    assert load(own).services["shop"].health_check.http.path == "/health"
    assert load({"defaults": defaults, **one_service(health_check=None)}).services["shop"].health_check is None
