"""Deadline: one moment that everything below a call inherits."""

from __future__ import annotations

from meshware.core.deadline import Deadline


def test_what_remains_is_never_negative():
    deadline = Deadline.after(2.0, 10.0)
    assert deadline.remaining(11.5) == 0.5
    assert deadline.remaining(13.0) == 0.0


def test_a_child_never_outlives_its_parent():
    deadline = Deadline.after(2.0, 10.0)
    assert deadline.child(None, 10.0) is deadline
    assert deadline.child(5.0, 10.0) is deadline
    assert deadline.child(0.5, 10.0).at == 10.5


def test_its_repr_tells_a_default_from_a_choice():
    assert repr(Deadline.after(2.0, 10.0)) == "<Deadline 2.000 s>"
    assert repr(Deadline(12.0, 2.0, chosen=False)) == "<Deadline 2.000 s (default)>"
