"""From settings to what a process has once: what it takes on, and what it shares with the other workers of its host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from meshware.core.criticality import Criticality
from meshware.core.policy import Rng
from meshware.core.service import Service
from meshware.limiting.admission import Admission, AdmissionOptions, Rate
from meshware.limiting.concurrency import LimitOptions
from meshware.limiting.queue_age import QueueOptions
from meshware.limiting.rate import RateOptions
from meshware.settings.schema import MeshSettings

if TYPE_CHECKING:
    from meshware.health.load import Load
    from meshware.routing.recent import Counts
    from meshware.routing.shift import Shift
    from meshware.sharing.board import Board
    from meshware.sharing.shifts import Ledger
    from meshware.shifting import Shifting


def admission(settings: MeshSettings, *, rng: Rng) -> Admission | None:
    """Which requests are taken on; None: all."""
    inbound = settings.inbound
    kind, queue = inbound.limit.kind, inbound.queue
    options = AdmissionOptions(
        kind=None if kind == "off" else kind,
        limit=LimitOptions(**inbound.limit.model_dump(exclude={"kind"})),
        queue=QueueOptions(queue.target, queue.interval) if queue.enabled else None,
        feasible=inbound.feasible,
        rates=tuple(
            Rate(RateOptions(each.rate, each.burst), each.prefix, each.by == "caller") for each in inbound.rate_limits
        ),
        prefixes={prefix: Criticality(each) for prefix, each in inbound.criticality.items()},
        exempt=inbound.exempt,
    )
    return None if options == AdmissionOptions(feasible=False, exempt=inbound.exempt) else Admission(options, rng=rng)


def board(
    settings: MeshSettings,
    *,
    services: Callable[[], Iterable[Service]],
    shifts: Callable[[], Iterable[Shift]],
    serves: Load,
    emit: Callable[[object], None],
) -> Board | None:
    """What the workers of this host that have these settings share; None: nothing. Joined at the first call."""
    if not settings.service or not settings.board.enabled:
        return None
    try:
        from meshware.sharing.board import Board
    except ImportError:  # a system without record locks
        return None
    return Board(
        service=settings.service,
        environment=settings.environment,
        fingerprint=settings.in_full,
        chosen=settings.board.directory,
        services=services,
        shifts=shifts,
        serves=serves,
        emit=emit,
    )


def shifting(
    settings: MeshSettings,
    services: Mapping[str, Service],
    *,
    clock: Callable[[], float],
    failed: Callable[[Exception], None],
) -> Shifting | None:
    """What keeps the shifts of these services going; None where there are none."""
    shifts = [shift for each in services.values() if each.routes is not None for shift in each.routes.shifts]
    if not shifts:
        return None
    from meshware.shifting import Shifting

    return Shifting(shifts, ledger=ledger(settings), clock=clock, failed=failed)


def ledger(settings: MeshSettings) -> Ledger | None:
    """Where the workers of this host write down where their shifts stand; None: nowhere."""
    if not settings.service or not settings.board.enabled:
        return None
    try:
        from meshware.sharing.shifts import Ledger
    except ImportError:  # a system without record locks
        return None
    return Ledger(settings.service, settings.environment, settings.board.directory)


def shift_counts(settings: MeshSettings, epochs: Mapping[str, str]) -> dict[str, Counts]:
    """What the workers of this host that have these settings have counted of shifts in these epochs; none: no board."""
    from meshware.routing.recent import Counts
    from meshware.sharing.directory import board
    from meshware.sharing.watch import counted

    named = settings.service, settings.environment
    path, identity = board(*named, settings.in_full(), settings.board.directory)
    return {name: Counts(*each) for name, each in counted(path, identity, epochs).items()}
