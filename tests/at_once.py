"""Hands that need no thread: what they are given is done when they get it."""

from __future__ import annotations


class AtOnce:
    """`jobs`: how many they were given; `clock` says when each is done."""

    def __init__(self, clock):
        self._clock, self.jobs = clock, 0

    def give(self, key, work, *, limit, done):
        self.jobs += 1
        try:
            result, error = work(), None
        except Exception as caught:
            result, error = None, caught
        done(result, error, self._clock())
        return True
