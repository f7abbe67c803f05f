"""Deadline: one absolute moment (monotonic seconds) that everything below a call inherits."""

from __future__ import annotations

from math import inf


class Deadline:
    """A moment `at`, and whether somebody `chose` it (a default that nobody set ends at the headers)."""

    __slots__ = ("at", "chosen", "timeout")

    def __init__(self, at: float, timeout: float, *, chosen: bool = True) -> None:
        self.at = at
        self.timeout = timeout
        self.chosen = chosen

    @classmethod
    def after(cls, timeout: float, now: float, *, chosen: bool = True) -> Deadline:
        """The moment `timeout` seconds from now."""
        return cls(now + timeout, timeout, chosen=chosen)

    def remaining(self, now: float) -> float:
        """Seconds left; 0.0 when it has passed."""
        return max(0.0, self.at - now)

    def child(self, timeout: float | None, now: float) -> Deadline:
        """The nearer of this one and `timeout` seconds from now: a child never outlives its parent."""
        if timeout is None or now + timeout >= self.at:
            return self
        return Deadline.after(timeout, now)

    def __repr__(self) -> str:
        return f"<Deadline {self.timeout:.3f} s{'' if self.chosen else ' (default)'}>"


NEVER = Deadline(inf, inf, chosen=False)
