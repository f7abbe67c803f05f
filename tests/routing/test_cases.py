"""The cases as the router decides them: whose endpoints, which path, which headers, by which policies."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from routing.cases import CASES, GROUPS

from meshware.assembly.services import assemble
from meshware.core import errors
from meshware.core.call import Call
from meshware.core.request import Request
from meshware.settings.schema import MeshSettings


def assembled(settings, **facts):
    model = MeshSettings.model_validate(settings)
    return assemble(model, {}, rng=random.Random(1), emit=lambda event: None, now=0.0, **facts)


def decided(case):
    """The call as a door would have it."""
    services = assembled(case.settings())
    path, _, query = case.target.partition("?")
    service = services[case.of]
    request = Request(
        case.method, case.of, path, {name.lower(): value for name, value in case.given.items()}, query=query
    )
    plan = None
    if service.routes is not None:
        service, request, plan = service.routes.route(service, request, case.context(), 0.0)
    return Call(service, request, plan=plan)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_router_decides_as_the_case_says(case):
    call = decided(case)
    assert (call.service.name, call.request.target) == (case.to, case.sends)
    assert call.request.authority == case.to
    edits = {} if call.plan.edits is None else call.plan.edits.of({**case.given, "x-gone": "1", "user-agent": "x"})
    said = {"x-gone": "1", **case.given} | {name: value or "" for name, value in edits.items()}
    assert {name: said.get(name, "") for name in case.arrive} == case.arrive
    reply = call.plan.reply
    assert (None if reply is None else reply.status) == case.status
    if case.policy is not None:
        hedges = call.plan.hedging is not None
        policy = {"timeout": call.plan.timeout, "attempts": call.plan.retry.attempts, "hedges": hedges}
        assert policy == case.policy


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_endpoint_is_picked_where_the_case_says(case):
    call = decided(case)
    if case.error is not None:
        with pytest.raises(getattr(errors, case.error)):
            call.begin(0.0)
        return
    endpoint = call.begin(0.0).endpoint
    assert endpoint in call.service.endpoints
    if case.version is not None:
        assert endpoint.metadata["version"] == case.version


def test_there_are_as_many_cases_as_were_asked_for():
    rows = Counter()
    for group in GROUPS:
        rows[group["row"]] += len(group["cases"])
    assert len(CASES) >= 120
    assert {row: count for row, count in rows.items() if count < 3} == {}
