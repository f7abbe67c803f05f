"""Fleets in simulated time, called by the production mesh: to choose a strategy, and to hold ours to its word."""

from __future__ import annotations

from meshware.testing.simulation.library import built_in, names
from meshware.testing.simulation.run import ORACLE, Simulation
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import Tally
from meshware.testing.simulation.workload import Arrival, workload

__all__ = ["ORACLE", "Arrival", "Scenario", "Simulation", "Tally", "built_in", "names", "workload"]
