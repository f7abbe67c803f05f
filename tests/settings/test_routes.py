"""Routes in the settings: what is refused, with its path, and all of it at once."""

from __future__ import annotations

import json

import pytest
from settings.refusing import refusal

from meshware.core.errors import SettingsError
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.origin import Source
from meshware.settings.reference import json_schema, markdown

SERVICES = {
    "inventory": {"endpoints": ["a:1"]},
    "inventory-v2": {"endpoints": ["b:1"]},
    "pricing": {"endpoints": ["c:1"]},
}


def shop(*routes, **more):
    return {"services": SERVICES, "routes": list(routes), **more}


def route(**actions):
    """A route for all of `inventory`, unless `match` says more."""
    return {"match": {"service": "inventory", **actions.pop("match", {})}, **actions}


def test_every_problem_is_named_at_once_with_its_path():
    problems = refusal(
        shop(
            route(match={"service": "inventry"}),
            route(name="same", match={"path": "/a"}),
            route(name="same", match={"path": "/b"}, split={"inventory-v3": 1}),
            route(match={"path": "/c"}, split={"inventory-v2": 0, "inventory": 0}),
            route(match={"path": "/d"}, timout=3),
            route(match={"path": "/e"}, redirect="pricing"),
            route(match={"service": "pricing", "path": "/e"}, redirect="inventory"),
            route(match={"path": {"prefix": "/f"}}, rewrite={"prefix": ""}),
            route(match={"path": {"prefix": "/g"}}),
            route(match={"path": "/g/h"}),
            services={**SERVICES, "inventory": {"endpoints": ["a:1"], "timeout": "soon"}},
        )
    )
    assert {each.path for each in problems} == {
        "services.inventory.timeout",
        "routes[0].match.service",
        "routes[2].name",
        "routes[2].split.inventory-v3",
        "routes[3].split",
        "routes[4].timout",
        "routes[5].redirect",
        "routes[6].redirect",
        "routes[7].rewrite.prefix",
        "routes[9]",
    }
    by_path = {each.path: each for each in problems}
    assert by_path["routes[0].match.service"].nearest == "inventory"
    assert by_path["routes[2].split.inventory-v3"].nearest == "inventory-v2"
    assert by_path["routes[4].timout"].nearest == "timeout"
    assert by_path["routes[5].redirect"].expected.endswith("not inventory -> pricing -> inventory")
    assert (
        by_path["routes[9]"].expected == "a route that is reached: routes[8] comes first, and is for all of its calls"
    )


@pytest.mark.parametrize(
    ("wrong", "path", "says"),
    [
        (route(redirect="inventory"), "routes[0].redirect", "inventory -> inventory"),
        (route(redirect="pricing", timeout=1), "routes[0].redirect", "does not go with `timeout`"),
        (route(respond={"status": 404}, retry=False), "routes[0].respond", "does not go with `retry`"),
        (route(respond={"status": 404}, fallback=False), "routes[0].respond", "does not go with `fallback`"),
        (route(redirect="pricing", limits={"in_flight": 1}), "routes[0].redirect", "does not go with `limits`"),
        (route(strategy="round_robbin"), "routes[0].strategy", "one of adaptive"),
        (route(limits={}), "routes[0].limits.in_flight", "needed"),
        (route(limits={"in_flight": 0}), "routes[0].limits.in_flight", "greater than or equal to 1"),
        (route(rate_limit={"rate": 1}), "routes[0].rate_limit.burst", "needed"),
        (route(fallback={}), "routes[0].fallback", "needs `last_good`, `callable` or `static`"),
        (route(fallback=True), "routes[0].fallback", "dict"),
        (route(sticky={"header": "x"}), "routes[0].sticky", "goes with `split`"),
        (route(mirror={"service": "pricng"}), "routes[0].mirror.service", "a service of the settings"),
        (route(mirror={"service": "inventory"}), "routes[0].mirror.service", "do not go to anyway"),
        (
            route(subset={"metadata": {"v": 1}}, mirror={"service": "inventory", "subset": {"metadata": {"v": 1}}}),
            "routes[0].mirror.service",
            "another `subset`",
        ),
        (
            route(split={"pricing": 1, "inventory-v2": 1}, mirror=[{"service": "inventory"}, {"service": "pricing"}]),
            "routes[0].mirror[1].service",
            "do not go to anyway",
        ),
        (route(mirror={"service": "pricing", "percentage": 101}), "routes[0].mirror.percentage", "or equal to 100"),
        (route(mirror={"service": "pricing", "compare": "bdy"}), "routes[0].mirror.compare", "one of status, body"),
        (route(mirror={"service": "pricing", "compare": "a.b:c"}), "routes[0].mirror.compare", "No module"),
        (route(mirror={"service": "pricing", "without": ["a b"]}), "routes[0].mirror.without", "no header's name"),
        (route(redirect="pricing", mirror={"service": "pricing"}), "routes[0].redirect", "does not go with `mirror`"),
        (route(split={"pricing": 1}, sticky={}), "routes[0].sticky", "exactly one of `header`"),
        (route(split={"pricing": -1}), "routes[0].split.pricing", "greater than or equal to 0"),
        (route(split={}), "routes[0].split", "at least one"),
        (route(rewrite={}), "routes[0].rewrite", "`host`, or one of"),
        (route(rewrite={"prefix": "/x"}), "routes[0].rewrite.prefix", "goes with `match.path.prefix`"),
        (
            route(match={"path": {"template": "/a/{id}"}}, rewrite={"template": "/b/{ids}"}),
            "routes[0].rewrite.template",
            "a variable of `match.path.template` (id)",
        ),
        (route(rewrite={"template": "/b/{id}"}), "routes[0].rewrite.template", "there is none"),
        (route(rewrite={"template": "/b{"}), "routes[0].rewrite.template", "braces"),
        (route(rewrite={"template": "b"}), "routes[0].rewrite.template", "begins with /"),
        (route(rewrite={"regex": {"pattern": "/(a)", "to": "/\\2"}}), "routes[0].rewrite.regex", "groups of `pattern`"),
        (route(rewrite={"regex": {"pattern": "/(.*)x", "to": "/\\1"}}), "routes[0].rewrite.regex.pattern", "one way"),
        (route(rewrite={"regex": {"pattern": "/(a)", "to": "\\1"}}), "routes[0].rewrite.regex.to", "begins with /"),
        (route(rewrite={"host": "a b"}), "routes[0].rewrite.host", "a name"),
        (route(request_headers={"set": {"Host": "a"}}), "routes[0].request_headers", "other headers than host"),
        (route(request_headers={"set": {"a": "1"}, "remove": ["A"]}), "routes[0].request_headers", "in one place only"),
        (route(request_headers={"set": {"a": "1\r\n"}}), "routes[0].request_headers.set", "one line"),
        (route(request_headers={}), "routes[0].request_headers", "`set`, `add` or `remove`"),
        (route(response_headers={"remove": ["Set-Cookie"]}), "routes[0].response_headers", "set-cookie"),
        (route(subset={"metadata": {}}), "routes[0].subset.metadata", "at least 1"),
        (route(retry={"budget": {}}), "routes[0].retry.budget", "unknown key"),
        (route(match={"path": {"exact": "/a", "prefix": "/b"}}), "routes[0].match.path", "exactly one of"),
        (route(match={"path": "a"}), "routes[0].match.path.exact", "begins with /"),
        (route(match={"path": "/a?b"}), "routes[0].match.path.exact", "without spaces, ? and #"),
        (route(match={"path": {"separated_prefix": "/a/"}}), "routes[0].match.path.separated_prefix", "whole segments"),
        (route(match={"path": {"template": "/a/x{id}"}}), "routes[0].match.path.template", "whole segments"),
        (route(match={"path": {"template": "/{a}/{a}"}}), "routes[0].match.path.template", "a name each"),
        (route(match={"path": {"template": "/{a=**}/b"}}), "routes[0].match.path.template", "at the end"),
        (route(match={"path": {"template": "/{a}", "ignore_case": True}}), "routes[0].match.path", "`ignore_case`"),
        (route(match={"path": {"regex": "(a"}}), "routes[0].match.path.regex", "a regular expression"),
        (route(match={"headers": {"a b": "1"}}), "routes[0].match.headers.a b", "no header's name"),
        (route(match={"headers": {"a": {}}}), "routes[0].match.headers.a", "exactly one of"),
        (route(match={"headers": {"a": {"range": [2, 2]}}}), "routes[0].match.headers.a", "a range"),
        (
            route(match={"headers": {"a": {"present": True, "missing_as_empty": True}}}),
            "routes[0].match.headers.a",
            "nothing",
        ),
        (route(match={"percentage": 101}), "routes[0].match.percentage", "less than or equal to 100"),
        (route(match={"since": "tomorrow"}), "routes[0].match.since", "a time such as"),
        (route(match={"since": 5}), "routes[0].match.since", "a time such as"),
        (
            route(match={"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
            "routes[0].match",
            "`since` is before `until`",
        ),
        (route(match={"predicate": "nobody"}), "routes[0].match.predicate", "a predicate that is known"),
        (route(match={"predicate": "nowhere:at_all"}), "routes[0].match.predicate", "can be imported"),
        (route(match={"methods": []}), "routes[0].match", "at least one"),
        ({}, "routes[0].match", "needed"),
        ("inventory", "routes[0]", "a dict is needed"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_its_place(wrong, path, says):
    (problem,) = refusal(shop(wrong))
    assert problem.path == path
    assert says in problem.expected


def test_an_async_predicate_is_refused():
    async def ask(context, request):
        return True

    (problem,) = refusal(shop(route(match={"predicate": ask})))
    assert "an ordinary function" in problem.expected


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, {"path": "/a"}),
        ({"path": {"prefix": "/a"}}, {"path": "/ab"}),
        ({"path": {"prefix": "/a"}}, {"path": {"template": "/a/{id}"}, "methods": ["GET"]}),
        ({"path": {"prefix": "/a"}}, {"path": {"regex": "/a[0-9]+"}}),
        ({"path": {"separated_prefix": "/a"}}, {"path": {"separated_prefix": "/a/b"}}),
        ({"path": {"separated_prefix": "/a"}}, {"path": {"prefix": "/a/"}}),
        ({"path": {"template": "/a/{x}"}}, {"path": {"template": "/a/{y}"}}),
        ({"path": {"template": "/a/{x}"}}, {"path": "/a/b"}),
        ({"path": {"regex": "/[a-z]+"}}, {"path": "/abc"}),
        ({"methods": ["GET", "HEAD"]}, {"methods": ["GET"]}),
        ({"headers": {"x": {"present": True}}}, {"headers": {"X": "1"}}),
        ({"headers": {"x": "1"}}, {"headers": {"x": "1", "y": "2"}, "percentage": 5}),
        ({"query": {"x": "1"}}, {"query": {"x": "1"}, "path": "/a"}),
        ({"identity": "a"}, {"identity": "a", "path": "/a"}),
    ],
)
def test_a_route_that_an_earlier_one_shadows_is_refused_and_that_one_named(earlier, later):
    (problem,) = refusal(shop(route(name="first", match=earlier), route(name="second", match=later)))
    assert (problem.path, problem.value) == ("routes[1]", "second")
    assert "first comes first" in problem.expected


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"path": "/a"}, {}),
        ({"path": "/a"}, {"path": "/b"}),
        ({"path": {"prefix": "/a/"}}, {"path": {"prefix": "/a"}}),
        ({"path": {"separated_prefix": "/a"}}, {"path": {"prefix": "/a"}}),
        ({"path": {"template": "/a/{x}"}}, {"path": {"template": "/a/{x=**}"}}),
        ({"path": {"prefix": "/A", "ignore_case": True}}, {"path": "/a"}),
        ({"percentage": 50}, {}),
        ({"predicate": print}, {}),
        ({"until": "2999-01-01T00:00:00Z"}, {}),
        ({"methods": ["GET"]}, {}),
        ({"methods": ["GET"]}, {"methods": ["GET", "POST"]}),
        ({"headers": {"x": "1"}}, {"headers": {"y": "1"}}),
        ({"headers": {"x": {"present": True}}}, {"headers": {"x": {"exact": "", "missing_as_empty": True}}}),
        ({"identity": "a"}, {"identity": "b"}),
        ({"service": "pricing"}, {}),
    ],
)
def test_a_route_that_may_be_reached_is_not_refused(earlier, later):
    assert len(load(shop(route(match=earlier), route(match=later))).routes) == 2


def test_a_shadow_is_looked_for_among_a_thousand_routes():
    routes = [route(match={"path": {"prefix": f"/p{number}/"}}) for number in range(1_000)]
    (problem,) = refusal(shop(*routes, route(match={"path": "/p77/x"})))
    assert "routes[77] comes first" in problem.expected


def test_a_mirror_may_be_one_or_several_and_another_subset_of_the_same_service():
    one = {"service": "inventory", "subset": {"metadata": {"v": 2}}}
    assert [each.service for each in load(shop(route(mirror=one))).routes[0].mirror] == ["inventory"]
    several = load(shop(route(mirror=[one, {"service": "pricing"}])))
    assert [each.service for each in several.routes[0].mirror] == ["inventory", "pricing"]
    assert load(shop(route(mirror=None, respond={"status": 204}))).routes[0].mirror == ()


def test_names_of_services_are_spelled_as_everywhere():
    loaded = load(shop(route(match={"service": "Inventory."}, split={"INVENTORY-V2": 1, "inventory": 3})))
    assert loaded.routes[0].match.service == "inventory"
    assert list(loaded.routes[0].split) == ["inventory-v2", "inventory"]


def test_keys_may_be_in_upper_case():
    loaded = load(
        {"SERVICES": SERVICES, "ROUTES": [{"MATCH": {"SERVICE": "pricing", "PATH": {"PREFIX": "/a"}}, "TIMEOUT": 1}]}
    )
    assert (loaded.routes[0].match.path.prefix, loaded.routes[0].timeout) == ("/a", 1)


def test_a_service_may_also_say_that_nothing_is_retried_or_hedged():
    service = load(
        {
            "defaults": {"hedge": {"factor": 2}},
            "services": {"a": {"endpoints": ["a:1"], "retry": False, "hedge": False}},
        }
    )
    assert (service.services["a"].retry.attempts, service.services["a"].hedge.enabled) == (1, False)
    settings = {"fallback": {"static": {"body": "sorry"}}, "hedge": False}
    loaded = load({"defaults": settings, "services": {"a": {"endpoints": ["a:1"], "fallback": False, "hedge": True}}})
    assert (loaded.services["a"].fallback.enabled, loaded.services["a"].hedge.enabled) == (False, True)


def test_what_is_in_force_is_shown_as_it_was_written():
    match = {"path": {"regex": "/a[0-9]*"}, "since": "2026-01-01T00:00:00Z"}
    settings = shop(route(match=match, rewrite={"regex": {"pattern": "/a(b)", "to": "/\\1"}}))
    loaded = load(settings)
    (shown,) = [each for each in explain(loaded, Source(settings)) if each.path == "routes"]
    assert json.loads(json.dumps(shown.value))[0]["match"]["path"]["regex"] == "/a[0-9]*"
    assert load(loaded.model_dump(exclude_unset=True)) == loaded


def test_the_schema_and_the_page_know_routes():
    jsonschema = pytest.importorskip("jsonschema")
    accepts = jsonschema.Draft202012Validator(json_schema()).is_valid
    good = route(match={"path": "/a", "headers": {"x": "1", "y": {"range": [1, 2]}}}, retry=False, split={"pricing": 1})
    assert accepts(shop(good))
    assert not accepts(shop(route(match={"path": 5})))
    assert not accepts(shop(route(match={"service": None})))
    assert "## `routes[].match.headers.<name>`, `routes[].match.query.<name>`" in markdown()


def test_a_problem_is_raised_even_where_nobody_loads():
    with pytest.raises(SettingsError):
        load(shop(route(split={"nobody": 1})))
