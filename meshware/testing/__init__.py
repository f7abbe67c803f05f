"""What tests of meshware and of its plugins share: a check for each kind of plugin, and fleets in simulated time."""

from __future__ import annotations

from meshware.testing.breakers import check_breaker
from meshware.testing.clients import check_client
from meshware.testing.discoveries import check_discovery
from meshware.testing.frameworks import check_framework
from meshware.testing.injecting import inject
from meshware.testing.observers import check_observer
from meshware.testing.simulation import Scenario, Simulation
from meshware.testing.strategies import check_strategy
from meshware.testing.upstream import FaultyUpstream

__all__ = [
    "FaultyUpstream",
    "Scenario",
    "Simulation",
    "check_breaker",
    "check_client",
    "check_discovery",
    "check_framework",
    "check_observer",
    "check_strategy",
    "inject",
]
