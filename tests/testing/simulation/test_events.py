"""The simulation's time."""

from __future__ import annotations

from meshware.testing.simulation.events import Events


def test_what_will_happen_happens_in_order_of_time_and_then_of_planning():
    events, seen = Events(), []
    for time, name in [(2.0, "late"), (1.0, "first"), (1.0, "second"), (9.0, "never")]:
        events.at(time, lambda name: seen.append((events.now, name)), name)
    events.run(5.0)
    assert seen == [(1.0, "first"), (1.0, "second"), (2.0, "late")]
    assert events.now == 5.0


def test_a_deed_may_plan_another_and_what_is_past_happens_at_once():
    events, seen = Events(3.0), []
    events.at(4.0, lambda: events.at(1.0, lambda: seen.append(events.now)))
    events.run(4.0)
    assert seen == [4.0]
