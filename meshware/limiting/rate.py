"""Token buckets: so many a second, and so many at once after a rest.

A bucket is filled by the time that has passed when it is next asked, so that nothing has to run meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

KEYS = 4096
"""Callers that have a bucket of their own at a time; who was not heard of for longest gives his up."""


@dataclass(frozen=True, slots=True)
class RateOptions:
    """Requests a second, and at once."""

    rate: float
    burst: int


class TokenBucket:
    """Not thread-safe: called under the lock of who admits."""

    __slots__ = ("_at", "_options", "_tokens")

    def __init__(self, options: RateOptions, now: float) -> None:
        self._options = options
        self._tokens = float(options.burst)
        self._at = now

    def wait(self, now: float) -> float:
        """0.0, with a token taken, or seconds until there is one."""
        due = self.due(now)
        if not due:
            self._tokens -= 1.0
        return due

    def due(self, now: float) -> float:
        """Seconds until there is a token; none is taken."""
        rate, burst = self._options.rate, self._options.burst
        if now > self._at:
            self._tokens = min(burst, self._tokens + (now - self._at) * rate)
            self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rate


def in_words(options: RateOptions, wait: float) -> str:
    """Why a call is refused that must wait so long for a token."""
    return f"rate limit of {options.rate:g} a second, {options.burst} at once; next in {wait:.3f} s"


class Buckets:
    """A bucket for each key, as many as KEYS. Not thread-safe: called under the lock of who admits."""

    def __init__(self, options: RateOptions, keys: int = KEYS) -> None:
        self._options = options
        self._keys = keys
        self._each: dict[str, TokenBucket] = {}  # the one not heard of for longest comes first

    def wait(self, key: str, now: float) -> float:
        """The same of this key's bucket."""
        bucket = self._each.pop(key, None)
        if bucket is None:
            bucket = TokenBucket(self._options, now)
            if len(self._each) >= self._keys:
                del self._each[next(iter(self._each))]
        self._each[key] = bucket
        return bucket.wait(now)

    def __len__(self) -> int:
        return len(self._each)


LONGEST_ADDRESS = 64


def holder(address: str) -> str:
    """Whose address it is, as far as that can be told: of IPv6 one holder has a network of 64 bits."""
    if ":" not in address or len(address) > LONGEST_ADDRESS:
        return address[:LONGEST_ADDRESS]
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return f"{int(found) >> 64:x}::/64"
    return address
