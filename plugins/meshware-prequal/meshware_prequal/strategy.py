"""The strategy: for each call a few probes are asked for, and the best of those in hand is picked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshware_prequal.pool import ProbePool
from meshware_prequal.prober import Prober
from meshware_prequal.responder import PATH

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint

HOT = 2**-0.25
"""The quantile above which an endpoint is hot (the paper: 0.84)."""


class Prequal:
    """Prequal (NSDI 2024). The callees answer probes by `ProbeResponder` or `AsgiProbeResponder`.

    `probes`: asked for per call, 3 in the paper. `pool`: probes in hand, 16. `age`: seconds after which one is
    dropped, 1. `uses`: calls that one probe may serve; None: as many as keep the pool filled. `hot`: the quantile of
    requests in flight above which an endpoint is avoided. `timeout`: seconds that a probe may take. Raises ValueError
    for what none of these can be. Without probes in hand (callees that answer none) it picks at random.
    """

    def __init__(
        self,
        *,
        probes: int = 3,
        pool: int = 16,
        age: float = 1.0,
        uses: int | None = None,
        hot: float = HOT,
        timeout: float = 0.1,
        path: str = PATH,
    ) -> None:
        _check(probes=probes, pool=pool, age=age, hot=hot, timeout=timeout, uses=1 if uses is None else uses)
        self._probes = probes
        self._pool_of = pool, age, uses, hot
        self._prober_of = timeout, path

    def picker(self, endpoints: Sequence[Endpoint]) -> PrequalPicker:
        """A picker over these endpoints; what was learned of them stays in the pool."""
        size, age, uses, hot = self._pool_of
        if not hasattr(self, "_pool"):
            self._pool = ProbePool(size=size, age=age, uses=uses or reuse(self._probes, size, len(endpoints)), hot=hot)
            timeout, path = self._prober_of
            self._prober = Prober(self._pool, threads=2, waiting=4 * size, timeout=timeout, path=path)
        picker = PrequalPicker(endpoints, self._pool, self._prober, self._probes)
        self._prober.serve(picker)
        return picker


class PrequalPicker:
    """Thread-safe; asks for probes and never waits for one."""

    def __init__(self, endpoints: Sequence[Endpoint], pool: ProbePool, prober: Prober, probes: int) -> None:
        self.endpoints, self._pool, self._prober = endpoints, pool, prober
        self._members = frozenset(endpoints)  # the pool may have probes of other groups' endpoints, and of those gone
        self._probes = min(probes, len(endpoints))

    def pick(self, call: Call) -> Endpoint:
        """The endpoint of the best probe, or any."""
        endpoints, rng = self.endpoints, call.rng
        for endpoint in _sample(endpoints, self._probes, rng):
            self._prober.ask(endpoint)
        picked: Endpoint | None = self._pool.pick(call.now, self._members)
        self._pool.shrink()
        return endpoints[int(rng.random() * len(endpoints))] if picked is None else picked


def _sample(endpoints: Sequence[Endpoint], count: int, rng: object) -> Sequence[Endpoint]:
    """So many different endpoints, uniformly (Floyd)."""
    if count >= len(endpoints):
        return endpoints
    chosen: set[int] = set()
    for last in range(len(endpoints) - count, len(endpoints)):
        turn = int(rng.random() * (last + 1))  # type: ignore[attr-defined]
        chosen.add(last if turn in chosen else turn)
    return [endpoints[each] for each in chosen]


def reuse(probes: int, pool: int, endpoints: int) -> int:
    """How often a probe may be used: the paper's b_reuse, with delta 1 and one probe removed per call."""
    net = (1 - pool / max(endpoints, pool + 1)) * probes - 1
    return max(1, math.ceil(2 / net)) if net > 0 else 4


def _check(*, probes: int, pool: int, age: float, hot: float, timeout: float, uses: int) -> None:
    for name, value in (("probes", probes), ("uses", uses)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    if isinstance(pool, bool) or not isinstance(pool, int) or pool < 2:
        raise ValueError(f"pool must be a whole number of at least 2, not {pool!r}")
    for name, seconds in (("age", age), ("timeout", timeout)):
        if not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
            raise ValueError(f"{name} must be seconds, more than 0, not {seconds!r}")
    if not (isinstance(hot, int | float) and 0 < hot <= 1):
        raise ValueError(f"hot must be a quantile, more than 0 and at most 1, not {hot!r}")
