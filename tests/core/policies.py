"""Policies that do as they are told, and an ear for every hook."""

from __future__ import annotations

from world import World


class Hedging:
    """Hedges each call after a fixed time."""

    def __init__(self, after=0.05):
        self.after = after

    def delay(self, call, now):
        return self.after

    def take(self):
        return True

    def give_back(self):
        pass


class Limiter:
    """Lets so many calls in at a time."""

    def __init__(self, room):
        self.room = room
        self.released = []

    def acquire(self, call, now):
        if not self.room:
            return "no room"
        self.room -= 1
        return None

    def release(self, call, outcome, now):
        self.room += 1
        self.released.append(None if outcome is None else outcome.verdict)


class Recorder:
    """Hears every hook."""

    def __init__(self, service):
        self.heard = []
        for hook in ("on_begin", "on_answer", "on_end", "on_abandon", "on_done"):
            setattr(service, hook, (self._hear(hook),))

    def _hear(self, hook):
        return lambda *facts: self.heard.append((hook, facts))

    def names(self):
        return [hook for hook, _ in self.heard]


def hedged_world(**settings):
    """A world in which every call may hedge."""
    world = World(**settings)
    world.service.hedging = Hedging()
    return world
