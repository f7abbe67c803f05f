"""The file that settings come from: what changes there is in force, what is wrong is told once and changes nothing."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from at_once import AtOnce
from meanwhile import Heart, calling, resident

from meshware.core.errors import SettingsError
from meshware.core.events import SettingsRefused, SettingsReloaded
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.following import BETWEEN, LATELY, LOOK, REST, SOON
from meshware.mesh import Mesh

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
PATIENCE = 5.0

BUSY = 4.0
"""Seconds in which what is written is in force where others keep the machine busy. The soak tier is strict."""


class Events(Observer):
    """Keeps every event."""

    def __init__(self):
        self.seen = []

    def on_event(self, event):
        self.seen.append(event)

    @property
    def changes(self):
        return [each.changes for each in self.seen if isinstance(each, SettingsReloaded)]

    @property
    def refused(self):
        return [each.error for each in self.seen if isinstance(each, SettingsRefused)]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def toml(*endpoints, **shop):
    """A file's text: one service, `shop`."""
    values = {"endpoints": list(endpoints or (A, B)), **shop}
    return "[services.shop]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def put(path, text):
    """Another file in its place, by a rename."""
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)
    return path


@pytest.fixture
def path(tmp_path):
    return put(tmp_path / "mesh.toml", toml())


@pytest.fixture
def opened():
    """`opened(source)`: a mesh, under a clock set by hand; its file is looked at when the test says so."""
    made = []

    def open(source, **options):
        events = Events()
        mesh = Mesh.from_settings(source, observers=[events], **options)
        made.append(mesh)
        mesh.events, mesh.clock = events, Clock()
        mesh.hands = AtOnce(mesh.clock)
        if mesh._file is not None:
            mesh._file._clock, mesh._file.confirmed = mesh.clock, mesh.clock.now
            mesh._file._pause.wait = lambda seconds: None
        return mesh

    yield open
    for mesh in made:
        mesh.close()


def passes(mesh, seconds=LOOK):
    """So much time, and then what the housekeeper does."""
    mesh.clock.now += seconds
    mesh._chores(mesh.clock.now, mesh.hands)


def addresses(mesh):
    return [each.address for each in mesh.services["shop"].endpoints]


# Right


def test_what_changes_in_the_file_is_in_force_and_is_told(path, opened):
    mesh = opened(path)
    passes(mesh)
    put(path, toml(B, C, timeout=3.0))
    passes(mesh)
    assert addresses(mesh) == [B, C]
    assert mesh.services["shop"].timeout == 3.0
    assert mesh.events.changes == [
        (
            f"services.shop.endpoints: {A} removed",
            f"services.shop.endpoints: {C} added",
            "services.shop.timeout: 10.0 -> 3.0",
        )
    ]


@pytest.mark.parametrize("name", ["mesh.toml", "mesh.yaml"])
def test_toml_and_yaml_are_followed(tmp_path, opened, name):
    if name == "mesh.yaml":
        pytest.importorskip("yaml")
    text = {
        "mesh.toml": '[services.shop]\nendpoints = ["10.0.0.1:80"]\ntimeout = {}\n',
        "mesh.yaml": 'services:\n  shop: {{endpoints: ["10.0.0.1:80"], timeout: {}}}\n',
    }[name]
    mesh = opened(str(put(tmp_path / name, text.format(1.0))))
    put(tmp_path / name, text.format(2.0))
    passes(mesh)
    assert mesh.services["shop"].timeout == 2.0


def test_the_turn_of_a_symlink_is_followed(tmp_path, opened):
    """As Kubernetes brings a new ConfigMap."""
    for name, address in (("..1", A), ("..2", B)):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "mesh.toml", toml(address))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "mesh.toml").symlink_to("..data/mesh.toml")
    mesh = opened(tmp_path / "mesh.toml")
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    passes(mesh)
    assert addresses(mesh) == [B]


@pytest.fixture
def quick(monkeypatch):
    """A look takes nothing of the processor."""
    monkeypatch.setattr("meshware.following.thread_time", lambda: 0.0)


@pytest.mark.usefixtures("quick")
def test_while_it_changes_it_is_looked_at_more_often(path, opened):
    mesh = opened(path)
    passes(mesh)
    assert mesh._file.due == mesh.clock.now + LOOK
    put(path, toml(C))
    passes(mesh)
    assert mesh._file.due == mesh.clock.now + SOON
    passes(mesh, SOON)
    assert mesh._file.due == mesh.clock.now + SOON
    passes(mesh, LATELY)
    assert mesh._file.due == mesh.clock.now + LOOK
    passes(mesh, LOOK / 2)
    assert mesh.hands.jobs == 4


def test_large_settings_that_change_all_the_time_do_not_take_all_of_our_time(path, opened, monkeypatch):
    mesh = opened(path)
    spent = iter([10.0, 12.0])
    monkeypatch.setattr("meshware.following.thread_time", lambda: next(spent))
    put(path, toml(C))
    passes(mesh)
    assert mesh._file.due == mesh.clock.now + REST * 2.0


@pytest.mark.usefixtures("quick")
def test_a_look_during_which_we_stood_still_is_followed_by_no_rest(path, opened, monkeypatch):
    mesh = opened(path)
    change = mesh._change

    def stand_still(settings):
        mesh.clock.now += 2.0
        return change(settings)

    monkeypatch.setattr(mesh, "_change", stand_still)
    put(path, toml(C))
    passes(mesh)
    assert mesh._file.due == mesh.clock.now + SOON


def test_a_file_that_says_the_same_in_other_words_changes_nothing(path, opened):
    mesh = opened(path)
    service = mesh.services["shop"]
    put(path, "# by hand\n" + toml(retry={}).replace("{}", "{attempts = 2}"))
    passes(mesh)
    assert mesh.services["shop"] is service or mesh.settings.services["shop"].retry.attempts == 2
    put(path, "# by another hand\n" + path.read_text())
    before = len(mesh.events.seen)
    passes(mesh)
    assert len(mesh.events.seen) == before


def test_the_environment_stays_above_the_file(path, opened):
    mesh = opened(path, environ={"MESHWARE__SERVICES__SHOP__TIMEOUT": "1.5"})
    put(path, toml(C, timeout=3.0))
    passes(mesh)
    assert (addresses(mesh), mesh.services["shop"].timeout) == ([C], 1.5)


def test_a_call_under_way_ends_as_it_began(path, opened):
    mesh = opened(path)
    call = mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {}))
    attempt = call.begin(time.monotonic())
    deadline = attempt.deadline
    put(path, toml(B, C, timeout=0.1))
    passes(mesh)
    assert (attempt.deadline, call.deadline.timeout) == (deadline, 10.0)
    call.abandon(attempt, time.monotonic())
    assert not attempt.endpoint.open


# Wrong

WRONG = [
    (" \n", "the file is empty", "mesh.toml"),
    ("[services.shop]\nendpoints = ['10.", "TOML", "mesh.toml:2"),
    (toml(timeout=-1, strategy="adaptiv"), "services.shop.timeout", "did you mean 'adaptive'"),
    ("\ufeff" + toml(C), "UTF-8 without a byte order mark", "mesh.toml:1"),
    (None, "a file that can be read", "No such file"),
]


@pytest.mark.parametrize(("text", "said", "more"), WRONG, ids=["empty", "half", "wrong", "bom", "gone"])
def test_while_it_is_wrong_the_old_settings_stay_and_that_is_told_once_with_every_problem(
    path, opened, text, said, more
):
    mesh = opened(path)
    before = mesh.settings
    path.unlink() if text is None else put(path, text)
    for _ in range(20):
        passes(mesh)
    assert mesh.settings is before
    (error,) = mesh.events.refused
    assert said in error
    assert more in error
    state = mesh.following()
    assert (state["path"], state["error"], state["age"]) == (str(path), error, 10.0)
    put(path, toml(C))
    passes(mesh)
    assert addresses(mesh) == [C]
    state = mesh.following()
    assert (state["error"], state["age"]) == ("", 0.0)


def test_a_file_that_is_empty_for_a_moment_takes_no_service_away(path, opened):
    """An empty TOML file is well-formed: a mesh without services. It is what writing in place looks like half-way."""
    mesh = opened(path)
    with open(path, "w"):
        passes(mesh, SOON)
        assert addresses(mesh) == [A, B]
    path.write_text(toml(C))
    for _ in range(20):
        passes(mesh, SOON)
        time.sleep(0.04)
    assert addresses(mesh) == [C]
    assert len(mesh.events.changes) == 1


def test_what_is_wrong_in_another_way_is_told_again_but_not_all_the_time(path, opened):
    mesh = opened(path)
    for turn in range(20):
        put(path, toml(timeout=-1 - turn))
        passes(mesh, BETWEEN / 4)
    told = mesh.events.refused
    assert 4 <= len(told) <= 6
    assert len(set(told)) == len(told)


def test_a_file_that_comes_back_as_it_was_is_right_again(path, opened):
    mesh = opened(path)
    text = path.read_text()
    for _ in range(2):
        path.unlink()
        passes(mesh, BETWEEN)
        put(path, text)
        passes(mesh, BETWEEN)
        assert mesh.following()["error"] == ""
    assert len(mesh.events.refused) == 2
    assert mesh.events.changes == []


def test_a_strategy_that_cannot_be_put_in_force_leaves_all_as_it_was(path, opened, monkeypatch):
    from meshware import plugins

    made = []

    class Moody:
        needs = ()

        def __init__(self):
            made.append(1)
            if len(made) > 1:
                raise RuntimeError("not today")

        def score(self, endpoint, call):
            return 0.0

    monkeypatch.setattr(plugins, "_registered", {})
    Mesh.register("moody", Moody)
    mesh = opened(path)
    put(path, toml(C, strategy="moody"))
    passes(mesh)
    assert addresses(mesh) == [A, B]
    assert "not today" in mesh.events.refused[0]


# Whether, and which


def test_by_the_setting_follow_it_is_left_alone(path, opened):
    put(path, "follow = false\n" + toml())
    mesh = opened(path)
    put(path, toml(C))
    passes(mesh)
    assert (mesh.following(), addresses(mesh)) == ({}, [A, B])
    mesh.reload()
    assert addresses(mesh) == [C]
    assert mesh.following()["path"] == str(path)


def test_a_file_that_says_no_more_following_is_heard_a_last_time(path, opened):
    mesh = opened(path)
    put(path, "follow = false\n" + toml(C))
    passes(mesh)
    put(path, toml(A))
    passes(mesh)
    assert (mesh.following(), addresses(mesh)) == ({}, [C])


def test_what_is_reloaded_from_elsewhere_is_followed_no_more(path, tmp_path, opened):
    mesh = opened(path)
    mesh.reload({"services": {"shop": {"endpoints": [B]}}})
    put(path, toml(C))
    passes(mesh)
    assert (mesh.following(), addresses(mesh)) == ({}, [B])
    other = put(tmp_path / "other.toml", toml(A))
    mesh.reload(other)
    put(other, toml(C))
    passes(mesh)
    assert (mesh.following()["path"], addresses(mesh)) == (str(other), [C])


def test_a_look_that_was_under_way_when_another_source_was_chosen_changes_nothing(path, opened):
    mesh = opened(path)
    file = mesh._file
    mesh.reload({"services": {"shop": {"endpoints": [B]}}})
    put(path, toml(C))
    file._look(mesh)
    assert addresses(mesh) == [B]


def test_without_a_source_what_it_has_is_read_again(opened):
    settings = {"services": {"shop": {"endpoints": [A]}}}
    mesh = opened(settings)
    settings["services"]["shop"]["endpoints"] = [B]
    mesh.reload()
    assert (addresses(mesh), mesh.following()) == ([B], {})


def test_a_reload_that_is_refused_leaves_the_file_followed(path, opened):
    mesh = opened(path)
    with pytest.raises(SettingsError):
        mesh.reload({"services": {"shop": {"endpoints": []}}})
    put(path, toml(C))
    passes(mesh)
    assert addresses(mesh) == [C]


def test_the_same_file_is_the_same_mesh_even_while_it_has_changed(path, opened):
    mesh = opened(path)
    put(path, toml(C))
    assert opened(str(path)) is mesh
    assert opened({"services": {"shop": {"endpoints": [A, B]}}}) is not mesh


def test_a_relative_path_means_what_it_meant_at_the_start(path, opened, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mesh = opened("mesh.toml")
    monkeypatch.chdir("/")
    put(path, toml(C))
    passes(mesh)
    assert addresses(mesh) == [C]


def test_a_look_that_hangs_is_told_and_not_asked_again(path, opened):
    mesh = opened(path)
    kept = {}
    mesh.hands.give = lambda key, work, *, limit, done: kept.update(done=done) or True
    passes(mesh)
    assert mesh._file.due == float("inf")
    kept["done"](None, TimeoutError("no answer in 60 s"), mesh.clock.now)
    mesh.hands.give = lambda *_, **__: False
    passes(mesh)
    assert mesh.events.refused == ["no answer in 60 s"]
    assert mesh._file.due == mesh.clock.now + LOOK


# In a running process


def until(fine, patience=PATIENCE):
    end = time.monotonic() + patience
    while not fine():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_door_that_only_serves_follows_too(path):
    from meshware.inbound.wsgi import MeshMiddleware

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b""]

    served = MeshMiddleware(app, settings=path, instrument=False)
    try:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}
        list(served(environ, lambda *_: None))
        assert served.mesh._keeper.running
        put(path, "request_timeout = 1.5\n" + toml())
        until(lambda: served.mesh.settings.request_timeout == 1.5)
    finally:
        served.mesh.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_looks_for_itself(path, opened):
    mesh = opened(path)
    mesh.hands.give = lambda *_, **__: True  # under way in the parent, for ever
    passes(mesh)
    assert mesh._file.due == float("inf")
    mesh._file.after_fork()
    assert mesh._file.due < 0


MIB = 2**20

BROKEN = ("[services.shop]\nendpoints = ['10.", "[services.inventory]\ntimeout = -1\n", "service = 5\n", "[[")


class Writer:
    """Puts another file in its place, half of the time a broken one."""

    def __init__(self, path, addresses):
        self.path, self.addresses, self.rng = path, addresses, random.Random(1)
        self.written = []  # when, and with which timeout, it was right
        self.version = 0

    def lateness(self, in_force, heart):
        """Since when something newer is right than what is in force; without the time for which we stood still."""
        now = time.monotonic()
        self.written = [each for each in self.written if each[1] >= in_force]
        newer = [at for at, timeout in self.written if timeout > in_force]
        return now - newer[0] - heart.stood(newer[0], now) if newer else 0.0

    def write(self):
        self.version += 1
        if self.rng.random() < 0.5:
            put(self.path, self.rng.choice(BROKEN))
            return
        timeout = 5.0 + self.version / 1000
        some = self.rng.sample(self.addresses, 1 + self.version % len(self.addresses))
        text = toml(*some, timeout=timeout, attempt_timeout=4.0, retry={}, hedge=False).replace(
            "services.shop", "services.inventory"
        )
        text = text.replace("hedge = false", "hedge = {enabled = false}")
        put(self.path, text.replace("retry = {}", f"retry = {{attempts = {2 + self.version % 2}}}"))
        self.written.append((time.monotonic(), timeout))


@pytest.mark.parametrize(("seconds", "latest"), [(6.0, BUSY), pytest.param(600.0, 1.0, marks=pytest.mark.soak)])
def test_no_call_fails_while_the_settings_are_rewritten_all_the_time(tmp_path, upstreams, getter, seconds, latest):
    path = tmp_path / "mesh.toml"
    writer = Writer(path, [each.address for each in upstreams])
    while not writer.written:
        writer.write()
    mesh, late, memory = Mesh.from_settings(path), [], []
    try:
        with Heart() as heart, calling(getter(mesh), "http://inventory/ok", heart) as calls:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(0.05)
                late.append(writer.lateness(mesh.settings.services["inventory"].timeout, heart))
                writer.write()
                if len(late) % 1000 == 500:
                    for each in upstreams:
                        each.forget()
                    memory.append(resident())
    finally:
        mesh.close()
    assert calls.failed == []
    assert calls.answered > 5 * seconds
    assert max(late) <= latest
    assert mesh.plugin_failures == 0
    if len(memory) > 3:
        assert memory[-1] - memory[1] <= 8 * MIB
