"""What every test shares: fixed seeds, and no settings of the machine leaking in."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _same_chances() -> None:
    """Every test draws from the same sequence, whichever ran before it."""
    random.seed(1)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy set on this machine must not see loopback calls."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def rng() -> random.Random:
    """Chance with a fixed seed, for whatever takes one."""
    return random.Random(1)
