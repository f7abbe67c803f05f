"""The router beside its cases: chance, the app's own code, redirects in a row, many routes, and what a reload keeps."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from routing.cases import CASES, ENDPOINTS

from meshware.assembly.services import assemble
from meshware.core.events import PluginFailed
from meshware.core.request import Request
from meshware.routing.index import Entry, Index
from meshware.settings.schema import MeshSettings


def broken(context, request):
    raise RuntimeError("what a predicate throws")


class Town:
    """Services with these routes; `events` holds what they emitted."""

    def __init__(self, *routes):
        self.rng, self.events, self.services = random.Random(1), [], {}
        self.load(*routes)

    def load(self, *routes, **services):
        named = {name: {"endpoints": each} for name, each in ENDPOINTS.items()}
        source = {"services": named | services, "routes": list(routes)}
        self.services = assemble(
            MeshSettings.model_validate(source), self.services, rng=self.rng, emit=self.events.append, now=0.0
        )

    def ask(self, path="/", *, of="inventory", headers=None, context=None, now=0.0):
        service, request = self.services[of], Request("GET", of, path, headers or {})
        return service.routes.route(service, request, context, now)

    def goes_to(self, *args, **options):
        return self.ask(*args, **options)[0].name


def to(service, **match):
    return {"match": {"service": "inventory", **match}, "split": {service: 1}}


def test_a_predicate_that_raises_is_no_match_and_is_told():
    town = Town(to("pricing", predicate=broken), to("legacy"))
    town.events.clear()
    assert town.goes_to() == "legacy"
    (event,) = town.events
    assert isinstance(event, PluginFailed)
    assert (event.service, event.plugin) == ("inventory", "predicate of routes[0]")
    assert event.error == "RuntimeError: what a predicate throws"


def test_a_predicate_that_turns_out_to_be_async_is_no_match_and_is_told():
    class Asking:
        async def __call__(self, context, request):
            return True

    town = Town(to("pricing", predicate=Asking()))
    town.events.clear()
    assert town.goes_to() == "inventory"
    assert "async" in town.events[0].error


def test_a_predicate_is_asked_last_and_only_when_all_else_holds():
    asked = []
    town = Town(to("pricing", path="/a", percentage=50, predicate=lambda *facts: asked.append(facts) or True))
    town.goes_to("/b")
    assert asked == []
    for _ in range(200):
        town.goes_to("/a")
    assert 60 < len(asked) < 140


def test_a_fraction_is_of_the_calls_for_which_all_else_holds():
    town = Town(to("pricing", path="/a", percentage=30))
    seen = Counter(town.goes_to("/a") for _ in range(10_000))
    assert seen["pricing"] == pytest.approx(3_000, abs=184)  # 4 sigma


def test_a_time_window_opens_and_closes():
    town = Town(to("pricing", since="2999-01-01T00:00:00Z"))
    assert town.goes_to() == "inventory"
    assert town.goes_to(now=1e12) == "pricing"


def test_redirects_in_a_row_end_where_the_last_one_leads():
    town = Town(
        {"match": {"service": "legacy"}, "redirect": "inventory", "request_headers": {"set": {"x-hop": "1"}}},
        {"match": {"service": "inventory"}, "redirect": "pricing", "rewrite": {"template": "/prices"}},
        {"match": {"service": "pricing", "path": "/prices"}, "timeout": 1.5},
    )
    service, request, plan = town.ask("/items", of="legacy")
    assert (service.name, request.path, request.authority) == ("pricing", "/prices", "pricing")
    assert (plan.timeout, plan.edits.of({})) == (1.5, {"x-hop": "1"})


def test_a_redirect_to_a_service_without_routes_keeps_what_it_has_changed():
    town = Town({"match": {"service": "legacy"}, "redirect": "inventory", "request_headers": {"set": {"x-hop": "1"}}})
    service, _, plan = town.ask(of="legacy")
    assert (service.name, plan.edits.of({}), plan.timeout) == ("inventory", {"x-hop": "1"}, service.timeout)


def test_a_router_that_fails_leaves_the_call_as_it_was_and_says_so():
    town = Town(to("pricing"))
    town.events.clear()
    town.services["inventory"].routes._index = None
    service, request, plan = town.ask("/items")
    assert (service.name, request.path, plan) == ("inventory", "/items", None)
    assert [event.plugin for event in town.events] == ["route"]


def test_a_matched_template_is_what_the_operation_is_called():
    town = Town({"match": {"service": "inventory", "path": {"template": "/users/{name}"}}})
    service, request, _ = town.ask("/users/anna")
    assert service.operations.of(request).name == "GET /users/{name}"


def test_a_service_without_routes_has_nothing_to_ask():
    town = Town(to("pricing"))
    assert town.services["legacy"].routes is None
    town.load()
    assert all(each.routes is None and each.subsets == () for each in town.services.values())


def test_routes_lead_to_the_services_of_the_present_settings():
    town = Town(to("pricing"))
    town.load(to("pricing"), pricing={"endpoints": ["10.0.9.1:80"], "timeout": 1.0})
    assert town.ask()[0] is town.services["pricing"]


def test_a_reload_keeps_each_user_where_he_is():
    routes = {
        "match": {"service": "inventory"},
        "split": {"inventory-v2": 30, "inventory": 70},
        "sticky": {"header": "u"},
    }
    town = Town(routes)
    before = [town.goes_to(headers={"u": str(number)}) for number in range(2_000)]
    town.load(to("pricing", path="/new"), routes, pricing={"endpoints": ["10.0.9.1:80"], "timeout": 1.0})
    assert [town.goes_to(headers={"u": str(number)}) for number in range(2_000)] == before


def test_a_reload_that_leaves_a_routes_faults_alone_leaves_their_end():
    route = {"match": {"service": "inventory"}, "faults": [{"abort": 503, "until": 60}]}
    town = Town(route)
    faults = town.ask()[2].faults
    town.load(to("pricing", path="/x"), route)
    assert town.ask()[2].faults is faults


def test_a_reload_keeps_a_subset_with_what_was_learned():
    route = {"match": {"service": "inventory"}, "subset": {"metadata": {"version": "2"}}}
    town = Town(route)
    (subset,) = town.services["inventory"].subsets
    town.load(to("pricing", path="/x"), route)
    assert town.services["inventory"].subsets == (subset,)


# Many routes


def many(count):
    """So many routes of all kinds, of which none is for the last path."""
    kinds = [
        lambda n: {"path": f"/exact/{n}"},
        lambda n: {"path": {"separated_prefix": f"/area/{n}"}},
        lambda n: {"path": {"prefix": f"/area{n}/x"}},
        lambda n: {"path": {"template": f"/shop{n}/{{id}}"}},
        lambda n: {"path": {"regex": f"/regex{n}/[0-9]+"}},
        lambda n: {"headers": {"x-tenant": f"t{n}"}},
    ]
    return [to("pricing", **kinds[n % len(kinds)](n)) for n in range(count)]


def places(town):
    return [
        entry.place for entry in town.services["inventory"].routes._index.candidates(Request("GET", "i", "/none", {}))
    ]


def test_of_many_routes_only_those_that_may_be_for_a_call_are_looked_at():
    town = Town(*many(1_000))
    assert places(town) == []
    assert town.goes_to("/exact/600") == "pricing"
    assert town.goes_to("/area/601/x") == "pricing"
    assert town.goes_to("/shop603/7") == "pricing"
    assert town.goes_to("/regex604/7") == "pricing"
    assert town.goes_to(headers={"x-tenant": "t605"}) == "pricing"
    assert town.goes_to("/shop603") == "inventory"


@pytest.mark.parametrize("case", [case for case in CASES if case.status is None][::3], ids=str)
def test_many_other_routes_before_and_after_change_no_decision(case):
    def moved(routes):  # what the padding is for does not occur in the cases
        return [each | {"match": each["match"] | {"service": case.of}} for each in routes]

    lone, crowded = (
        assemble(MeshSettings.model_validate(settings), {}, rng=random.Random(1), emit=lambda event: None, now=0.0)
        for settings in (case.settings(), case.settings() | {"routes": [*moved(many(30)), *case.routes]})
    )
    path, _, query = case.target.partition("?")
    given = {name.lower(): value for name, value in case.given.items()}
    request = Request(case.method, case.of, path, given, query=query)
    crowd = crowded[case.of].routes.route(crowded[case.of], request, case.context(), 0.0)
    alone = (lone[case.of], request, None)
    if lone[case.of].routes is not None:
        alone = lone[case.of].routes.route(lone[case.of], request, case.context(), 0.0)
    assert (crowd[0].name, crowd[1].target) == (alone[0].name, alone[1].target)


def test_beginnings_of_more_lengths_than_are_looked_up_are_found_all_the_same():
    town = Town(*(to("pricing", path={"prefix": "/" + "a" * length + "/"}) for length in range(1, 61)))
    for length in range(1, 61):
        assert town.goes_to("/" + "a" * length + "/x") == "pricing"
    assert town.goes_to("/" + "a" * 61 + "/x") == "inventory"


def test_an_index_gives_all_that_may_match_in_their_order():
    town = Town(*many(100), to("legacy"))
    entries = town.services["inventory"].routes._index
    found = list(entries.candidates(Request("GET", "i", "/exact/6", {"x-tenant": "t5"})))
    assert [each.place for each in found] == [5, 6, 100]
    assert isinstance(entries, Index)
    assert isinstance(found[0], Entry)
