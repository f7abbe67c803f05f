"""A real Envoy with the same routes does what the cases of tests/routing say of ours: server, path, headers, status."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from conformance import envoy as real
from conformance import routes
from faults.upstream import serving
from routing.cases import CASES, ENDPOINTS

GROUPS = list({case.group: case for case in CASES}.values())

ONLY_HERE = {
    "caller identity": "who made the inbound request is nothing that Envoy's routes look at",
    "locality": "Envoy's own locality is nothing that its routes look at",
    "time window": "Envoy's routes know no time",
    "predicate": "a function of the app",
    "sticky split": "Envoy hashes otherwise: a user stays where he is, but elsewhere",
    "policies: GET /alone": "Envoy does not hedge after a multiple of the p95",
    "policies: GET /late": "Envoy does not hedge after a multiple of the p95",
    "host rewrite: GET /host, with its own Host": "Envoy knows the Host header only, not the URL that was asked",
}
"""Groups, or cases of one, that no configuration of Envoy can say, and why."""

OTHERWISE = {
    "prefix rewrite: GET /v2/items": "Envoy leaves both slashes: //items",
    "redirect: GET /inventory/other of legacy": "the same: //other",
    "redirect: GET /inventory/items of legacy": "the same: //items, for which the next route is not",
}
"""Where ours differs on purpose (docs/routing.md), and how Envoy does it."""


def named(case):
    return f"{case}, with its own Host" if "host" in case.given else str(case)


def reason(case):
    return ONLY_HERE.get(case.group) or ONLY_HERE.get(named(case))


def parameter(case):
    marks = []
    if reason(case) is not None:
        marks.append(pytest.mark.skip(reason=f"{named(case)}: {reason(case)}"))
    elif named(case) in OTHERWISE:
        marks.append(pytest.mark.xfail(strict=True, raises=AssertionError, reason=OTHERWISE[named(case)]))
    return pytest.param(case, id=named(case), marks=marks)


@pytest.fixture(scope="module")
def servers():
    """For each endpoint of the cases one; those of a service in their order."""
    with serving(ENDPOINTS) as made:
        yield made


@pytest.fixture(scope="module")
def ports(servers, tmp_path_factory):
    """Where one Envoy serves the routes of each group."""
    said = {case.group: case.settings() for case in GROUPS if case.group not in ONLY_HERE}
    listeners = [each for group, settings in said.items() for each in routes.listeners(group, settings)]
    clusters = [
        each
        for name, some in servers.items()
        for each in routes.clusters(name, [(server.port, {"version": str(n)}) for n, server in enumerate(some, 1)])
    ]
    clusters += [routes.again(group) for group, settings in said.items() if "redirect" in str(settings["routes"])]
    with real.serving(tmp_path_factory.mktemp("envoy"), listeners, clusters, **routes.INTERNAL) as proxy:
        yield proxy.ports


def ask(port, case):
    """The status that a caller of Envoy gets."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.putrequest(case.method, case.target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": case.of, "User-Agent": "x", **case.given}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status


@pytest.fixture
def asked(servers, ports):
    """`asked(case)`: the status, and which server saw what."""

    def run(case):
        for each in servers.values():
            for server in each:
                server.requests.clear()
        status = ask(ports[case.group], case)
        return status, [
            (name, str(version), each)
            for name, some in servers.items()
            for version, server in enumerate(some, 1)
            for each in server.requests
        ]

    return run


@pytest.mark.skipif(real.BINARY is None, reason=real.WHY)
@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_envoy_does_the_same(case, asked):
    status, seen = asked(case)
    unsent = 503 if case.error else case.status or case.wire_status
    if unsent is not None:
        assert (status, seen) == (unsent, [])
        return
    assert status == 200
    ((name, version, arrived),) = seen
    assert (name, arrived.target) == (case.to, case.sends)
    assert case.version in (None, version)
    wanted = case.arrive | case.wire
    assert {header: arrived.headers.get(header, "") for header in wanted} == wanted


POLICIES = [case for case in CASES if case.policy is not None]


@pytest.mark.skipif(real.BINARY is None, reason=real.WHY)
@pytest.mark.parametrize("case", [parameter(case) for case in POLICIES])
def test_envoy_tries_as_often_and_waits_as_long(case, asked, servers):
    for server in servers["inventory"]:
        server.turn("503")
    try:
        status, seen = asked(case)
        assert (status, len(seen)) == (503, case.policy["attempts"])
        if case.policy["timeout"] < 1:
            for server in servers["inventory"]:
                server.turn("hole")
            assert asked(case)[0] == 504
    finally:
        for server in servers["inventory"]:
            server.heal()


def test_few_cases_are_beyond_envoy():
    """A fifth at most; and what is listed is there."""
    beyond = [case for case in CASES if reason(case) is not None]
    assert len(beyond) <= len(CASES) / 5
    names = {name for case in CASES for name in (case.group, named(case))}
    assert ONLY_HERE.keys() | OTHERWISE.keys() <= names
