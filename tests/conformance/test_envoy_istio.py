"""The rules of tests/importing/shop.yaml, imported, and the same rules in a real Envoy: 200 requests go the same way.

Envoy's configuration stands here as Istio would write it (pilot/pkg/networking/core/route), not as our importer reads.
"""

from __future__ import annotations

import http.client
import random
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from conformance import envoy as real
from conformance.routes import FAULT, FAULTS
from faults.upstream import Upstream

pytest.importorskip("yaml")

import requests

from meshware.importing.istio import import_istio
from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

pytestmark = pytest.mark.skipif(real.BINARY is None, reason=real.WHY)

SHOP = (Path(__file__).parents[1] / "importing" / "shop.yaml").read_text()
LISTED = {
    "v1": "10.0.0.1, ports: {http: 8001}",
    "v2": "10.0.0.2, ports: {http: 8002}",
    "v3": "10.0.0.3, ports: {http: 8003}",
    "ratings": "10.0.1.1, ports: {http: 8101}",
}
CLUSTERS = {"reviews": ["v1", "v2", "v3"], "v1": ["v1"], "v2": ["v2"], "v3": ["v3"], "ratings": ["ratings"]}


def header(name, **how):
    return {"name": name, **how}


def exact(value):
    return {"string_match": {"exact": value}}


def regex(value):
    return {"string_match": {"safe_regex": {"regex": value}}}


def to(cluster, match, **more):
    """A route to a cluster; what begins with `route_` belongs to the action."""
    action = {name.removeprefix("route_"): value for name, value in more.items() if name.startswith("route_")}
    rest = {name: value for name, value in more.items() if not name.startswith("route_")}
    return {"match": match, "route": {"cluster": cluster, **action}, **rest}


def adding(name, value, how):
    return {"header": {"key": name, "value": value}, "append_action": how}


OVERWRITE, APPEND = "OVERWRITE_IF_EXISTS_OR_ADD", "APPEND_IF_EXISTS_OR_ADD"
BETA = {
    "request_headers_to_add": [adding("x-beta", "1", OVERWRITE)],
    "request_headers_to_remove": ["x-debug"],
    "response_headers_to_add": [adding("x-served", "beta", APPEND)],
}
WHOLE = {
    "route_regex_rewrite": {"pattern": {"regex": "/.*"}, "substitution": "/whole"},
    "route_host_rewrite_literal": "v2.example",
    "response_headers_to_add": [adding("x-served", "v2", OVERWRITE)],
}
NOT_STABLE = header("x-stable", **exact("yes"), invert_match=True, treat_missing_header_as_empty=True)
ABORT = {"abort": {"http_status": 503, "percentage": {"numerator": 1_000_000, "denominator": "MILLION"}}}
REVIEWS = [
    to("v2", {"prefix": "/reviews", "headers": [header("end-user", **exact("jason"))]}),
    to("v2", {"prefix": "/", "headers": [header("cookie", **regex("tester=[a-z]+"))]}),
    {
        "match": {"path": "/admin", "headers": [header("x-staff", present_match=True, invert_match=True)]},
        "direct_response": {"status": 403, "body": {"inline_string": "staff only"}},
    },
    to("v1", {"prefix": "/reviews", "headers": [header(":method", **regex("POST|PUT"))]}, route_timeout="3s"),
    to(
        "v3",
        {"prefix": "/", "headers": [NOT_STABLE], "query_parameters": [{"name": "beta", **exact("1")}]},
        **BETA,
    ),
    to("v3", {"safe_regex": {"regex": "/beta/[0-9]+"}}, **BETA),
    to(
        "v1",
        {"prefix": "/old/", "case_sensitive": False},
        route_prefix_rewrite="/new/",
        route_host_rewrite_literal="reviews.example",
    ),
    to("ratings", {"path": "/score"}, route_prefix_rewrite="/ratings/all"),
    to(
        "ratings",
        {"prefix": "/items/"},
        route_regex_rewrite={"pattern": {"regex": "^/items/([0-9]+)/([a-z]+)$"}, "substitution": "/\\2/\\1"},
    ),
    to("v1", {"prefix": "/broken"}, typed_per_filter_config={FAULTS: FAULT | ABORT}),
    to("v1", {"prefix": "/sound"}),
    to("v1", {"prefix": "/reviews"}),
    to("v1", {"path": "/"}),
    to("v1", {"prefix": "/", "headers": [header("x-any", present_match=True)]}),
    to("v1", {"path": "/admin"}),
]
RATINGS = [  # by the precedence of the Gateway API
    to("ratings", {"path": "/v2/exact", "headers": [header(":method", **exact("GET"))]}, **WHOLE),
    to(
        "reviews",
        {"path_separated_prefix": "/v2"},
        route_regex_rewrite={"pattern": {"regex": "^/v2(/?)(.*)"}, "substitution": "/\\2"},
        request_headers_to_add=[adding("x-way", "v2", OVERWRITE)],
    ),
    {
        "match": {"prefix": "/", "headers": [header("x-nowhere", **exact("1"))]},
        "direct_response": {"status": 500},
    },
    to("ratings", {"prefix": "/"}),
    to("ratings", {"safe_regex": {"regex": "/r[0-9]"}}, **WHOLE),  # after what is for all: never
]

PATHS = {
    "reviews": [
        "/", "/reviews", "/reviews/7", "/reviewsx", "/admin", "/admin/", "/beta/7", "/beta/x", "/old/a", "/OLD/a",
        "/old", "/score", "/score/", "/items/7/parts", "/items/x", "/items/7/parts/", "/broken/x", "/sound", "/else",
    ],
    "ratings": ["/", "/v2", "/v2/", "/v2/items", "/v2/exact", "/v20", "/r7", "/ratings"],
}  # fmt: skip
QUERIES = ["", "", "", "?beta=1", "?beta=2", "?beta", "?a=1&beta=1"]
HEADERS = {
    "reviews": {
        "end-user": ["jason", "anna"], "cookie": ["tester=anna", "tester=", "a=b"], "x-staff": ["", "1"],
        "x-stable": ["yes", "no", ""], "x-debug": ["1"], "x-any": ["", "1"],
    },
    "ratings": {"x-nowhere": ["1", "2"], "x-way": ["v1"], "x-debug": ["1"]},
}  # fmt: skip
SEEN = ("host", "x-beta", "x-debug", "x-way")


def some_requests(count, rng):
    """Different ones, each path among them."""
    found = [("GET", name, path, {}) for name, paths in PATHS.items() for path in paths]
    while len(found) < count:
        name = rng.choice(["reviews", "reviews", "ratings"])
        may_say, target = HEADERS[name], rng.choice(PATHS[name]) + rng.choice(QUERIES)
        said = {each: rng.choice(may_say[each]) for each in rng.sample(sorted(may_say), rng.randrange(4))}
        asked = (rng.choice(["GET", "POST", "PUT", "DELETE"]), name, target, said)
        if asked not in found:
            found.append(asked)
    return found


@pytest.fixture(scope="module")
def servers():
    with ExitStack() as stack:
        yield {name: stack.enter_context(Upstream()) for name in LISTED}


@pytest.fixture(scope="module")
def port(servers, tmp_path_factory):
    clusters = [
        real.cluster(name, [real.endpoint(servers[each].port) for each in some]) for name, some in CLUSTERS.items()
    ]
    hosts = [
        {"name": name, "domains": [name], "routes": rules}
        for name, rules in (("reviews", REVIEWS), ("ratings", RATINGS))
    ]
    listener = real.listener("shop", hosts, [{"name": FAULTS, "typed_config": FAULT}])
    with real.serving(tmp_path_factory.mktemp("envoy"), [listener], clusters) as proxy:
        yield proxy.ports["shop"]


@pytest.fixture(scope="module")
def session(servers):
    text = SHOP
    for name, listed in LISTED.items():
        text = text.replace(listed, f"127.0.0.1, ports: {{http: {servers[name].port}}}")
    mesh = Mesh.from_settings(import_istio(["shop.yaml"], contents=lambda name: text.encode()).settings)
    with requests.Session() as session:
        session.mount("http://", MeshAdapter(mesh))
        yield session
    mesh.close()


def by_envoy(port, method, name, target, headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, target, headers={"Host": name, **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-served")


def by_mesh(session, method, name, target, headers):
    answer = session.request(method, f"http://{name}{target}", headers=headers)
    return answer.status_code, answer.headers.get("x-served")


def arrived(servers):
    """What has come to which server since it was last asked; any of the three versions, where it may be any."""
    seen = [
        (name, each.method, each.target, tuple(each.headers.get(header) for header in SEEN))
        for name, server in servers.items()
        for each in server.requests
    ]
    for server in servers.values():
        server.requests.clear()
    return seen


def test_two_hundred_requests_go_the_same_way(servers, port, session):
    asked = some_requests(200, random.Random(7))
    ways = set()
    for method, name, target, headers in asked:
        there = by_envoy(port, method, name, target, headers), arrived(servers)
        here = by_mesh(session, method, name, target, headers), arrived(servers)
        anywhere = name == "ratings" and target.partition("?")[0].startswith("/v2")  # all versions, in turn
        if anywhere:
            there, here = ((each[0], [seen[1:] for seen in each[1]]) for each in (there, here))
        assert here == there, (method, name, target, headers)
        ways.add((there[0][0], there[1][0][0] if there[1] else None))
    assert len(asked) == 200
    assert {status for status, _ in ways} == {200, 403, 404, 500, 503}
    assert {name for _, name in ways} >= {"v1", "v2", "v3", "ratings", None}
