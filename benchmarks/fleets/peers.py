"""The proxies that meshware is compared with: Envoy, HAProxy and nginx, found on this machine, each with its settings.

Each has one worker, as a sidecar has. Their settings are ours, tuned to no scenario: checks or outlier detection,
retries elsewhere, half a second for a try.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

Address = tuple[str, int]
TRY = "0.5s"
STARTUP = 20.0
"""Seconds that a proxy may take to be ready."""


class Peer(NamedTuple):
    """A proxy: its program, the file it is configured by, and how it is started with it."""

    program: str
    config: Callable[[int, Sequence[Address], Path], str]
    command: Callable[[str, Path], list[str]]


def found(program: str) -> str | None:
    """Where it is, if it is installed; an environment variable such as MESHWARE_ENVOY says it first."""
    said = os.environ.get(f"MESHWARE_{program.upper()}")
    return said or shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def version(program: str) -> str:
    """What it says of itself."""
    binary = found(program)
    if binary is None:
        return "not installed"
    asked = subprocess.run(
        [binary, "-v" if program != "envoy" else "--version"], capture_output=True, text=True, check=False
    )
    said = (asked.stdout or asked.stderr).strip().splitlines()[-1 if program == "envoy" else 0]
    return said.split("/")[-4] if program == "envoy" else said


class Running(NamedTuple):
    """A proxy that is up."""

    address: Address
    pid: int


@contextmanager
def running(peer: Peer, port: int, replicas: Sequence[Address]) -> Iterator[Running]:
    """The proxy in front of these replicas, until the block ends. Raises RuntimeError with what it wrote."""
    binary = found(peer.program)
    assert binary is not None
    with tempfile.TemporaryDirectory() as directory:
        config, wrote = Path(directory) / "config", Path(directory) / "wrote"
        config.write_text(peer.config(port, replicas, Path(directory)))
        with wrote.open("wb") as log:
            process = subprocess.Popen(peer.command(binary, config), stdout=log, stderr=log)
        try:
            ready(process, port, wrote)
            yield Running(("127.0.0.1", port), process.pid)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, since nginx has to end its worker; kill it when it does not."""
    process.terminate()
    try:
        process.wait(3.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ready(process: subprocess.Popen[bytes], port: int, wrote: Path) -> None:
    """Wait until it lets a request through."""
    until = time.monotonic() + STARTUP
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0) as sock:
                sock.sendall(b"GET /health HTTP/1.1\r\nhost: fleet\r\nconnection: close\r\n\r\n")
                if sock.recv(12) == b"HTTP/1.1 200":
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"it did not start: {wrote.read_text()[-2000:]}")


# Envoy


def envoy(port: int, replicas: Sequence[Address], *, careful: bool) -> dict[str, Any]:
    """Its bootstrap."""
    hosts = [{"endpoint": {"address": _socket(each)}} for each in replicas]
    cluster = {
        "name": "fleet",
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "0.25s",
        "load_assignment": {"cluster_name": "fleet", "endpoints": [{"lb_endpoints": hosts}]},
        "circuit_breakers": {"thresholds": [_unlimited() | ({"retry_budget": _budget()} if careful else {})]},
    }
    route: dict[str, Any] = {"cluster": "fleet", "timeout": "3s"}
    if careful:
        cluster["outlier_detection"] = {
            "consecutive_5xx": 5,
            "consecutive_gateway_failure": 5,
            "interval": "1s",
            "base_ejection_time": "1s",
            "max_ejection_percent": 50,
            "success_rate_minimum_hosts": 3,
            "success_rate_request_volume": 20,
        }
        route["retry_policy"] = {
            "retry_on": "5xx,reset,connect-failure,retriable-4xx",
            "num_retries": 2,
            "per_try_timeout": TRY,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/"
                        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": 5,
        }
    types = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
        },
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
        ],
    }
    listener = {
        "address": _socket(("127.0.0.1", port)),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def _unlimited() -> dict[str, Any]:
    limits = ("max_connections", "max_pending_requests", "max_requests")
    return dict.fromkeys(limits, 100_000)


def _budget() -> dict[str, Any]:
    return {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 3}


def _envoy(*, careful: bool) -> Peer:
    return Peer(
        "envoy",
        lambda port, replicas, _: json.dumps(envoy(port, replicas, careful=careful)),
        lambda binary, config: [
            *(binary, "-c", str(config), "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"),
            *("--disable-hot-restart",),
        ],
    )


# HAProxy


def haproxy(port: int, replicas: Sequence[Address], _: Path) -> str:
    """Its configuration: leastconn, checks, retries elsewhere."""
    servers = "\n".join(f"    server r{number} {host}:{port}" for number, (host, port) in enumerate(replicas))
    return f"""
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout client 10s
    timeout connect 250ms
    timeout server 500ms
    timeout queue 3s
    retries 2
    retry-on conn-failure empty-response response-timeout 500 502 503 504
    option redispatch 1
    option http-keep-alive
    http-reuse always
frontend in
    bind 127.0.0.1:{port}
    default_backend fleet
backend fleet
    balance leastconn
    option httpchk GET /health
    default-server check inter 500ms fall 2 rise 2 observe layer7 error-limit 5 on-error mark-down maxconn 1000
{servers}
"""


# nginx


def nginx(port: int, replicas: Sequence[Address], directory: Path) -> str:
    """Its configuration: least_conn, passive checks, the next upstream."""
    servers = "\n".join(f"        server {host}:{port} max_fails=3 fail_timeout=1s;" for host, port in replicas)
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
{temporary}
    keepalive_requests 1000000;
    upstream fleet {{
        least_conn;
{servers}
        keepalive 256;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://fleet;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 250ms;
            proxy_read_timeout 500ms;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
            proxy_next_upstream_tries 3;
            proxy_next_upstream_timeout 3s;
        }}
    }}
}}
"""


PEERS: dict[str, Peer] = {
    "Envoy, careful": _envoy(careful=True),
    "Envoy, plain": _envoy(careful=False),
    "HAProxy": Peer("haproxy", haproxy, lambda binary, config: [binary, "-db", "-f", str(config)]),
    "nginx": Peer("nginx", nginx, lambda binary, config: [binary, "-p", str(config.parent), "-c", str(config)]),
}
