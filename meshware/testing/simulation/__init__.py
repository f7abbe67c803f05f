"""Fleets in simulated time, called by the production mesh: to choose a strategy, and to hold ours to its word."""

from __future__ import annotations

from meshware.testing.simulation.draw import drawn
from meshware.testing.simulation.file import InputError, read_scenario
from meshware.testing.simulation.library import built_in, names
from meshware.testing.simulation.run import ORACLE, Simulation
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import Tally
from meshware.testing.simulation.trace import read_trace
from meshware.testing.simulation.workload import Arrival, workload

__all__ = [
    "ORACLE", "Arrival", "InputError", "Scenario", "Simulation", "Tally", "built_in", "drawn", "names",
    "read_scenario", "read_trace", "workload",
]  # fmt: skip
