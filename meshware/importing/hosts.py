"""Hosts: what Istio's rules speak of, as services of ours: one for each port, and one for each subset that is used.

As in Istio a subset is a cluster of its own, with its own endpoints and policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from meshware.importing.place import Place
from meshware.settings.grammar import service_name
from meshware.settings.sections.endpoints import EndpointSettings

PLAIN = (80, 443)
"""Ports that a name need not say."""

CLUSTER = ".svc.cluster.local"

Policy = Callable[[int, str], dict[str, Any]]
"""Of a host's port and subset ("" for none): settings of a service."""


@dataclass(slots=True)
class Port:
    """One port of a host."""

    number: int
    name: str = ""
    target: int = 0
    tls: bool = False


@dataclass(slots=True)
class Host:
    """A host as the documents speak of it, under the name by which they do so first."""

    name: str
    full: str
    place: Place
    ports: dict[int, Port] = field(default_factory=dict)
    listed: list[Place] = field(default_factory=list)
    entry: Place | None = None
    subsets: dict[str, Place] = field(default_factory=dict)
    rule: Place | None = None
    policy: Policy = lambda port, subset: {}

    def called(self, port: int, subset: str = "") -> str:
        """The name of the service for a port and a subset."""
        alone = port in PLAIN and sum(each in PLAIN for each in self.ports) == 1
        return (f"{subset}." if subset else "") + (self.name if alone else f"{self.name}:{port}")

    def port(self, wanted: int = 0, asked: int = 0) -> int:
        """The port that a rule means: the one it says, the only one, or that of the call."""
        if wanted or len(self.ports) != 1:
            return wanted or (asked if asked in self.ports else min(self.ports))
        return next(iter(self.ports))


class Hosts:
    """All of them, by their full names, and which subsets of which ports are used."""

    def __init__(self) -> None:
        self._found: dict[str, Host] = {}
        self._used: dict[tuple[str, int, str], None] = {}
        self.origin: dict[str, Place] = {}
        """By the names of services: where their policies are from."""

    def find(self, place: Place) -> Host | None:
        """The host that a text names; None for what is no service's name, such as a wildcard."""
        said = place.text().lower().rstrip(".")
        try:
            service_name(said)
        except ValueError as error:
            if said:
                place.left(str(error))
            return None
        full = said if "." in said else f"{said}.{place.document.namespace}{CLUSTER}"
        return self._found.setdefault(full, Host(said, full, place))

    def service(self, place: Place, namespace: str = "") -> Host:
        """The Service that the Gateway API names."""
        said, here = place.text().lower(), place.document.namespace
        full = f"{said}.{namespace or here}{CLUSTER}"
        try:
            service_name(full)
        except ValueError as error:
            place.refuse(str(error))
        return self._found.setdefault(full, Host(said if namespace in ("", here) else full, full, place))

    def mention(self, host: Host, port: int, subset: str, place: Place) -> None:
        """A rule leads there; a host without a ServiceEntry has the ports that rules speak of."""
        if not port and host.entry is not None and not host.ports:
            port = PLAIN[0]
        if port and port not in host.ports:
            if host.entry is not None:
                place.left(f"{host.name} has no port {port} in its ServiceEntry")
            host.ports[port] = Port(port)
        if subset:
            self._used[host.full, port, subset] = None

    def settle(self) -> None:
        """All is read: who has no port has the plain one."""
        for host in self._found.values():
            if not host.ports and host.entry is None:
                host.ports[PLAIN[0]] = Port(PLAIN[0])

    def services(self) -> dict[str, Any]:
        """Settings of all services: of each port, and of the subsets that are used."""
        made = {}
        for host in self._found.values():
            wanted = [(port, "") for port in host.ports]
            for full, said, subset in self._used:
                if full == host.full:
                    wanted += [(port, subset) for port in ([said] if said else host.ports)]
            for port, subset in wanted:
                tls: dict[str, Any] = {"tls": {}} if host.ports[port].tls else {}
                settings = tls | host.policy(port, subset)
                name = host.called(port, subset)
                made[name] = {"endpoints": endpoints(host, host.ports[port], subset), **settings}
                self.origin[name] = host.rule or host.place
        return made


def endpoints(host: Host, port: Port, subset: str) -> list[Any]:
    """Those of one port, of a subset if there is one."""
    labels = _labels(host.subsets[subset]) if subset in host.subsets else {}
    listed = [each for each in host.listed if labels.items() <= _labels(each).items()]
    if not listed and subset:
        what = f"subset {subset!r} of {host.name}: no endpoint with its labels is known; "
        place = host.subsets.get(subset, host.place)
        place.left(what + "all of the host's stand for it (a ServiceEntry with `endpoints` would list them)")
    found = [_endpoint(each, port) for each in listed or host.listed]
    return [each for each in found if each is not None] or [f"{host.full}:{port.target or port.number}"]


def _labels(place: Place) -> dict[str, str]:
    return {name: each.text() for name, each in place["labels"].items()}


def _endpoint(place: Place, port: Port) -> Any:
    address = place["address"].text()
    if address.startswith("unix:"):
        place["address"].left("no sockets of files")
        return None
    number = place["ports"][port.name].port() if port.name else 0
    known = {
        "address": f"{f'[{address}]' if ':' in address else address}:{number or port.target or port.number}",
        "weight": place["weight"].whole(),
        "locality": place["locality"].text(),
        "metadata": _labels(place),
    }
    said = {key: value for key, value in known.items() if value}
    try:
        EndpointSettings.read(said)
    except ValueError as error:
        place.refuse(str(error))
    return said["address"] if len(said) == 1 else said


def read_entry(spec: Place, hosts: Hosts) -> None:
    """A ServiceEntry: where its hosts are."""
    for each in spec["hosts"]:
        host = hosts.find(each)
        if host is None:
            continue
        host.entry = spec
        host.listed += [] if spec["resolution"].text() == "NONE" else list(spec["endpoints"])
        for port in spec["ports"]:
            _read_port(port, host)
        if not list(spec["ports"]):
            spec["ports"].refuse("at least one port")


HTTP = ("", "HTTP", "HTTP2", "GRPC", "GRPC-WEB")
TLS = ("HTTPS", "TLS")


def _read_port(place: Place, host: Host) -> None:
    protocol = place["protocol"].text().upper()
    if protocol not in HTTP + TLS:
        place["protocol"].left("HTTP only")
        return
    number = place["number"].port()
    if not place["number"]:
        place.refuse("a `number`")
    host.ports[number] = Port(number, place["name"].text(), place["targetPort"].port(), protocol in TLS)
