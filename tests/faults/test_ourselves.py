"""One function of the policy rooms after another is made to raise: calls go on, slots come back, one line says so."""

from __future__ import annotations

from itertools import cycle, product

import pytest
import requests
from faults.breaking_in import ROOMS, broken, used, watching
from faults.life import Life
from faults.upstream import in_flight
from soaking import some_now

from meshware.outbound.requests import MeshAdapter

pytestmark = pytest.mark.untraced

LEAST = {"balancing": 20, "breaking": 20, "retrying": 10, "limiting": 5, "health": 5}
"""Functions of a room that calls use, at the least: were it fewer, nobody would have watched them."""


def by_requests(mesh):
    session = requests.Session()
    session.mount("http://", MeshAdapter(mesh))
    return session


def by_httpx2(mesh):
    import httpx2

    from meshware.outbound.httpx2 import MeshTransport

    return httpx2.Client(transport=MeshTransport(mesh))


CLIENTS = {"requests": by_requests, "httpx2": by_httpx2}


@pytest.fixture
def lives(client, upstreams):
    """Makes lives of this client, one at a time."""
    for server in upstreams:
        for path in ("status", "short", "hole"):
            server.answers[path] = server.answers["ok"]
    made = []

    def make():
        for life in made[-1:]:
            life.end()
        made.append(Life(CLIENTS[client], upstreams))
        return made[-1]

    yield make
    for life in made[-1:]:
        life.end()


def policy(line):
    """Which of the policies a line is about: each may have one."""
    return line.partition(" failed, ")[0]


def problems(life, place):
    """What is wrong with a life in which one function is broken."""
    with broken(place) as raised:
        life.live()
    life.good(3)
    found = [f"{place.label}: {each}" for each in life.wrong]
    if in_flight(life.mesh):
        found.append(f"{place.label}: {in_flight(life.mesh)} in flight")
    told = [line for line in life.log.lines if "Broken" in line]
    if bool(raised) is not bool(told) or len(set(map(policy, told))) < len(told):
        found.append(f"{place.label}: {len(raised)} failures, {len(told)} lines: {told[:3]}")
    return found


@pytest.mark.parametrize(("client", "room"), some_now(product(CLIENTS, ROOMS), now=zip(cycle(CLIENTS), ROOMS)))
def test_whichever_of_our_functions_raises_calls_go_on_and_slots_come_back(lives, room):
    life = lives()
    with watching() as seen:
        life.live()
    assert life.wrong == []
    found, tried = [], used(room, seen)
    for place in tried:
        found += problems(lives(), place)
    assert found == []
    assert len(tried) >= LEAST[room]
