"""DNS as a discovery for meshware: all A and AAAA records of a name, or what its SRV records say.

RFC 1035, RFC 2782. What was found is valid as long as the least TTL on the way there, aliases included.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from meshware.discovery import Endpoints

LIGHTEST = 0.1
"""The weight of an SRV record of weight 0 beside heavier ones: "a very small chance" (RFC 2782)."""

ABSENT = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)
"""An answer that there is nothing; all else that goes wrong is a failure, and says nothing of the endpoints."""


class Dns:
    """`"discovery": {"dns": {"name": "inventory.internal", "port": 8000}}`; without a port, SRV records give it.

    `family`: 4 or 6 for A or AAAA records only; 0, the default, for both. `nameservers`: addresses, `10.0.0.2` or
    `10.0.0.2:5353`; without them those of the system, whose search domains hold too. `timeout`: seconds for one
    query, over all servers and tries. Raises ValueError for what none of these can be.

    Of SRV records those of the lowest priority are used, in proportion to their weights. The others are there with
    their `endpoint.priority` and weight 0, which takes no calls.
    """

    def __init__(
        self,
        *,
        name: str,
        port: int | None = None,
        family: int = 0,
        nameservers: Sequence[str] = (),
        timeout: float = 2.0,
    ) -> None:
        if not isinstance(name, str) or not name.strip("."):
            raise ValueError(f"name must be a name that DNS knows, not {name!r}")
        if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65_536):
            raise ValueError(f"port must be from 1 to 65535, not {port!r}")
        if family not in (0, 4, 6):
            raise ValueError(f"family must be 4, 6, or 0 for both, not {family!r}")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 3600:
            raise ValueError(f"timeout must be seconds, more than 0, not {timeout!r}")
        self._name, self._port = name, port
        self._types = {0: ("A", "AAAA"), 4: ("A",), 6: ("AAAA",)}[family]
        self._servers = [_nameserver(each) for each in nameservers]
        self._timeout = timeout

    def fetch(self, now: float) -> Endpoints:
        """All endpoints there are now. Raises OSError when no server gives an answer."""
        lookup = _Lookup(self._resolver(), self._types)
        try:
            found = lookup.services(self._name) if self._port is None else lookup.hosts(self._name, self._port)
        except dns.exception.DNSException as error:
            raise OSError(f"{self._name}: {error}") from error
        return Endpoints(found, valid_for=lookup.ttl)

    def _resolver(self) -> dns.resolver.Resolver:
        """Made for each fetch, so that a new resolv.conf is seen."""
        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = list(self._servers)
        resolver.use_search_by_default = not self._servers
        resolver.lifetime = self._timeout
        return resolver


class _Lookup:
    """One fetch: its queries, and the least TTL of their answers."""

    def __init__(self, resolver: dns.resolver.Resolver, types: Sequence[str]) -> None:
        self._resolver, self._types = resolver, types
        self._ttls: list[int] = []

    @property
    def ttl(self) -> float:
        """Seconds for which all of it is valid; where nothing was found, 30."""
        return float(max(1, min(self._ttls, default=30)))

    def hosts(self, name: str, port: int) -> list[dict[str, Any]]:
        return [{"address": address} for address in self._addresses(name, port)]

    def services(self, name: str) -> list[dict[str, Any]]:
        records = [each for each in self._records(name, "SRV") if str(each.target) != "."]  # ".": decidedly not there
        least = min((each.priority for each in records), default=0)
        heavy = any(each.weight for each in records if each.priority == least)
        found: dict[str, dict[str, Any]] = {}
        for each in sorted(records, key=lambda each: each.priority):
            used = each.priority == least
            weight = float(each.weight or (LIGHTEST if heavy else 1)) if used else 0.0
            for address in self._addresses(str(each.target), each.port):
                entry = {"address": address, "weight": weight, "priority": each.priority}
                found.setdefault(address, entry)  # the same twice: its best priority counts
        return list(found.values())

    def _addresses(self, name: str, port: int) -> list[str]:
        found = [each.address for kind in self._types for each in self._records(name, kind)]
        return [f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in dict.fromkeys(found)]

    def _records(self, name: str, kind: str) -> Any:
        try:
            answer = self._resolver.resolve(name, kind)
        except ABSENT:
            return ()
        self._ttls.append(answer.chaining_result.minimum_ttl)
        return tuple(answer)


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    """`10.0.0.2`, `10.0.0.2:5353`, `::1` or `[::1]:5353`."""
    address, port = text, "53"
    if text.startswith("[") or text.count(":") == 1:
        address, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "53")
    try:
        return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(address.strip("[]"))), int(port))
    except ValueError as error:
        raise ValueError(f"nameservers must be addresses, with a port or without, not {text!r}") from error
