"""What is done when a module is imported: once, by whoever imports it first, and nothing of it stays."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshware.outbound.on_import import on_import


@pytest.fixture
def awaited(tmp_path, monkeypatch):
    """`awaited(name, source)`: a module of that source, and the list to which its import will add its name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    names = []

    def wait(name, source="COMPLETE = True"):
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        seen = []
        on_import(name, lambda: seen.append(sys.modules[name]))
        return seen

    yield wait
    for name in names:
        sys.modules.pop(name, None)


def test_it_is_done_when_the_module_is_complete_and_only_then(awaited):
    seen = awaited("awaited_one")
    import json  # noqa: F401  another one

    assert seen == []
    module = importlib.import_module("awaited_one")
    assert seen == [module]
    assert module.COMPLETE
    importlib.import_module("awaited_one")
    assert len(seen) == 1


def test_nothing_of_it_stays(awaited):
    before = sys.meta_path[:]
    awaited("awaited_two")
    module = importlib.import_module("awaited_two")
    assert sys.meta_path == before
    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"


def test_a_module_that_is_there_already_is_not_waited_for():
    before = sys.meta_path[:]
    seen = []
    on_import("sys", lambda: seen.append("now"))
    assert seen == ["now"]
    assert sys.meta_path == before


def test_a_module_that_fails_is_waited_for_until_it_does_not(awaited, tmp_path):
    seen = awaited("awaited_three", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        importlib.import_module("awaited_three")
    assert seen == []
    (tmp_path / "awaited_three.py").write_text("COMPLETE = 'at last'")
    importlib.invalidate_caches()
    importlib.import_module("awaited_three")
    assert len(seen) == 1


def test_a_module_that_is_nowhere_is_missing_as_ever(awaited):
    on_import("awaited_nowhere", lambda: None)
    assert importlib.util.find_spec("awaited_nowhere") is None
    with pytest.raises(ModuleNotFoundError, match="No module named 'awaited_nowhere'"):
        importlib.import_module("awaited_nowhere")


def test_who_only_asks_for_the_module_imports_nothing_and_sees_its_loader(awaited):
    seen = awaited("awaited_four")
    spec = importlib.util.find_spec("awaited_four")
    assert spec.loader.get_source("awaited_four") == "COMPLETE = True"  # as `python -m` does
    assert seen == []
    importlib.import_module("awaited_four")
    assert len(seen) == 1


def test_two_are_waited_for_apart(awaited):
    first, second = awaited("awaited_five"), awaited("awaited_six", "import awaited_five")
    importlib.import_module("awaited_six")
    assert (len(first), len(second)) == (1, 1)


def test_a_built_in_package_without_a_file_is_left_alone(awaited, tmp_path, monkeypatch):
    (tmp_path / "awaited_folder").mkdir()
    on_import("awaited_folder", lambda: None)
    assert importlib.import_module("awaited_folder").__path__
    sys.modules.pop("awaited_folder")


def test_a_module_made_by_hand_has_its_own_loader(awaited):
    seen = awaited("awaited_seven")
    spec = importlib.util.find_spec("awaited_seven")
    module = importlib.util.module_from_spec(spec)
    module.__spec__ = None
    sys.modules["awaited_seven"] = module
    spec.loader.exec_module(module)
    assert (len(seen), type(module.__loader__).__name__) == (1, "SourceFileLoader")


def test_many_threads_import_it_once(awaited):
    seen = awaited("awaited_eight", "import time; time.sleep(0.05); COMPLETE = True")
    with ThreadPoolExecutor(8) as pool:
        modules = list(pool.map(importlib.import_module, ["awaited_eight"] * 8))
    assert seen == [modules[0]]
    assert all(module.COMPLETE for module in modules)


def test_a_package_that_is_run_is_waited_for_too(tmp_path):
    package = tmp_path / "awaited_nine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("print('main')")
    program = (
        "import runpy; from meshware.outbound.on_import import on_import; "
        "on_import('awaited_nine', lambda: print('told')); runpy.run_module('awaited_nine')"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["told", "main"], ran.stderr
