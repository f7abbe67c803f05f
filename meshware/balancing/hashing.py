"""What ring hash and Maglev have in common: a call's key is hashed, and a table says which endpoint that is.

With the same keys and endpoints both pick what Envoy picks: tests/balancing/record_envoy_picks.py asks a real one.
An endpoint that is only away for now keeps its places, and calls pass over them: its keys move and come back, nobody
else's do, and no table is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from math import inf
from typing import NamedTuple

from meshware.balancing.bounded import Bound
from meshware.balancing.key import Key, open_to, reader
from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.errors import MissingExtra
from meshware.core.policy import Picker
from meshware.core.telling import Pick

Hash = Callable[..., int]
Table = Callable[[int, int], Endpoint]
"""The endpoint of a hash; for the second number, from 1 on, another one, as for a retry."""

SHARE_SEED = 2
"""Of the hash that says in which group a key is: another one than those of the tables."""

LEAST = 100
"""Percent of its fair share that a bound must leave an endpoint: with less, calls would have no place."""

TRIES = 32
"""Places of a table that are looked at for an endpoint that this call may go to."""


class Hashing:
    """Base of both. `key`: see balancing/key.py; a call without one goes anywhere.

    `hash_balance_factor`: the most that an endpoint may have in flight, in percent of its fair share, 100 or more;
    None for no limit. Needs the extra `hash`.
    """

    def __init__(self, *, key: object = "path", hash_balance_factor: float | None = None) -> None:
        factor = hash_balance_factor
        number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if factor is not None and not (number and LEAST <= factor < inf):
            raise ValueError(f"hash_balance_factor must be a number of at least {LEAST}, or None, not {factor!r}")
        self._key = reader(key)
        self._factor = factor
        self._made: list[Made] = []  # the tables in use: one, or one for each group of endpoints
        self.hash = xxhash64()

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; a table takes a while to build."""
        total = sum(each.weight for each in endpoints)
        shares = [each.weight / total for each in endpoints]
        bound = None if self._factor is None else Bound(endpoints, shares, self._factor)
        made = next((each for each in self._made if each.serves(endpoints)), None)
        if made is None:
            made = Made({each: each.weight for each in endpoints}, self.table(endpoints, shares))
            others = [each for each in self._made if each.stands() and each.members.keys().isdisjoint(endpoints)]
            self._made = [*others, made]
        whole = made.members.keys() == set(endpoints)  # else others are away, or no part of a route's subset
        only = None if whole else frozenset(endpoints)
        return HashPicker(made.table, endpoints, self._key, self.hash, bound=bound, only=only)

    def share(self, call: Call) -> float:
        """Where the call's key stands between 0 and 1, for who shares out calls among groups of endpoints before."""
        key = self._key(call)
        return call.rng.random() if key is None else self.hash(key, SHARE_SEED) / 2**64

    def table(self, endpoints: Sequence[Endpoint], shares: Sequence[float]) -> Table:
        """The table over endpoints with these shares, which sum to 1."""
        raise NotImplementedError


class Made(NamedTuple):
    """A table, and the endpoints that it was made of, with the weights that they had."""

    members: Mapping[Endpoint, float]
    table: Table

    def serves(self, endpoints: Sequence[Endpoint]) -> bool:
        """Whether it is of these and of others that will be back."""
        return self.members.keys() >= set(endpoints) and self.stands()

    def stands(self) -> bool:
        """Whether all that it was made of are still there, and weigh the same."""
        return all(each.weight == weight and Bar.REMOVED not in each.bars for each, weight in self.members.items())


class HashPicker:
    """One look-up, or a few; immutable, so thread-safe."""

    def __init__(
        self,
        table: Table,
        endpoints: Sequence[Endpoint],
        key: Key,
        hashed: Hash,
        *,
        bound: Bound | None,
        only: frozenset[Endpoint] | None,
    ) -> None:
        self._table = table
        self._endpoints = endpoints
        self._key = key
        self._hash = hashed
        self._bound = bound
        self._only = only

    def pick(self, call: Call, told: Pick | None = None) -> Endpoint:
        """The key's endpoint; where the call may not go there, or it is over its bound, always the same next one."""
        key = self._key(call)
        hashed = int(call.rng.random() * 2**64) if key is None else self._hash(key)
        for attempt in range(TRIES):
            endpoint = self._table(hashed, attempt)
            if (self._only is None or endpoint in self._only) and open_to(endpoint, call):
                break
        else:  # next to none of the table's is there
            endpoint = self._endpoints[hashed % len(self._endpoints)]
        if told is not None:
            told.fact(key=key, hash=hashed, place=attempt)
        return endpoint if self._bound is None else self._bound.within(endpoint, hashed, call, told)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; an imagined call is not counted."""
        picker = self
        if call.imagined:
            picker = copy(self)
            picker._bound = copy(self._bound)
        return picker.pick(call, pick)


def xxhash64() -> Hash:
    """XXH64 of bytes, and of a seed where one is given. Raises MissingExtra where there is no xxhash."""
    try:
        from xxhash import xxh64_intdigest
    except ImportError as error:
        raise MissingExtra("xxhash", "hash") from error
    return xxh64_intdigest
