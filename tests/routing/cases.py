"""The cases of cases.toml, read once: for the router, and for real clients."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routing import predicates  # noqa: F401 (known by its name from now on)

from meshware.context import RequestContext

GROUPS = tomllib.loads((Path(__file__).parent / "cases.toml").read_text())["group"]

POLICIES = {"timeout": 7.0, "retry": {"attempts": 3}}
"""Of every service, so that what a route says differs from it."""

ENDPOINTS = {
    "inventory": ["10.0.0.1:80", "10.0.0.2:80"],
    "inventory-v2": ["10.0.2.1:80"],
    "pricing": ["10.0.3.1:80"],
    "legacy": ["10.0.4.1:80"],
}
"""Of `inventory` the first is version 1, the second version 2."""


@dataclass
class Case:
    """One request, and what is expected of it."""

    group: str
    routes: list[Any]
    ask: str
    of: str = "inventory"
    to: str = ""
    version: str | None = None
    sends: str = ""
    given: dict[str, str] = field(default_factory=dict)
    arrive: dict[str, str] = field(default_factory=dict)
    wire: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    wire_status: int | None = None
    error: str | None = None
    policy: dict[str, Any] | None = None
    identity: str | None = None
    attributes: dict[str, Any] | None = None
    decoded_by: str = ""

    def __post_init__(self) -> None:
        self.method, self.target = self.ask.split()
        self.to, self.sends = self.to or self.of, self.sends or self.target

    def __str__(self) -> str:
        return f"{self.group}: {self.ask}{f' of {self.of}' if self.of != 'inventory' else ''}"

    def settings(self, endpoints=ENDPOINTS):
        """Of a mesh with this case's routes."""
        services = {name: {"endpoints": list(each), **POLICIES} for name, each in endpoints.items()}
        services["inventory"]["endpoints"] = [
            {"address": each, "metadata": {"version": str(number)}}
            for number, each in enumerate(endpoints["inventory"], 1)
        ]
        return {"locality": "aws/eu-west-1/a", "services": services, "routes": self.routes}

    def context(self):
        """Of the inbound request; None where nothing is said of one."""
        if self.identity is None and self.attributes is None:
            return None
        context = RequestContext(allowance=None)
        context.identity = self.identity
        context.attributes.update(self.attributes or {})
        return context


CASES = [
    Case(group["name"], group["routes"], given=each.pop("with", {}), **each)
    for group in GROUPS
    for each in group["cases"]
]
