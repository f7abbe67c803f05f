"""From Istio's documents to settings: every field becomes something or is named, and what is wrong is said at once."""

from __future__ import annotations

import copy
import random
import re
from pathlib import Path

import pytest

from meshware.core.errors import SettingsError
from meshware.importing.fields import FIELDS, ROWS, markdown
from meshware.importing.istio import import_istio
from meshware.settings.load import load

yaml = pytest.importorskip("yaml")

HERE = Path(__file__).parent
EVERYTHING = list(yaml.safe_load_all((HERE / "everything.yaml").read_text()))

NAMES_ONLY = {
    ("VirtualService", "gateways"),
    ("VirtualService", "http[].match[].gateways"),
    ("VirtualService", "http[].match[].name"),
    ("HTTPRoute", "rules[].backendRefs[].group"),
    ("HTTPRoute", "rules[].backendRefs[].kind"),
    ("HTTPRoute", "rules[].filters[].requestMirror.backendRef.group"),
    ("HTTPRoute", "rules[].filters[].requestMirror.backendRef.kind"),
}
"""Fields whose values here are what counts where they are not there."""


def imported(*documents):
    return imported_text(yaml.safe_dump_all(documents))


def imported_text(text, name="mesh.yaml"):
    return import_istio([name], contents=lambda name: text.encode())


def virtual_service(*rules, **spec):
    spec = {"hosts": ["shop"], "http": list(rules), **spec}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": spec,
    }


def document(kind, name="shop", **spec):
    group = "gateway.networking.k8s.io" if kind == "HTTPRoute" else "networking.istio.io"
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def entry(*endpoints, host="shop", ports=(80,)):
    listed = [{"number": port, "name": f"p{port}", "protocol": "HTTP"} for port in ports]
    return document("ServiceEntry", hosts=[host], ports=listed, resolution="STATIC", endpoints=list(endpoints))


def to(host="shop", **more):
    return [{"destination": {"host": host, **more}}]


def routes(*rules):
    return imported(virtual_service(*rules)).settings["routes"]


def left(*documents):
    return {each.path: each.why for each in imported(*documents).left}


def problems(text):
    with pytest.raises(SettingsError) as caught:
        imported_text(text)
    return caught.value.problems


# Every field of the table


def fields(value, kind, pattern="", way=()):
    """Where each row of the table is found in a document: its pattern, and the way there."""
    rows = ROWS[kind]
    if pattern in rows:
        yield pattern, way
    if isinstance(value, dict):
        for key, each in value.items():
            exact = f"{pattern}.{key}" if pattern else key
            known = exact if any(row == exact or row.startswith((exact + ".", exact + "[]")) for row in rows) else None
            yield from fields(each, kind, known or f"{pattern}.*", (*way, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from fields(each, kind, f"{pattern}[]", (*way, number))


FOUND = [
    (number, document["kind"], pattern, way)
    for number, document in enumerate(EVERYTHING)
    for pattern, way in fields(document["spec"], document["kind"])
]


def alike(kind, pattern):
    """A traffic policy has the same fields wherever it stands."""
    return kind, re.sub(
        r"^(subsets\[\]\.)?trafficPolicy\.(portLevelSettings\[\]\.)?(?!port)", "trafficPolicy.", pattern
    )


TABLE = {alike(kind, pattern): row for kind, rows in ROWS.items() for pattern, row in rows.items()}


def without(number, way):
    """All documents, without what stands at a place of one."""
    documents = copy.deepcopy(EVERYTHING)
    place = documents[number]["spec"]
    for part in way[:-1]:
        place = place[part]
    del place[way[-1]]
    return documents


def outcome(documents):
    try:
        return imported(*documents).settings
    except SettingsError as error:
        return [each.path for each in error.problems]


def test_the_documents_of_the_tests_have_every_field_of_the_table():
    assert TABLE.keys() - {alike(kind, pattern) for _, kind, pattern, _ in FOUND} == set()


@pytest.mark.untraced
def test_each_field_that_becomes_something_changes_what_comes_out():
    whole, changed = outcome(EVERYTHING), set()
    wanted = {each for each, row in TABLE.items() if row.to} - NAMES_ONLY
    for number, kind, pattern, way in FOUND:
        if alike(kind, pattern) in wanted - changed and outcome(without(number, way)) != whole:
            changed.add(alike(kind, pattern))
    assert wanted - changed == set()


def test_each_field_that_becomes_nothing_is_named_with_its_reason():
    made = imported(*EVERYTHING)
    told = {(each.document.split()[0], each.why) for each in made.left}
    assert {each for each, row in TABLE.items() if not row.to and (each[0], row.why) not in told} == set()


def test_a_field_that_nobody_knows_is_named_with_the_nearest_that_is():
    said = left(virtual_service({"route": to(), "timeuot": "3s"}))
    assert said == {"spec.http[0].timeuot": "no field that is known here; is timeout meant?"}


def test_the_table_in_the_docs_is_made_of_this_one():
    page = markdown()
    for kind, rows in FIELDS.items():
        assert f"### {kind}" in page
        assert all(f"| `{path}` |" in page for path in rows)
    assert "| `http[].corsPolicy` | nothing | browsers ask the server itself |" in page


# What comes out


@pytest.mark.parametrize("name", ["everything", "shop"])
def test_what_comes_out_is_right_and_says_what_is_missing(name, tmp_path):
    made = import_istio([str(HERE / f"{name}.yaml")])
    path = tmp_path / "mesh.yaml"
    path.write_text(made.yaml())
    assert load(path) == load(made.settings)
    for each in made.left:
        assert f"# - {each}\n" in path.read_text()


def test_where_something_stands_is_its_line():
    text = "---\n" + yaml.safe_dump(virtual_service({"route": to()})) + "---\n" + "\n" * 5
    text += "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: shop}\n"
    text += "spec:\n  host: shop\n  trafficPolicy:\n    tunnel: {}\n"
    (said,) = imported_text(text, "a.yaml").left
    line = text.splitlines().index("    tunnel: {}") + 1
    assert str(said) == f"a.yaml:{line}: DestinationRule shop: spec.trafficPolicy.tunnel: no tunnels"


def test_calls_that_no_rule_is_for_are_answered_404_as_there():
    assert routes({"match": [{"uri": {"exact": "/a"}}], "route": to()})[-1] == {
        "match": {"service": "shop"},
        "respond": {"status": 404},
    }
    assert len(routes({"route": to()})) == 1


def test_a_canary_of_two_subsets_is_a_split_of_two_services():
    rule = document(
        "DestinationRule",
        host="shop",
        subsets=[{"name": name, "labels": {"version": name}} for name in ("v1", "v2")],
    )
    split = [
        {"destination": {"host": "shop", "subset": "v1"}, "weight": 90},
        {"destination": {"host": "shop", "subset": "v2"}, "weight": 10},
    ]
    endpoints = [{"address": f"10.0.0.{n}", "labels": {"version": f"v{n}"}} for n in (1, 2)]
    made = imported(entry(*endpoints), rule, virtual_service({"route": split}))
    assert made.settings["routes"][0]["split"] == {"v1.shop": 90, "v2.shop": 10}
    assert [each["address"] for each in made.settings["services"]["v2.shop"]["endpoints"]] == ["10.0.0.2:80"]
    assert made.left == ()


def test_a_subset_whose_endpoints_nobody_lists_is_told():
    rule = document("DestinationRule", host="shop", subsets=[{"name": "v1", "labels": {"version": "v1"}}])
    made = imported(rule, virtual_service({"route": to(subset="v1")}))
    assert made.settings["services"]["v1.shop"]["endpoints"] == ["shop.default.svc.cluster.local:80"]
    (said,) = made.left
    assert "no endpoint with its labels is known" in said.why


def test_a_host_with_several_ports_has_a_service_and_the_rules_for_each():
    made = imported(
        entry({"address": "10.0.0.1"}, ports=(80, 8080)),
        virtual_service({"match": [{"port": 8080}], "route": to("other")}, {"route": to()}),
    )
    assert set(made.settings["services"]) == {"shop", "shop:8080", "other"}
    assert [(each["match"]["service"], each.get("split")) for each in made.settings["routes"]] == [
        ("shop", None),
        ("shop:8080", {"other": 1}),
    ]


def test_short_and_full_names_are_one_host():
    rule = document("DestinationRule", host="shop.default.svc.cluster.local", trafficPolicy={"tls": {"mode": "SIMPLE"}})
    made = imported(virtual_service({"route": to()}), rule)
    assert set(made.settings["services"]) == {"shop.default.svc.cluster.local"}


@pytest.mark.parametrize(
    "condition",
    [
        {"sourceLabels": {"app": "a"}},
        {"authority": {"exact": "a"}},
        {"headers": {"@request.auth.claims.admin": {"exact": "1"}}},
        {"headers": {"a": {}}, "withoutHeaders": {"A": {"exact": "1"}}},
        {"method": {"prefix": "P"}},
        {"gateways": ["ingress"]},
        {"headres": {"a": {"exact": "1"}}},
        {"headers": {"a": {"suffix": "1"}}},
        {"uri": {"suffix": "/a"}},
        {"uri": {"regex": "(a+)+b|(?=c)"}},
    ],
)
def test_a_condition_that_cannot_be_said_never_makes_a_rule_wider(condition):
    made = imported(virtual_service({"match": [condition, {"uri": {"exact": "/b"}}], "route": to("other")}))
    assert [each["match"].get("path") for each in made.settings["routes"]] == [{"exact": "/b"}, None]
    assert made.left


def test_nor_does_one_of_an_http_route():
    rule = {"matches": [{"cookies": []}, {"path": {"value": "/b"}}], "backendRefs": [{"name": "other", "port": 80}]}
    made = imported(document("HTTPRoute", parentRefs=[{"kind": "Service", "name": "shop"}], rules=[rule]))
    assert [each["match"].get("path") for each in made.settings["routes"]] == [{"separated_prefix": "/b"}, None]
    assert "spec.rules[0].matches[0]" in {each.path for each in made.left}


def test_what_is_not_http_is_told_and_no_service():
    mongo = document("ServiceEntry", hosts=["mongo"], ports=[{"number": 27017, "protocol": "MONGO"}])
    made = imported(mongo, entry({"address": "10.0.0.1"}))
    assert set(made.settings["services"]) == {"shop"}
    assert [each.why for each in made.left] == ["HTTP only"]


def test_of_two_that_speak_of_one_host_one_counts_or_both_together():
    rules = [document("DestinationRule", host="shop", trafficPolicy=each) for each in ({}, {"tls": {"mode": "SIMPLE"}})]
    made = imported(entry({"address": "10.0.0.1"}), entry({"address": "10.0.0.2"}), *rules)
    assert made.settings["services"]["shop"] == {"endpoints": ["10.0.0.1:80", "10.0.0.2:80"]}
    assert [each.why for each in made.left] == ["shop has an earlier DestinationRule, which counts"]


@pytest.mark.parametrize("host", ["*.example", "*", "10.0.0.1"])
def test_what_is_no_name_of_a_service_is_told(host):
    made = imported(virtual_service({"route": to()}, hosts=[host, "shop"]))
    assert {each["match"]["service"] for each in made.settings["routes"]} == {"shop"}
    assert "is no name for a service" in made.left[0].why


def test_an_answer_of_its_own_goes_with_nothing_else():
    rule = {"directResponse": {"status": 418}, "timeout": "2s", "headers": {"response": {"set": {"x-tea": "1"}}}}
    made = imported(virtual_service(rule))
    assert made.settings["routes"][0]["respond"] == {"status": 418, "headers": {"x-tea": "1"}}
    assert [each.path for each in made.left] == ["spec.http[0].timeout"]


def test_rules_that_are_never_reached_are_told():
    made = imported(
        virtual_service(
            {"match": [{"uri": {"prefix": "/"}}], "route": to()},
            {"match": [{"uri": {"exact": "/a"}}], "route": to("b")},
        )
    )
    assert len(made.settings["routes"]) == 1
    assert "comes first" in made.left[0].why


def test_what_our_settings_refuse_is_left_out_and_the_rest_stays():
    rule = {"route": to(), "headers": {"request": {"set": {"content-length": "5"}}}, "timeout": "2s"}
    made = imported(virtual_service(rule))
    assert made.settings["routes"] == [{"name": "shop-1", "match": {"service": "shop"}, "timeout": 2.0}]
    assert "content-length" in made.left[0].why


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ({"attempts": 2}, {"attempts": 3}),
        ({"attempts": 0}, False),
        ({"attempts": 50}, {"attempts": 10}),
        ({"attempts": 1, "retryOn": "5xx,reset"}, {"attempts": 2, "on": ["5xx", "reset"]}),
        (
            {"attempts": 1, "retryOn": "refused-stream, 503"},
            {"attempts": 2, "on": ["reset-before-request", "retriable-status-codes"], "statuses": [503]},
        ),
        ({"attempts": 1, "retryOn": "retriable-status-codes,5xx"}, {"attempts": 2, "on": ["5xx"]}),
        ({"attempts": 1, "retryOn": "cancelled"}, {"attempts": 2, "on": []}),
        ({"attempts": 1, "backoff": "100ms"}, {"attempts": 2, "base": 0.1, "cap": 1.0}),
    ],
)
def test_retries(retries, expected):
    assert routes({"retries": retries, "route": to()})[0]["retry"] == expected


@pytest.mark.parametrize(("said", "seconds"), [("1.5s", 1.5), ("1h30m", 5400.0), ("250ms", 0.25), ("0s", 86_400.0)])
def test_timeouts(said, seconds):
    assert routes({"timeout": said, "route": to()})[0]["timeout"] == seconds


def test_a_fault_without_a_share_befalls_nobody():
    assert "faults" not in routes({"fault": {"abort": {"httpStatus": 503}}, "route": to()})[0]


@pytest.mark.parametrize(
    "said, expected",
    [
        ({"mirror": {"host": "b"}}, [("b", 100)]),
        ({"mirror": {"host": "b", "port": {"number": 81}}, "mirrorPercentage": {"value": 0.5}}, [("b:81", 0.5)]),
        ({"mirror": {"host": "b"}, "mirror_percent": 7}, [("b", 7)]),
        ({"mirror": {"host": "b"}, "mirrorPercentage": {"value": 0}}, None),
        ({"mirrors": [{"destination": {"host": "b"}}], "mirror": {"host": "c"}}, [("b", 100)]),
        (
            {"mirrors": [{"destination": {"host": each}, "percentage": {"value": 5}} for each in "bc"]},
            [("b", 5), ("c", 5)],
        ),
    ],
)
def test_mirrors(said, expected):
    made = routes({"route": to(), **said})[0].get("mirror")
    assert (made and [(each["service"], each["percentage"]) for each in made]) == expected


@pytest.mark.parametrize(
    "said, percentage",
    [
        ({}, 100),
        ({"percent": 5}, 5),
        ({"fraction": {"numerator": 5, "denominator": 1000}}, 0.5),
        ({"percent": 0}, None),
    ],
)
def test_mirrors_of_an_http_route(said, percentage):
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 80}, **said}}
    rule = {"filters": [mirror], "backendRefs": [{"name": "a", "port": 80}]}
    made = imported(document("HTTPRoute", parentRefs=[{"kind": "Service", "name": "shop"}], rules=[rule]))
    found = made.settings["routes"][0].get("mirror")
    assert found == (None if percentage is None else [{"service": "b", "percentage": percentage}])


def test_a_share_of_nothing_is_wrong():
    mirror = {"backendRef": {"name": "b", "port": 80}, "fraction": {"numerator": 1, "denominator": 0}}
    rule = {
        "filters": [{"type": "RequestMirror", "requestMirror": mirror}],
        "backendRefs": [{"name": "a", "port": 80}],
    }
    route = document("HTTPRoute", parentRefs=[{"kind": "Service", "name": "shop"}], rules=[rule])
    (problem,) = problems(yaml.safe_dump(route))
    assert "fraction.denominator" in str(problem)


def test_an_http_route_goes_by_precedence_whatever_its_order():
    rules = [
        {"matches": [{"path": {"value": value, "type": kind}}], "backendRefs": [{"name": name, "port": 80}]}
        for kind, value, name in (("PathPrefix", "/", "a"), ("PathPrefix", "/long", "b"), ("Exact", "/x", "c"))
    ]
    made = imported(document("HTTPRoute", parentRefs=[{"kind": "Service", "name": "shop"}], rules=rules))
    assert [each["split"] for each in made.settings["routes"]] == [{"c": 1}, {"b": 1}, {"a": 1}]


def test_rules_of_gateways_are_none_of_calls_between_services():
    made = imported(
        virtual_service({"route": to()}, gateways=["ingress"]),
        document("HTTPRoute", parentRefs=[{"name": "gateway"}], rules=[{"backendRefs": [{"name": "a", "port": 80}]}]),
    )
    assert "routes" not in made.settings
    assert len(made.left) == 2


def test_a_list_as_kubectl_writes_it_is_its_items():
    items = [virtual_service({"route": to("other")}), entry({"address": "10.0.0.1"})]
    made = imported({"apiVersion": "v1", "kind": "List", "items": items})
    assert made.settings["services"]["shop"]["endpoints"] == ["10.0.0.1:80"]


def test_ipv6_addresses_have_brackets():
    made = imported(entry({"address": "::1"}))
    assert made.settings["services"]["shop"]["endpoints"] == ["[::1]:80"]


# What is wrong

UNKNOWN = "a subset of cart: no DestinationRule among these files has it"


def test_all_that_is_wrong_is_said_at_once():
    wrong = [
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualServise", "metadata": {"name": "a"}, "spec": {}},
        {"apiVersion": "v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": {}},
        ["no", "document"],
        virtual_service({"timeout": "soon", "retries": {"attempts": "two"}, "route": to()}),
        document("DestinationRule", host=5),
        document("VirtualService", "cart", hosts=["cart"], http=[{"route": to("cart", subset="v9")}]),
    ]
    found = problems(yaml.safe_dump_all(wrong))
    assert [each.nearest for each in found][:2] == ["VirtualService", "VirtualService"]
    said = [(each.path, each.expected) for each in found][2:]
    assert (": ", "a document with `kind`, `metadata` and `spec`") in [(path[-2:], expected) for path, expected in said]
    assert ("VirtualService shop: spec.http[0].timeout", "a time such as 1.5s or 1h30m") in said
    assert ("VirtualService shop: spec.http[0].retries.attempts", "a whole number") in said
    assert ("DestinationRule shop: spec.host", "text") in said
    assert ("VirtualService cart: spec.http[0].route[0].destination.subset", UNKNOWN) in said
    assert all(each.where.startswith("mesh.yaml:") for each in found)


def places(value, way=()):
    """The way to everything in a document."""
    if way:
        yield way
    for key, each in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from places(each, (*way, key))


@pytest.mark.untraced
def test_whatever_stands_where_what_is_said_speaks_of_the_documents():
    rng = random.Random(5)
    there = [(number, way) for number, each in enumerate(EVERYTHING) for way in places(each)]
    for number, way in rng.sample(there, 60):
        documents = copy.deepcopy(EVERYTHING)
        place = documents[number]
        for part in way[:-1]:
            place = place[part]
        place[way[-1]] = rng.choice([5, -1, 1e9, "x", "/", "*", "%x%", [], ["x"], {}, {"x": {"y": 1}}, None, True])
        said = outcome(documents)
        if isinstance(said, list):
            assert not [path for path in said if path.startswith(("services", "routes"))], (number, way)


@pytest.mark.parametrize(
    ("text", "expected"), [("a: [", "YAML"), ("", "documents: VirtualService"), ("a: 1\na: 2", "each key once")]
)
def test_what_is_no_such_file_is_refused(text, expected):
    (problem,) = problems(text)
    assert expected in problem.expected
