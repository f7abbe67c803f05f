"""A library's function does what it did, but for the names that others stand for."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from meshware.outbound.verbatim import late, verbatim

LIMIT = 3


class Base:
    def said(self, word, *, times=2):
        return word * times


class Library(Base):
    def said(self, word="a", *, times=LIMIT):
        return f"{super().said(word, times=times)}/{LIMIT}"


class Ours(Library):
    said = verbatim(Library.said, LIMIT=4)


def test_only_the_names_given_are_others():
    assert Library().said() == "aaa/3"
    assert Ours().said() == "aaa/4"
    assert Ours().said("b", times=1) == "b/4"


def test_what_is_no_function_is_left_as_it_is():
    assert verbatim(len, LIMIT=4) is len


class Mapped(Exception):
    pass


@contextmanager
def mapping(*kinds):
    entered.append(kinds)
    try:
        yield
    except kinds as error:
        raise Mapped from error


entered = []


@pytest.fixture(autouse=True)
def nobody_yet():
    entered.clear()


def test_what_maps_errors_is_not_entered_without_one():
    with late(mapping)(KeyError):
        pass
    assert entered == []


def test_an_error_is_mapped_as_ever():
    error = KeyError("a")
    with pytest.raises(Mapped) as mapped, late(mapping)(KeyError, OSError):
        raise error
    assert mapped.value.__cause__ is error
    assert entered == [(KeyError, OSError)]


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), GeneratorExit(), StopIteration(1)])
def test_what_is_not_mapped_is_raised_as_it_was(error):
    def raising():
        with late(mapping)(KeyError):
            raise error

    with pytest.raises(type(error)) as raised:
        raising()
    assert raised.value is error
    assert error.__context__ is None
