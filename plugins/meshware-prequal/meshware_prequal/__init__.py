"""Prequal (Wydrowski et al., "Load is not what you should balance", NSDI 2024) as a strategy for meshware."""

from __future__ import annotations

from meshware_prequal.responder import AsgiProbeResponder, ProbeResponder
from meshware_prequal.strategy import Prequal

__all__ = ["AsgiProbeResponder", "Prequal", "ProbeResponder"]
