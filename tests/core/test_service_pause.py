"""Service: a common pause is nobody's fault; one slow endpoint is its own."""

from __future__ import annotations

import pytest
from world import World


def waiting_world(late):
    """`late[i]`: how many late and how many prompt attempts are open at endpoint i."""
    world = World(3)
    world.succeed(30, elapsed=0.1)
    for endpoint, (slow, prompt) in zip(world.endpoints, late, strict=True):
        for began in [world.now - 5] * slow + [world.now] * prompt:
            endpoint.waiting[object()] = began
    return world


@pytest.mark.parametrize(
    ("late", "paused"),
    [
        ([(2, 0), (2, 0), (2, 0)], True),
        ([(2, 0), (2, 0), (0, 0)], True),
        ([(4, 0), (0, 0), (0, 0)], False),  # one slow endpoint
        ([(4, 0), (0, 1), (0, 1)], False),
        ([(1, 2), (1, 2), (1, 2)], False),  # most are prompt
        ([(0, 0), (0, 0), (0, 0)], False),
    ],
)
def test_a_pause_is_common_when_most_attempts_at_most_endpoints_are_late(late, paused):
    world = waiting_world(late)
    assert world.service.paused(world.now) is paused


def test_before_the_pace_is_known_nothing_is_a_pause():
    world = World()
    world.call().begin(world.now)
    assert not world.service.paused(world.now + 60)
