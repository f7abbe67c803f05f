"""A real Envoy believes our load reports: its client_side_weighted_round_robin weighs our servers by them."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from conformance import envoy as real
from frameworks.asgi_servers import uvicorn_serving

from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import Mesh
from meshware.settings.schema import MeshSettings

pytestmark = pytest.mark.skipif(real.BINARY is None, reason=real.WHY)

QUICK = {
    "blackout_period": "0.5s",
    "weight_update_period": "0.5s",
    "error_utilization_penalty": 1.0,  # Envoy documents this as its default, and has 0 where it is not set
}
POLICY = real.balanced("client_side_weighted_round_robin", QUICK)
ALL = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "shop"}}]}


class Shop:
    """An app behind our middleware that takes so many seconds, or fails so often."""

    def __init__(self, name, *, seconds=0.01, fails_every=0, **settings):
        self.name, self.seconds, self.fails_every = name, seconds, fails_every
        self.served = 0
        settings = {"trusted_peers": ["127.0.0.0/8"], "load_reports": "always", **settings}
        self.mesh = Mesh(MeshSettings.model_validate(settings))
        self.door = MeshMiddleware(self, mesh=self.mesh, instrument=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.served += 1
        await asyncio.sleep(self.seconds)
        failed = self.fails_every and self.served % self.fails_every == 0
        start = {"type": "http.response.start", "status": 500 if failed else 200}
        await send(start | {"headers": [(b"x-shop", self.name.encode())]})
        await send({"type": "http.response.body", "body": b""})

    def weight(self):
        """As gRFC A58 and Envoy reckon it from what we report."""
        figures = self.mesh.load.figures(self.mesh.clock())
        return figures.rps / (figures.utilization + figures.eps / figures.rps)


def ask(port, until):
    """Requests one after the other on one connection: who answered how many."""
    seen = Counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        while time.monotonic() < until:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            seen[answer.headers["x-shop"]] += 1
    return seen


def load(port, seconds, callers=4):
    """Who has answered how many of some callers' requests."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(lambda _: ask(port, until), range(callers)), Counter())


@pytest.fixture
def balanced(tmp_path):
    """`balanced(shops)`: the share of the first while Envoy balances, its weights, and those that it should have."""

    def run(*shops):
        with ExitStack() as stack:
            ports = [stack.enter_context(uvicorn_serving(shop.door)) for shop in shops]
            shop = real.cluster("shop", [real.endpoint(each) for each in ports], load_balancing_policy=POLICY)
            proxy = stack.enter_context(real.serving(tmp_path, [real.listener("shop", [ALL])], [shop]))
            load(proxy.ports["shop"], 3.0)  # until all have weights
            seen = load(proxy.ports["shop"], 3.0)
            weights, expected = proxy.weights(), [shop.weight() for shop in shops]
            assert seen.total() > 100
            return seen[shops[0].name] / seen.total(), [weights[port] for port in ports], expected

    return run


def share(weights):
    return weights[0] / sum(weights)


def test_a_server_four_times_as_fast_gets_four_times_as_many(balanced):
    got, weights, expected = balanced(Shop("fast", seconds=0.01), Shop("slow", seconds=0.04))
    assert 0.7 < share(weights) < 0.88
    assert share(weights) == pytest.approx(share(expected), abs=0.05)
    assert got == pytest.approx(share(weights), abs=0.05)


def test_a_server_with_three_times_the_slots_gets_three_times_as_many(balanced):
    got, weights, _ = balanced(Shop("wide", seconds=0.02, slots=12), Shop("narrow", seconds=0.02, slots=4))
    assert share(weights) == pytest.approx(0.75, abs=0.06)
    assert got == pytest.approx(share(weights), abs=0.05)


def test_a_server_that_fails_gets_fewer(balanced):
    sound = Shop("sound", seconds=0.02, slots=4)
    got, weights, expected = balanced(sound, Shop("failing", seconds=0.02, slots=4, fails_every=2))
    assert share(weights) > 0.55
    assert share(weights) == pytest.approx(share(expected), abs=0.08)
    assert got == pytest.approx(share(weights), abs=0.06)


def test_without_reports_all_get_the_same(balanced):
    shops = [Shop("one", seconds=0.01, load_reports="off"), Shop("other", seconds=0.04, load_reports="off")]
    for shop in shops:
        shop.weight = lambda: 1.0
    got, weights, _ = balanced(*shops)
    assert weights == [1, 1]
    assert got == pytest.approx(0.5, abs=0.02)
