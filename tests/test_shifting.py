"""Shifts of several workers of a host, of one mind by what they write down."""

from __future__ import annotations

import json

import pytest
from at_once import AtOnce

from meshware.core.events import PluginFailed
from meshware.mesh import Mesh
from meshware.settings.load import load
from meshware.sharing.cells import Unusable
from meshware.sharing.shifts import Ledger

SHIFT = {"name": "v2", "service": "inventory", "to": "inventory-v2", "hold": 10.0, "steps": [10, 100]}


class Ear:
    def __init__(self):
        self.failed = []

    def on_event(self, event):
        if isinstance(event, PluginFailed):
            self.failed.append(event)


class Workers:
    """Meshes of the same settings, under one clock moved by hand."""

    def __init__(self, directory):
        self.now, self.made, self.ear = 1000.0, [], Ear()
        self.directory = str(directory)

    def settings(self, **shift):
        services = {name: {"endpoints": ["a:1"]} for name in ("inventory", "inventory-v2")}
        board = {"directory": self.directory}
        return load({"service": "shop", "board": board, "services": services, "shifts": [{**SHIFT, **shift}]})

    def worker(self, **shift):
        self.made.append(Mesh(self.settings(**shift), observers=[self.ear], clock=lambda: self.now))
        return self.made[-1]

    def look(self, *meshes):
        self.now += 0.3
        for mesh in meshes:
            mesh._shifting.keep(self.now, AtOnce(lambda: self.now))

    @property
    def ledger(self):
        return Ledger("shop", "", self.directory)


@pytest.fixture
def workers(tmp_path):
    made = Workers(tmp_path)
    yield made
    for mesh in made.made:
        mesh.close()


def states(*meshes):
    return [(mesh.shifts()[0]["state"], mesh.shifts()[0]["percentage"]) for mesh in meshes]


def test_what_one_worker_has_done_the_others_follow(workers):
    one, other = workers.worker(), workers.worker()
    one.shift("v2", "promote")
    workers.look(one, other)
    assert states(one, other) == [("promoted", 100.0)] * 2
    other.shift("v2", "revert")
    workers.look(other, one)
    assert states(one, other) == [("reverted", 0.0)] * 2
    assert one.shifts()[0]["reason"] == "by hand"


def test_one_that_starts_later_knows_from_its_first_call_on(workers):
    one = workers.worker()
    one.shift("v2", "revert")
    workers.look(one)
    assert states(workers.worker()) == [("reverted", 0.0)]
    assert states(workers.worker(hold=20.0)) == [("running", 10.0)]  # another shift


def test_of_two_words_at_once_the_safer_one_counts(workers):
    one, other = workers.worker(), workers.worker()
    one.shift("v2", "promote")
    other.shift("v2", "revert")
    workers.look(one, other)
    workers.look(one)
    assert states(one, other) == [("reverted", 0.0)] * 2


def test_two_that_have_decided_the_same_write_it_down_once(workers):
    one, other = workers.worker(), workers.worker()
    one.shift("v2", "revert")
    workers.now += 0.1
    other.shift("v2", "revert")
    workers.look(one, other)
    written = workers.ledger.read()
    workers.ledger.path.with_suffix(".lock").unlink()
    workers.look(one, other)
    assert workers.ledger.read() == written
    assert not workers.ledger.path.with_suffix(".lock").exists(), "nobody has taken the lock"


def test_nothing_is_written_while_nothing_has_changed(workers):
    one = workers.worker()
    workers.look(one)
    before = workers.ledger.path.stat().st_mtime_ns, workers.ledger.path.stat().st_ino
    workers.look(one)
    assert (workers.ledger.path.stat().st_mtime_ns, workers.ledger.path.stat().st_ino) == before


@pytest.mark.parametrize(
    "entry",
    [
        {"state": "gone"},
        {"of": "other"},
        {"step": 7},
        {"step": -1},
        {"step": "1"},
        {"since": "soon"},
        {"version": None},
    ],
)
def test_nonsense_is_not_followed(workers, entry):
    one = workers.worker()
    one.shift("v2", "revert")
    workers.look(one)
    workers.ledger.change(lambda said: {"v2": said["v2"] | {"version": 99, "state": "promoted"} | entry})
    workers.look(one)
    assert states(one) == [("reverted", 0.0)]
    assert workers.ledger.read()["v2"]["state"] == "reverted"


@pytest.mark.parametrize("text", ["{", "[1]", '{"v2": 1}'])
def test_a_file_that_says_nothing_is_told_once_and_each_goes_on_alone(workers, text):
    one = workers.worker()
    workers.look(one)
    workers.ledger.path.write_text(text)
    with pytest.raises(Unusable):
        workers.ledger.read()
    workers.look(one)
    workers.look(one)
    assert [each.plugin for each in workers.ear.failed] == ["shifts"]
    one.shift("v2", "pause")
    assert states(one) == [("paused", 10.0)]
    workers.worker()
    assert len(workers.ear.failed) == 2
    workers.ledger.path.write_text(json.dumps({}))
    workers.look(one)
    assert workers.ledger.read()["v2"]["state"] == "paused"


def test_without_a_name_each_worker_stands_alone(workers):
    alone = Mesh(load({**workers.settings().model_dump(exclude_unset=True), "service": ""}), clock=lambda: workers.now)
    workers.made.append(alone)
    alone.shift("v2", "pause")
    workers.look(alone)
    assert states(alone) == [("paused", 10.0)]
    assert not workers.ledger.path.exists()
    with pytest.raises(KeyError):
        alone.shift("v3", "pause")


def test_a_mesh_without_shifts_has_none(mesh_of):
    mesh = mesh_of(inventory=["a:1"])
    assert mesh.shifts() == []
    with pytest.raises(KeyError):
        mesh.shift("v2", "pause")
