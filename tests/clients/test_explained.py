"""Through each client: what is kept of a call is where it went, and what came of it."""

from __future__ import annotations

import pytest

from meshware.mesh import Mesh

CALLS = 80
"""By each of five clients: four hundred in all."""


@pytest.mark.parametrize("strategy", ["adaptive", "c3"])
def test_what_is_kept_is_the_server_that_has_seen_the_request(client_of, upstreams, strategy):
    servers = {each.address: each for each in upstreams}
    services = {"inventory": {"endpoints": list(servers), "strategy": strategy, "ejection": {"enabled": False}}}
    routes = [{"name": "all", "match": {"service": "inventory"}, "timeout": 5.0}]
    mesh = Mesh.from_settings({"services": services, "routes": routes, "explain": {"keep": CALLS}})
    client = client_of(mesh)
    for number in range(CALLS // 2):
        status = 503 if number % 8 == 0 else 200
        answer = client.get(f"http://inventory/status/{status}", headers={"X-Request-Id": str(number)})
        (told,) = mesh.explained(str(number))
        seen = [
            address
            for address, each in servers.items()
            for one in each.requests
            if one.headers["x-request-id"] == str(number)
        ]
        assert sorted(attempt.endpoint for attempt in told.attempts) == sorted(seen)
        assert told.attempts[-1].became.startswith(f"{answer.status_code}: ")
        assert (told.route, told.deadline.by) == ("all", "route")
    assert any(len(each.attempts) == 2 for each in mesh.explained())
    mesh.close()


def test_a_connection_that_is_refused_is_told(client_of, upstreams):
    upstreams[0].stop()
    mesh = Mesh.from_settings(
        {
            "services": {
                "inventory": {"endpoints": [each.address for each in upstreams[:2]], "strategy": "round_robin"}
            },
            "explain": {"keep": 10},
        }
    )
    client = client_of(mesh)
    for _ in range(2):
        assert client.get("http://inventory/status/200").status_code == 200
    refused = [
        each for told in mesh.explained() for each in told.attempts if each.became.startswith("connection refused")
    ]
    assert [each.endpoint for each in refused] == [upstreams[0].address]
    assert refused[0].then.startswith(f"Retry({upstreams[1].address}")
    mesh.close()
