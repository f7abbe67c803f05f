"""Localities: which group of endpoints a call goes to; the strategy then picks within it, whichever it is.

Between priorities Envoy's arithmetic decides: level i gets what is left, at most its health x 1.4. Within a priority
the nearest level gets all, and under pressure as much moves on as it cannot do (levels.py). Or traffic goes by
locality weight, as in Envoy's locality weighted load balancing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import inf
from typing import NamedTuple

from meshware.balancing.levels import WINDOW, Held, Key, Level, level_of
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import LocalityTurned
from meshware.core.policy import Picker, Strategy
from meshware.core.telling import Pick, Told

TURN = 0.1
"""Seconds after which the shares are worked out anew, by the call that comes then."""

LONGEST = 1.0
"""Seconds that count when no call has come for longer."""


@dataclass(frozen=True, slots=True)
class LocalityOptions:
    """`prefer` the near, go by `weights`, or `off`: all are alike. `hold` in seconds."""

    mode: str = "prefer"
    overprovisioning: float = 1.4
    hold: float = 5.0
    weights: Mapping[str, float] = field(default_factory=dict)


class Group(NamedTuple):
    """A level as it is now: its weight, how much of that may be used, and the picker over it."""

    level: Level
    weight: float
    usable: float
    picker: Picker | None


class Tier(NamedTuple):
    """The groups of one priority, nearest first."""

    held: Held
    groups: Sequence[Group]

    @property
    def health(self) -> float:
        """The share of its weight that may be used."""
        return health(self.groups)


class Localities:
    """A strategy whose pickers are asked group by group. Groups, and what is known of them, last.

    `home`: where we run. `endpoints` gives all of the service, the unusable ones too.
    """

    def __init__(
        self,
        strategy: Strategy,
        options: LocalityOptions,
        *,
        home: Locality,
        service: str,
        endpoints: Callable[[], Sequence[Endpoint]],
        emit: Callable[[object], None],
    ) -> None:
        self.home = home
        self.share: Callable[[Call], float] | None = getattr(strategy, "share", None)  # of a strategy that goes by keys
        self._strategy = strategy
        self._options = options
        self._service = service
        self._endpoints = endpoints
        self._emit = emit
        self._levels: dict[Key, Level] = {}
        self._tiers: dict[int, Held] = {}
        self._turned = self._rate = 0.0
        self.calls = 0

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """The strategy's own where there is one group; else one that draws the group first."""
        if self._options.mode == "off":
            return self._strategy.picker(endpoints)
        if self._alike():
            return self._strategy.picker(endpoints)
        known = self._grouped(self._endpoints())
        self._prune(known)
        if len(known) <= 1:
            return self._strategy.picker(endpoints)
        usable = self._grouped(endpoints)
        groups = [self._group(key, known[key], usable.get(key, ())) for key in known]
        groups.sort(key=lambda each: (*each.level.key[:2], each.level.distance, each.level.key))
        tiers = [
            Tier(self._tiers.setdefault(priority, Held(self._options.hold)), tuple(some))
            for priority, some in groupby(groups, key=lambda each: each.level.key.priority)
        ]
        return LocalitiesPicker(self, tiers)

    def _alike(self) -> bool:
        """Whether there can be but one group: nobody knows where we are, and there is one priority."""
        return (
            self._options.mode == "prefer"
            and not any(self.home)
            and len({each.priority for each in self._endpoints()}) <= 1
        )

    def _prune(self, known: Mapping[Key, object]) -> None:
        """Levels without an endpoint are forgotten: endpoints may move about for ever."""
        for key in self._levels.keys() - known.keys():
            level = self._levels.pop(key)
            for each in self._endpoints():
                each.detach(level)
                each.fleet.pop(level, None)

    def leave(self) -> None:
        """Nobody picks by it any more: its levels are measured no longer."""
        self._prune({})

    def _grouped(self, endpoints: Iterable[Endpoint]) -> dict[Key, list[Endpoint]]:
        groups: dict[Key, list[Endpoint]] = {}
        for each in endpoints:
            groups.setdefault(self._key(each), []).append(each)
        return groups

    def _key(self, endpoint: Endpoint) -> Key:
        if self._options.mode == "weighted":
            return Key(endpoint.priority, 0, endpoint.locality)
        return level_of(endpoint, self.home)

    def _group(self, key: Key, known: Sequence[Endpoint], usable: Sequence[Endpoint]) -> Group:
        level = self._levels.get(key)
        if level is None:
            options = self._options
            level = Level(key, hold=options.hold, overprovisioning=options.overprovisioning, owner=self)
            self._levels[key] = level
        level.take(usable)
        picker = self._strategy.picker(tuple(usable)) if usable else None
        return Group(level, sum(each.weight for each in known), sum(each.weight for each in usable), picker)

    # Each turn

    def shares(self, tiers: Sequence[Tier], now: float) -> list[tuple[float, Picker]]:
        """Who gets how much from now on: pickers, each with the sum of the shares up to it."""
        seconds, self._turned = min(LONGEST, now - self._turned), now
        calls, self.calls = self.calls, 0
        if seconds > 0.0:
            self._rate += (calls / seconds - self._rate) * min(1.0, seconds / WINDOW)
        within = self._weighted if self._options.mode == "weighted" else self._preferred
        healths = [tier.held.see(tier.health, now) for tier in tiers]
        if not any(healths):
            healths = [tier.health for tier in tiers]
        row: list[tuple[float, Picker]] = []
        total = 0.0
        for tier, share in zip(tiers, spread(healths, self._options.overprovisioning), strict=True):
            parts = within(tier.groups, arriving=self._rate * share, now=now, seconds=seconds)
            for group, part in zip(tier.groups, parts, strict=True):
                if group.picker is not None and share * part > 0.0:
                    total += share * part
                    row.append((total, group.picker))
                self._tell(group.level, share * part > 0.0, first=group is tiers[0].groups[0], now=now)
        return row

    def _preferred(self, groups: Sequence[Group], *, arriving: float, now: float, seconds: float) -> list[float]:
        """The nearest gets all that does not leave it, and so on; the last usable one all that is left."""
        for group in groups:
            group.level.settle(now, seconds)
        parts, left = [0.0] * len(groups), 1.0
        last = 0
        for number, group in enumerate(groups):
            onward = groups[min(number + 1, len(groups) - 1)].level
            here = arriving * left
            leaving = group.level.press(onward, health([group]), arriving=here, now=now, seconds=seconds)
            if group.picker is not None:
                parts[number], left, last = left * (1.0 - leaving), left * leaving, number
        parts[last] += left
        return parts

    def _weighted(self, groups: Sequence[Group], *, arriving: float, now: float, seconds: float) -> list[float]:
        """By weight, less where too little of a locality is left; as by no locality when none that is left has any."""
        factor = self._options.overprovisioning
        parts = [
            self._weight_of(each.level.key.place) * min(1.0, factor * each.level.held.see(health([each]), now))
            if each.picker
            else 0.0
            for each in groups
        ]
        if not any(parts):
            parts = [each.usable for each in groups]
        whole = sum(parts) or 1.0
        return [part / whole for part in parts]

    def _weight_of(self, place: Locality) -> float:
        """Of the longest name in `weights` that the locality begins with; 0 for none."""
        parts = str(place).split("/")
        names = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((self._options.weights[name] for name in names if name in self._options.weights), 0.0)

    def _tell(self, level: Level, used: bool, *, first: bool, now: float) -> None:
        if used is not level.used:
            level.used = used
            if not first and self._options.mode == "prefer":
                self._emit(LocalityTurned(self._service, now, level.name, used))


class LocalitiesPicker:
    """Draws the group, then asks its picker. One random number and two comparisons a call."""

    def __init__(self, localities: Localities, tiers: Sequence[Tier]) -> None:
        self._localities = localities
        self._tiers = tiers
        self._all = [group.picker for tier in tiers for group in tier.groups if group.picker is not None]
        self._row: Sequence[tuple[float, Picker]] = ()
        self._first = self._all[0]
        self._due = 0.0

    def pick(self, call: Call) -> Endpoint:
        """What the strategy picks in the group that the call is drawn to."""
        if call.now >= self._due:
            self._turn(call.now)
        if call.tried:
            return self._another(call)
        self._localities.calls += 1
        return self._drawn(call).pick(call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; for an imagined call shares are as they were worked out last, and nothing is counted."""
        told = copy(self)
        if call.imagined:
            told._localities = copy(self._localities)
        elif call.now >= self._due:
            self._turn(call.now)
        seen = {each: Told(each, pick) for each in self._all}
        told._row, told._due = [(edge, seen[picker]) for edge, picker in self._row], inf
        told._all, told._first = list(seen.values()), seen[self._first]
        pick.fact(localities=self._shares())
        return told.pick(call)

    def _shares(self) -> dict[str, float]:
        """What each group gets at present, by its name."""
        names = {group.picker: group.level.name for tier in self._tiers for group in tier.groups}
        edges = [0.0, *(edge for edge, _ in self._row)]
        return {names[picker]: high - low for (low, high), (_, picker) in zip(pairwise(edges), self._row, strict=True)}

    def _drawn(self, call: Call) -> Picker:
        row = self._row
        if len(row) <= 1:
            return self._first
        share = self._localities.share
        point = (call.rng.random() if share is None else share(call)) * row[-1][0]
        for edge, picker in row:
            if point < edge:
                return picker
        return self._first

    def _another(self, call: Call) -> Endpoint:
        """For a retry: elsewhere in its group, or in the next one when that has no other."""
        picker = self._drawn(call)
        for each in (picker, picker, *self._all):
            endpoint = each.pick(call)
            if endpoint not in call.tried:
                break
        return endpoint

    def _turn(self, now: float) -> None:
        self._due = now + TURN
        self._row = self._localities.shares(self._tiers, now)
        self._first = self._row[0][1] if self._row else self._all[0]


def spread(healths: Sequence[float], overprovisioning: float) -> list[float]:
    """Envoy's priority levels: each takes what is left, at most its health x the factor; in all, 1 (0 for none)."""
    left, shares = 1.0, []
    for health in healths:
        shares.append(min(left, health * overprovisioning))
        left -= shares[-1]
    total = sum(shares)
    return [each / total for each in shares] if total else shares


def health(groups: Sequence[Group]) -> float:
    """The share of their weight that may be used."""
    return sum(each.usable for each in groups) / (sum(each.weight for each in groups) or 1.0)
