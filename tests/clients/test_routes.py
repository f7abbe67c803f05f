"""The routes' cases through real clients, sync and async: what arrives at which server, and what the caller gets."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from clients.calling import NAMES, client
from faults.upstream import in_flight, serving
from routing.cases import CASES, ENDPOINTS

from meshware.context import enter, leave
from meshware.core import errors
from meshware.mesh import Mesh

GROUPS = list(dict.fromkeys(case.group for case in CASES))


@pytest.fixture(scope="module")
def servers():
    """A server for each endpoint of the cases."""
    with serving(ENDPOINTS) as made:
        yield made


@pytest.fixture
def asked(servers):
    """`asked(mesh, client, case)`: what the caller got, and which server saw what."""

    def ask(using, case):
        for each in servers.values():
            for server in each:
                server.requests.clear()
        context = case.context()
        token = None if context is None else enter(context)
        try:
            answer = using.request(case.method, f"http://{case.of}{case.target}", headers=case.given)
        finally:
            if token is not None:
                leave(token)
        seen = [
            (name, number, each)
            for name, some in servers.items()
            for number, server in enumerate(some, 1)
            for each in server.requests
        ]
        return answer, seen

    return ask


@pytest.fixture(params=NAMES)
def kind(request):
    return request.param


@pytest.mark.parametrize("group", GROUPS)
def test_a_client_does_what_the_router_has_decided(kind, group, servers, asked):
    cases = [case for case in CASES if case.group == group and case.decoded_by != kind]
    mesh = Mesh.from_settings(
        cases[0].settings({name: [each.address for each in some] for name, some in servers.items()})
    )
    using = client(kind, mesh)
    try:
        for case in cases:
            with pytest.raises(getattr(errors, case.error)) if case.error else nullcontext():
                check(case, *asked(using, case))
        assert in_flight(mesh) == 0
    finally:
        using.end()
        mesh.close()


def check(case, answer, seen):
    said = str(case)
    assert str(answer.url) == f"http://{case.of}{case.target}", said
    if case.status or case.wire_status:
        assert (answer.status_code, seen) == (case.status or case.wire_status, []), said
        return
    assert answer.status_code == 200, said
    ((name, number, arrived),) = seen
    assert (name, arrived.target) == (case.to, case.sends), said
    assert case.version in (None, str(number)), said
    for header, value in (case.arrive | case.wire).items():
        assert arrived.headers.get(header, "") == value, f"{said}: {header}"
