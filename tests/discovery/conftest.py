"""A service with a source, under a clock moved by hand; its jobs are done at once, on the test's own thread."""

from __future__ import annotations

import pytest
from at_once import AtOnce
from world import START, World

from meshware import plugins
from meshware.core.events import EndpointsRefused, PluginFailed
from meshware.discovery import Endpoints


class Told:
    """A discovery that says what the test told it to: a list, an answer, or an error."""

    said: object = ()

    def fetch(self, now):
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said if isinstance(self.said, Endpoints) else Endpoints(self.said, 30.0)


class Found(World):
    """`says(...)`: from now on the source says this. `pass_time` does what the housekeeper would."""

    def __init__(self, discovery="told", **settings):
        self.hands = AtOnce(lambda: self.now)
        super().__init__(discovery=discovery, endpoints=(), **settings)

    @property
    def source(self):
        """The one source."""
        (source,) = self.service.source.each
        return source

    def says(self, *found, **answer):
        Told.said = Endpoints(found, **answer) if answer else found

    def fails(self, error):
        Told.said = error

    def keep_house(self):
        self.service.source.keep(self.now, self.hands)
        super().keep_house()

    @property
    def addresses(self):
        return [each.address for each in self.endpoints]

    @property
    def refused(self):
        """What was told of single entries, telling by telling."""
        return [each.refused for each in self.events if isinstance(each, EndpointsRefused)]

    @property
    def failures(self):
        return [(each.plugin, each.error) for each in self.events if isinstance(each, PluginFailed)]


@pytest.fixture
def registered(monkeypatch):
    """`registered(kind)`: a discovery class under the name `told`, forgotten after the test."""
    monkeypatch.setattr(plugins, "_registered", {})

    def register(kind, name="told"):
        plugins.register(plugins.DISCOVERY, name, kind)

    return register


@pytest.fixture
def found(registered, monkeypatch):
    """A service whose source has not been asked yet."""
    monkeypatch.setattr(Told, "said", ())
    registered(Told)
    world = Found()
    assert world.now == START
    return world
