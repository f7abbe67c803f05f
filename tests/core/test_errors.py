"""Errors: each says whose fault it is, the limit, and the setting to change; and each can be pickled."""

from __future__ import annotations

import pickle

import pytest

from meshware.core import errors
from meshware.core.errors import MeshError, Problem, SettingsError

MADE = [
    (errors.DeadlineExceeded("inventory", 2.0, 1), "deadline of 2.000 s exceeded, 1 attempt(s) sent"),
    (
        errors.DeadlineExceeded("inventory", 2.0, 2, attempt_timeout=0.3, most=3),
        "attempt 2 of 3 had no answer within 0.300 s, and none followed (settings: services.inventory.attempt_timeout",
    ),
    (errors.DeadlineExceeded("inventory", 2.0, 0), "services.inventory.timeout"),
    (errors.NoEndpoint("inventory", {"a:1": "ejected"}), "inventory: no available endpoint (a:1: ejected)"),
    (errors.NoEndpoint("inventory", {}), "it has none"),
    (errors.CircuitOpen("inventory", 10.0, 1.5), "next trial in 1.5 s"),
    (errors.Overloaded("inventory", "no room"), "refused by the limiter (no room)"),
    (errors.InsecureService("inventory"), "services.inventory.tls"),
    (errors.MissingExtra("redis", "redis"), 'pip install "meshware[redis]"'),
    (errors.PluginError("no such"), "no such"),
    (errors.BadHeader("a value with CR"), "a value with CR"),
    (
        SettingsError([Problem("services.a", 1, "a dict", "services")]),
        "services.a: 1: a dict; did you mean 'services'?",
    ),
]


@pytest.mark.parametrize(("error", "said"), MADE, ids=lambda each: type(each).__name__)
def test_an_error_says_what_to_do(error, said):
    assert said in str(error)
    assert isinstance(error, MeshError)


@pytest.mark.parametrize("error", [error for error, _ in MADE], ids=lambda each: type(each).__name__)
def test_an_error_survives_pickling_with_all_that_it_knows(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_every_error_is_among_those_tested():
    tree = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MeshError)}
    assert tree == {MeshError} | {type(error) for error, _ in MADE}


def test_a_problem_shows_at_least_the_type_of_what_cannot_be_printed():
    assert str(Problem("x", 10**5000, "less")) == "x: <int>: less"


def test_a_problem_cuts_a_long_value_short():
    assert len(str(Problem("x", "y" * 1000, "less"))) < 120


def test_a_problem_of_the_whole_says_so():
    assert str(Problem("", 1, "a dict")) == "(settings): 1: a dict"


def test_a_problem_says_where_it_was_written():
    assert str(Problem("a.b", 1, "a dict", where="mesh.yaml:7")) == "mesh.yaml:7: a.b: 1: a dict"
