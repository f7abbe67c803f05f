"""A health check for the workers here: who is ailing is said from outside, and who was asked is known."""

from __future__ import annotations

from typing import Any

ailing: set[str] = set()
asked: list[str] = []


def ask(endpoint: Any) -> bool:
    asked.append(endpoint.address)
    return endpoint.address not in ailing


class AtOnce:
    """Hands that do what they are given at once."""

    def __init__(self, now: float) -> None:
        self.now = now

    def give(self, key: object, work: Any, *, limit: float, done: Any, lesser: bool) -> bool:
        try:
            work()
        except Exception as error:
            done(None, error, self.now)
        else:
            done(None, None, self.now)
        return True
