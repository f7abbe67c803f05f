"""The door of `meshware run`, step by step; tests/cli/test_run.py has whole commands."""

from __future__ import annotations

import logging
import os
import runpy
import sys
import threading
from pathlib import Path

import pytest
import requests
from inbound.upstream import Upstream

import meshware.mesh
from meshware.cli.run import BOOTSTRAP
from meshware.inbound import unedited
from meshware.inbound.unedited import CLIENTS, DIRECTORY, SETTINGS, LateMesh, begin
from meshware.mesh import Mesh, default_mesh
from meshware.outbound.instrument import uninstrument


@pytest.fixture
def inventory():
    server = Upstream("inventory")
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    uninstrument()
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()


@pytest.fixture
def settings(inventory, tmp_path):
    """The path of a file that names the inventory."""
    path = tmp_path / "mesh.toml"
    path.write_text(f'[services.inventory]\nendpoints = ["{inventory.address}"]\n')
    return str(path)


@pytest.fixture
def told(settings, tmp_path, monkeypatch):
    """What `meshware run` tells the Pythons of its command."""
    monkeypatch.setenv(SETTINGS, settings)
    monkeypatch.setenv(CLIENTS, "requests,no_such_client_anywhere")
    monkeypatch.setenv(DIRECTORY, str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])


def test_the_mesh_is_made_at_the_first_call(told):
    begin()
    assert default_mesh() is None
    assert requests.get("http://inventory/items").json()["name"] == "inventory"
    assert set(default_mesh().services) == {"inventory"}


def test_the_apps_own_mesh_stands(told, inventory):
    begin()
    own = Mesh.from_settings({"services": {"pricing": {"endpoints": [inventory.address]}}}).install()
    assert requests.get("http://pricing/").status_code == 200
    assert default_mesh() is own
    with pytest.raises(requests.ConnectionError):
        requests.get("http://inventory/items", timeout=1)


def test_the_environment_may_be_all_that_there_is(told, inventory, monkeypatch):
    monkeypatch.delenv(SETTINGS)
    monkeypatch.setenv("MESHWARE__SERVICES__PRICING__ENDPOINTS", inventory.address)
    begin()
    assert requests.get("http://pricing/").status_code == 200


def test_without_clients_nothing_is_done(told, monkeypatch):
    monkeypatch.delenv(CLIENTS)
    before = sys.meta_path[:]
    begin()
    assert sys.meta_path == before


def test_settings_that_became_wrong_are_told_once_and_the_app_goes_on(told, settings, inventory, caplog):
    begin()
    Path(settings).write_text("services = 5")
    with caplog.at_level(logging.ERROR, "meshware"):
        for _ in range(2):
            assert requests.get(f"http://{inventory.address}/").status_code == 200
    (record,) = caplog.records
    assert "there is no mesh in process" in record.getMessage()
    assert "services: 5: a dict is needed" in record.getMessage()


def test_a_client_that_cannot_be_instrumented_is_told_and_imported_all_the_same(told, monkeypatch, caplog):
    monkeypatch.setenv(CLIENTS, "json")  # a module, but no client of ours
    with caplog.at_level(logging.ERROR, "meshware"):
        begin()
    assert "json is not instrumented: meshware.clients: no plugin named 'json'" in caplog.text


def test_settings_are_found_where_the_command_was_called(tmp_path, monkeypatch):
    (tmp_path / "late_mesh_settings.py").write_text("MESHWARE = {'services': {'a': {'endpoints': ['b:1']}}}")
    before = sys.path[:]
    mesh = LateMesh("late_mesh_settings", str(tmp_path)).find()
    sys.modules.pop("late_mesh_settings")
    assert set(mesh.services) == {"a"}
    assert sys.path == before


def test_a_call_that_the_settings_own_module_makes_has_no_mesh(tmp_path, monkeypatch):
    (tmp_path / "late_mesh_calling.py").write_text("import probe\nfound = probe.late.find()\nMESHWARE = {}")
    probe = type(sys)("probe")
    monkeypatch.setitem(sys.modules, "probe", probe)
    probe.late = LateMesh("late_mesh_calling", str(tmp_path))
    assert probe.late.find() is not None
    assert sys.modules.pop("late_mesh_calling").found is None


def test_threads_that_call_first_wait_for_the_one_mesh(settings, monkeypatch):
    late, made, go = LateMesh(settings, ""), [], threading.Barrier(8)
    opening = late._open

    def slowly():
        made.append(threading.get_ident())
        opening()

    monkeypatch.setattr(late, "_open", slowly)
    found = []

    def call():
        go.wait()
        found.append(late.find())

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == [default_mesh()] * 8
    assert None not in found


def test_a_child_that_is_forked_while_the_mesh_is_made_makes_its_own(settings):
    late = LateMesh(settings, "")
    late._making = True
    late._lock.acquire()
    late._after_fork()  # as the child does, whose only thread is another one
    found = []
    thread = threading.Thread(target=lambda: found.append(late.find()))
    thread.start()
    thread.join(10)
    assert set(found[0].services) == {"inventory"}


# The sitecustomize.py by which it begins


@pytest.fixture
def starting(told, monkeypatch):
    """Runs our sitecustomize as a Python does that starts."""
    monkeypatch.setattr(sys, "path", [BOOTSTRAP, *sys.path])
    monkeypatch.setitem(sys.modules, "sitecustomize", sys)
    begun = []
    monkeypatch.setattr(unedited, "begin", lambda: begun.append(True))

    def start():
        runpy.run_path(str(Path(BOOTSTRAP) / "sitecustomize.py"))
        return begun

    return start


def test_a_python_begins_and_no_longer_sees_our_directory(starting):
    assert starting() == [True]
    assert BOOTSTRAP not in sys.path


def test_an_own_sitecustomize_is_run_and_is_the_one_that_is_seen(starting, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("OWN = True")
    monkeypatch.syspath_prepend(tmp_path)
    starting()
    import sitecustomize

    assert sitecustomize.OWN


@pytest.mark.parametrize(("pid", "said"), [("{pid}", True), ("1", False), (None, False)])
def test_a_python_without_meshware_says_so_if_it_is_the_command(starting, monkeypatch, capsys, pid, said):
    monkeypatch.setitem(sys.modules, "meshware.inbound.unedited", None)
    if pid is None:
        monkeypatch.delenv("MESHWARE_RUN_PID", raising=False)
    else:
        monkeypatch.setenv("MESHWARE_RUN_PID", pid.format(pid=os.getpid()))
    assert starting() == []
    assert ("nothing is meshed by" in capsys.readouterr().err) is said
