"""The mesh: which names are its own, equal settings, reload, what may watch, and life after a fork."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from typing import ClassVar

import pytest

import meshware
from meshware import mesh as mesh_module
from meshware import plugins
from meshware.core.availability import Bar
from meshware.core.errors import NoEndpoint, SettingsError
from meshware.core.events import EndpointsChanged, PluginFailed, SettingsRefused, SettingsReloaded
from meshware.core.outcome import Ending, Outcome
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.mesh import Mesh, default_mesh
from meshware.outbound.drive import drive
from meshware.settings.load import load

SETTINGS = {"services": {"shop": {"endpoints": ["10.0.0.1:80", "10.0.0.2:80"], "strategy": "round_robin"}}}


def settings(**shop):
    return {"services": {"shop": SETTINGS["services"]["shop"] | shop}}


@pytest.fixture
def make():
    """Makes meshes, which are closed after the test."""
    made = []

    def mesh(source=SETTINGS, **options):
        made.append(Mesh(load(source), **options))
        return made[-1]

    yield mesh
    for each in made:
        each.close()


@pytest.fixture
def from_settings():
    """`Mesh.from_settings`, whose meshes are closed after the test."""
    made = []

    def mesh(source=SETTINGS, **options):
        made.append(Mesh.from_settings(source, **options))
        return made[-1]

    yield mesh
    for each in made:
        each.close()


def call(mesh, *, status=200, path="/", name="shop"):
    """One call, answered with this status by every endpoint; the attempt that was delivered."""
    made = mesh.call(mesh.services[name], Request("GET", name, path, {}))
    won = drive(made, lambda attempt: Outcome(elapsed=0.01, status=status), lambda attempt: None, sleep=lambda _: None)
    made.ended(won, Ending.COMPLETE, 0.01, mesh.clock())
    return won


def test_a_mesh_may_be_for_one_block(from_settings):
    with Mesh.from_settings(SETTINGS) as mesh:
        assert mesh.install() is default_mesh() is from_settings()
    assert default_mesh() is None
    assert from_settings() is not mesh


# Names


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("http", "shop", None), ("http", "shop", 80), ("https", "shop", None), ("https", "shop", 443),
        ("http", "SHOP", None), ("http", "shop.", None), ("http", "Shop.", 80),
    ],
)  # fmt: skip
def test_a_name_is_found_in_any_case_with_its_default_port(make, scheme, host, port):
    assert make().find(scheme, host, port).name == "shop"


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("http", "shop", 443),
        ("https", "shop", 80),
        ("http", "shop", 8080),
        ("http", "shop", 0),
        ("ftp", "shop", None),
        ("HTTP", "shop", None),
        ("http", "shop..", None),
        ("http", ".shop", None),
        ("http", "shop.example", None),
        ("http", "user@shop", None),
        ("http", "sh%6fp", None),
        ("http", "10.0.0.1", None),
        ("http", "[::1]", None),
        ("http", " shop", None),
        ("http", "", None),
        ("http", "s\u212ahop", None),
        ("http", "shop:80", None),
    ],
)
def test_anything_else_is_another_name(make, scheme, host, port):
    assert make().find(scheme, host, port) is None


def test_a_letter_whose_lower_case_is_ascii_is_another_letter(make):
    mesh = make({"services": {"kafka": {"endpoints": ["a:1"]}}})
    assert mesh.find("http", "KAFKA", None) is not None
    assert mesh.find("http", "\u212aafka", None) is None


def test_a_name_with_a_port_means_that_port_only(make):
    mesh = make({"services": {"shop:8080": {"endpoints": ["a:1"]}, "shop": {"endpoints": ["b:1"]}}})
    assert mesh.find("http", "shop", 8080) is mesh.find("https", "shop", 8080) is mesh.services["shop:8080"]
    assert mesh.find("http", "shop", None) is mesh.services["shop"]


# Which mesh


def test_equal_settings_are_the_same_mesh(from_settings):
    mesh = from_settings()
    assert from_settings({"SERVICES": {"SHOP.": settings()["services"]["shop"]}}) is mesh
    assert from_settings(load(SETTINGS)) is mesh
    assert from_settings(settings(timeout=10.0)) is not mesh


def test_settings_with_objects_in_them_are_compared_by_those(from_settings):
    metadata, other = {"pool": object()}, {"pool": object()}
    mesh = from_settings(settings(endpoints=[{"address": "a:1", "metadata": metadata}]))
    assert from_settings(settings(endpoints=[{"address": "a:1", "metadata": metadata}])) is mesh
    assert from_settings(settings(endpoints=[{"address": "a:1", "metadata": other}])) is not mesh


def test_a_mesh_goes_by_the_settings_that_are_in_force(from_settings):
    mesh = from_settings()
    mesh.reload(settings(timeout=1.0))
    assert from_settings(settings(timeout=1.0)) is mesh
    assert from_settings() is not mesh


def test_a_closed_mesh_is_forgotten(from_settings):
    mesh = from_settings().install()
    assert default_mesh() is mesh
    mesh.close()
    assert default_mesh() is None
    assert from_settings() is not mesh


def test_the_first_installed_is_the_default(make):
    first, second = make(), make()
    assert default_mesh() is None
    assert second.install() is second
    first.install()
    assert default_mesh() is second
    first.close()
    assert default_mesh() is second


def test_the_context_has_a_mesh_of_its_own(make):
    default, own = make().install(), make()
    with meshware.request_context():
        assert default_mesh() is default
    with meshware.request_context(mesh=own):
        assert default_mesh() is own


def test_wrong_settings_make_no_mesh():
    with pytest.raises(SettingsError):
        Mesh.from_settings(settings(timeout=0))


# Calls


def test_a_call_takes_part_in_the_context_in_force(make):
    mesh = make()
    with meshware.request_context() as context:
        assert mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {})).context is context


def test_nothing_runs_before_the_first_call_nor_after_close(make):
    threads = set(threading.enumerate())
    mesh = make()
    assert set(threading.enumerate()) == threads
    call(mesh)
    (keeper,) = set(threading.enumerate()) - threads
    assert keeper.daemon
    mesh.close()
    assert not keeper.is_alive()


def test_status_says_state_load_and_weight_of_each_endpoint(make):
    mesh = make(settings(endpoints=["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}]))
    held = mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {})).begin(mesh.clock())
    status = mesh.status()
    assert json.loads(json.dumps(status)) == status
    assert {address: each["in_flight"] for address, each in status["shop"].items()} == {
        "10.0.0.1:80": held.endpoint.address == "10.0.0.1:80",
        "10.0.0.2:80": held.endpoint.address == "10.0.0.2:80",
    }
    assert [each["weight"] for each in status["shop"].values()] == [1.0, 2.0]
    assert {each["state"] for each in status["shop"].values()} == {"available"}


def test_status_says_locality_and_priority_where_there_are_any(make):
    far = {"address": "10.0.0.2:80", "locality": "aws/eu-west-1", "priority": 1}
    near, other = make(settings(endpoints=["10.0.0.1:80", far])).status()["shop"].values()
    assert near.keys().isdisjoint({"locality", "priority"})
    assert (other["locality"], other["priority"]) == ("aws/eu-west-1", 1)


def test_a_mesh_says_whose_it_is_and_what_it_has(make):
    assert repr(make()) == "<Mesh (unnamed): shop>"
    assert repr(make({"service": "web"})) == "<Mesh web: no services>"


# Reload


class Events(Observer):
    """Keeps every event."""

    def __init__(self):
        self.seen = []

    def on_event(self, event):
        self.seen.append(event)


def test_reload_keeps_what_was_learned_where_the_policies_are_unchanged(make):
    mesh = make()
    service, endpoint = mesh.services["shop"], mesh.services["shop"].endpoints[0]
    mesh.reload(settings(endpoints=["10.0.0.1:80", {"address": "10.0.0.3:80", "weight": 2}]))
    assert mesh.services["shop"] is service
    assert service.endpoints[0] is endpoint
    assert [each.address for each in service.endpoints] == ["10.0.0.1:80", "10.0.0.3:80"]
    assert {call(mesh).endpoint.address for _ in range(9)} == {"10.0.0.1:80", "10.0.0.3:80"}


@pytest.mark.parametrize(
    "change", [{"timeout": 10.0}, {"panic": 0.1}, {"strategy": "random"}, {"retry": {"attempts": 3}}]
)
def test_reload_makes_a_service_anew_whose_policies_have_changed(make, change):
    mesh = make()
    service = mesh.services["shop"]
    mesh.reload(settings(**change))
    assert mesh.services["shop"] is not service
    assert mesh.find("http", "shop", None) is mesh.services["shop"]


def test_reload_adds_and_removes_services(make):
    mesh = make()
    mesh.reload({"services": {"till": {"endpoints": ["10.0.0.9:80"]}}})
    assert list(mesh.services) == ["till"]
    assert mesh.find("http", "shop", None) is None
    assert mesh.find("http", "till", None) is mesh.services["till"]


def test_a_call_under_way_ends_well_over_a_reload(make):
    mesh = make()
    under_way = mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {}))
    attempt = under_way.begin(mesh.clock())
    mesh.reload(settings(endpoints=["10.0.0.3:80"]))
    under_way.answered(attempt, Outcome(elapsed=0.1, status=200), mesh.clock())
    under_way.ended(attempt, Ending.COMPLETE, 0.1, mesh.clock())
    assert not attempt.endpoint.open
    assert call(mesh).endpoint.address == "10.0.0.3:80"


def test_wrong_settings_leave_the_old_ones_in_force_and_say_so(make):
    events = Events()
    mesh = make(observers=[events])
    before, service = mesh.settings, mesh.services["shop"]
    for wrong in (settings(timeout=0), settings(strategy={"peak_ewma": {"tau": -1}}), "no.such.module", None):
        with pytest.raises(SettingsError):
            mesh.reload(wrong)
    assert mesh.settings is before
    assert mesh.services["shop"] is service
    refused = [each for each in events.seen if isinstance(each, SettingsRefused)]
    assert len(refused) == 4
    assert "services.shop.timeout" in refused[0].error


class Moody:
    """A strategy that can be made when the settings are checked, and not when they are put in force."""

    needs = ()
    made = 0
    good = 0

    def __init__(self):
        type(self).made += 1
        if type(self).made > type(self).good:
            raise RuntimeError("not today")

    def score(self, endpoint, call):
        return 0.0


def test_a_strategy_that_fails_when_put_in_force_leaves_all_as_it_was(make, monkeypatch):
    monkeypatch.setattr("meshware.plugins._registered", {})
    monkeypatch.setattr(Moody, "made", 0)
    monkeypatch.setattr(Moody, "good", 1)
    Mesh.register("moody", Moody)
    events = Events()
    mesh = make(observers=[events])
    before = mesh.settings
    changed = settings(endpoints=["10.0.0.9:80"])
    changed["services"]["till"] = {"endpoints": ["10.0.0.8:80"], "strategy": "moody"}
    with pytest.raises(meshware.MeshError, match="not today"):
        mesh.reload(changed)
    assert mesh.settings is before
    assert [each.address for each in mesh.services["shop"].endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert isinstance(events.seen[-1], SettingsRefused)


def test_a_reload_is_told(make):
    events = Events()
    mesh = make({"service": "web", **SETTINGS}, observers=[events])
    mesh.reload({"service": "web", **settings(endpoints=["10.0.0.1:80"])})
    changed, reloaded = events.seen[-2:]
    assert isinstance(changed, EndpointsChanged)
    assert (changed.added, changed.removed) == ((), ("10.0.0.2:80",))
    assert isinstance(reloaded, SettingsReloaded)
    assert reloaded.service == "web"


# Who watches


class Watching(Observer):
    """Has every hook, and notes which was called."""

    def __init__(self):
        self.heard = []

    def on_begin(self, call, attempt, headers, now):
        self.heard.append("begin")

    def on_answer(self, call, attempt, outcome, step, now):
        self.heard.append("answer")

    def on_end(self, call, attempt, ending, wire, now):
        self.heard.append("end")

    def on_abandon(self, call, attempt, now):
        self.heard.append("abandon")

    def on_done(self, call, error, now):
        self.heard.append("done")

    def on_event(self, event):
        self.heard.append(type(event).__name__)


class Broken(Observer):
    """Fails in every hook."""

    def fail(self, *facts):
        raise RuntimeError("broken")

    on_begin = on_answer = on_end = on_abandon = on_done = on_event = fail


class Partial:
    """No Observer by its bases, and with one hook only."""

    def __init__(self):
        self.done = 0

    def on_done(self, call, error, now):
        self.done += 1


def until(true, seconds=5.0):
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_observer_hears_a_call_from_begin_to_end(make):
    watching = Watching()
    mesh = make(observers=[watching])
    call(mesh)
    until(lambda: "end" in watching.heard)
    assert watching.heard == ["EndpointsChanged", "answer", "done", "end"]


def test_a_broken_observer_disturbs_no_call_and_no_other_observer(make):
    watching = Watching()
    mesh = make(observers=[Broken(), watching])
    assert call(mesh).outcome.status == 200
    until(lambda: "end" in watching.heard)
    assert [each for each in watching.heard if each.islower()] == ["answer", "done", "end"]
    assert mesh.plugin_failures > 0


def test_a_broken_observer_disturbs_no_reload(make):
    mesh = make(observers=[Broken()])
    mesh.reload(settings(timeout=1.0))
    with pytest.raises(SettingsError):
        mesh.reload(settings(timeout=0))
    assert mesh.settings.services["shop"].timeout == 1.0


def test_an_observer_needs_only_the_hooks_that_it_wants(make):
    partial = Partial()
    mesh = make(observers=[partial])
    call(mesh)
    assert partial.done == 1
    assert mesh.plugin_failures == 0


class Learning:
    """A scorer that prefers what it has heard least of."""

    needs = ()

    def __init__(self):
        self.answers = {}

    def score(self, endpoint, call):
        return float(self.answers.get(endpoint.address, 0))

    def on_answer(self, call, attempt, outcome, step, now):
        address = attempt.endpoint.address
        self.answers[address] = self.answers.get(address, 0) + 1


# Observers that the settings name


class Counter(Observer):
    """Counts the calls that are done, by steps of its own."""

    made: ClassVar = []

    def __init__(self, *, step=1):
        self.step, self.calls, self.events = step, 0, []
        self.made.append(self)

    def on_done(self, call, error, now):
        self.calls += self.step

    def on_event(self, event):
        self.events.append(type(event))


@pytest.fixture
def counters(monkeypatch):
    """Those made since, the ones that were made to look at the settings left out."""
    monkeypatch.setattr(plugins, "_registered", {})
    monkeypatch.setattr(Counter, "made", [])
    plugins.register(plugins.OBSERVERS, "counter", Counter)
    return lambda mesh: [each for each in mesh._observers if isinstance(each, Counter)]


def observed(*observers):
    return SETTINGS | {"observers": list(observers)}


def test_an_observer_may_be_named_in_the_settings(make, counters):
    mesh = make(observed("counter", {"counter": {"step": 10}}))
    call(mesh)
    call(mesh)
    assert [each.calls for each in counters(mesh)] == [2, 20]


def test_those_handed_in_hear_as_well(make, counters):
    handed = Counter()
    mesh = make(observed("counter"), observers=[handed])
    call(mesh)
    assert [each.calls for each in counters(mesh)] == [1, 1]
    assert counters(mesh)[0] is handed


def test_a_reload_brings_other_observers_and_costs_nothing_that_was_learned(make, counters):
    mesh = make(observed("counter"))
    call(mesh)
    service, (first,) = mesh.services["shop"], counters(mesh)
    mesh.reload(observed({"counter": {"step": 5}}))
    call(mesh)
    assert mesh.services["shop"] is service
    (second,) = counters(mesh)
    assert (first.calls, second.calls) == (1, 5)
    mesh.reload(SETTINGS)
    call(mesh)
    assert (first.calls, second.calls, counters(mesh)) == (1, 5, [])


def test_a_reload_that_names_the_same_observers_keeps_them(make, counters):
    mesh = make(observed("counter"))
    (counter,) = counters(mesh)
    mesh.reload(observed("counter") | {"service": "other"})
    call(mesh)
    assert counters(mesh) == [counter]
    assert counter.calls == 1
    assert SettingsReloaded in counter.events


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("countr", "one of counter"),
        ({"counter": {"steps": 2}}, "counter takes step, not 'steps'"),
        ("deaf", "'deaf' has none of `on_begin`, "),
        ({"counter": {}, "deaf": {}}, "missing, but needed"),
    ],
)
def test_an_observer_that_cannot_be_had_is_refused(counters, named, said):
    plugins.register(plugins.OBSERVERS, "deaf", type("Deaf", (), {}))
    with pytest.raises(SettingsError) as caught:
        load(observed("counter", named))
    problem = caught.value.problems[0]
    assert problem.path.startswith("observers[1]")
    assert said in problem.expected


def test_a_scorer_that_learns_is_told_of_answers(make, monkeypatch):
    monkeypatch.setattr("meshware.plugins._registered", {})
    Mesh.register("learning", Learning)
    mesh = make(settings(strategy="learning"))
    for _ in range(10):
        call(mesh)
    assert mesh.services["shop"].learner.answers == {"10.0.0.1:80": 5, "10.0.0.2:80": 5}


class Failing:
    """A strategy whose picks fail."""

    def picker(self, endpoints):
        return self

    def pick(self, call):
        raise RuntimeError("no idea")


def test_a_strategy_that_fails_is_replaced_by_the_stand_in_and_counted(make, monkeypatch):
    monkeypatch.setattr("meshware.plugins._registered", {})
    Mesh.register("failing", Failing)
    events = Events()
    mesh = make(settings(strategy="failing"), observers=[events])
    assert call(mesh).outcome.status == 200
    assert mesh.plugin_failures == 1
    (failed,) = [each for each in events.seen if isinstance(each, PluginFailed)]
    assert failed.error == "RuntimeError: no idea"


def test_no_endpoint_left_says_the_state_of_each(make):
    mesh = make()
    for endpoint in mesh.services["shop"].endpoints:
        endpoint.availability.bar(Bar.HELD)
    mesh.services["shop"].refresh(mesh.clock())
    with pytest.raises(NoEndpoint) as caught:
        call(mesh)
    assert caught.value.states == {"10.0.0.1:80": "held by hand", "10.0.0.2:80": "held by hand"}


# After a fork

FORKED = """
import json, os, sys, threading
from meshware import Mesh
from meshware.core.availability import Bar
from meshware.core.request import Request
from meshware.mesh import default_mesh

mesh = Mesh.from_settings({SETTINGS!r}).install()
service = mesh.services["shop"]

def begin():
    return mesh.call(mesh.services["shop"], Request("GET", "shop", "/", {})).begin(mesh.clock())

def facts():
    threads = [each.name for each in threading.enumerate() if each.name.startswith("meshware")]
    return {
        "threads": threads,
        "in_flight": sum(each["in_flight"] for each in mesh.status()["shop"].values()),
        "same_mesh": default_mesh() is mesh and Mesh.from_settings(mesh.settings) is mesh,
    }

held = [begin() for _ in range(5)]
service.endpoints[0].availability.bar(Bar.HELD)
before = facts()

def child():
    at_first = facts()
    states = [each.availability.state() for each in mesh.services["shop"].endpoints]
    picks = [begin().endpoint.address for _ in range(40)]
    mesh.reload({RELOADED!r})
    return {"at_first": at_first, "states": states, "picks": picks, "later": facts()}

def forked():
    out, into = os.pipe()
    if os.fork() == 0:
        os.write(into, json.dumps(child()).encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as told:
        return json.load(told)

children = [forked(), forked()]
os.wait(), os.wait()
print(json.dumps({"before": before, "children": children, "after": facts()}))
"""


@pytest.mark.row("F61")
def test_a_forked_child_begins_anew_and_leaves_its_parent_alone():
    program = FORKED.replace("{SETTINGS!r}", repr(settings(strategy="random")))
    program = program.replace("{RELOADED!r}", repr(settings(timeout=1.0)))
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    parent = {"threads": ["meshware-housekeeper"], "in_flight": 5, "same_mesh": True}
    assert told["before"] == told["after"] == parent
    for child in told["children"]:
        assert child["at_first"] == {"threads": [], "in_flight": 0, "same_mesh": True}
        assert child["states"] == ["available", "available"]
        assert child["later"]["threads"] == ["meshware-housekeeper"]
    assert told["children"][0]["picks"] != told["children"][1]["picks"]


def test_a_mesh_that_cannot_begin_anew_in_a_child_keeps_no_other_from_it(monkeypatch, caplog):
    def fails(*_what):
        raise RuntimeError("no part to be had")

    broken, mesh = (Mesh.from_settings(settings()) for _ in range(2))
    monkeypatch.setattr(broken, "_put", fails)
    monkeypatch.setattr("meshware.mesh._alive", [broken, mesh])
    before = mesh._attended._lock
    mesh_module._after_fork()
    assert mesh._attended._lock is not before
    assert "no part to be had" in caplog.text
