"""`meshware run`: real commands, real servers, and not a line of ours in the app."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cli.meshed import MESHWARE, SCRIPT
from click.testing import CliRunner

from meshware.cli import main
from meshware.cli.run import BOOTSTRAP


def run(*command, settings="mesh.toml", **environment):
    """What `meshware run --settings mesh.toml -- COMMAND` printed, and its exit code."""
    options = [] if settings is None else ["--settings", settings]
    return subprocess.run(
        [MESHWARE, "run", *options, "--", *command],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def python(program, **options):
    """The same of a Python program."""
    return run(sys.executable, "-c", textwrap.dedent(program), **options)


# An app that nobody edits


@pytest.mark.parametrize("command", [["app.py"], ["-m", "app"], ["-c", SCRIPT]])
def test_a_scripts_calls_are_meshed(folder, command):
    ran = run(sys.executable, *command)
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_without_it_the_same_script_finds_nobody(folder):
    ran = subprocess.run([sys.executable, "app.py"], capture_output=True, text=True, timeout=60)
    assert "NameResolutionError" in ran.stderr or "Failed to resolve" in ran.stderr


def test_the_dashes_may_be_left_out_and_the_commands_options_are_its_own(folder):
    command = [
        MESHWARE,
        "run",
        "--settings",
        "mesh.toml",
        sys.executable,
        "-c",
        "import sys; print(sys.argv)",
        "--settings",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "['-c', '--settings']\n"


def test_the_settings_may_be_a_module_where_the_command_is_called(folder, inventory):
    Path("shop_mesh.py").write_text(
        f"MESHWARE = {{'services': {{'inventory': {{'endpoints': ['{inventory.address}']}}}}}}"
    )
    Path("below").mkdir()
    Path("below/app.py").write_text(SCRIPT)
    ran = run(sys.executable, "below/app.py", settings="shop_mesh")
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_the_settings_may_be_named_in_the_environment(folder):
    assert run(sys.executable, "app.py", settings=None, MESHWARE_SETTINGS="mesh.toml").stdout == "inventory\n"


def test_the_settings_may_be_in_the_environment(folder, inventory):
    ran = run(sys.executable, "app.py", settings=None, MESHWARE__SERVICES__INVENTORY__ENDPOINTS=inventory.address)
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_variables_stand_above_the_file(folder, inventory):
    Path("mesh.toml").write_text('[services.inventory]\nendpoints = ["192.0.2.1:1"]\n')
    ran = run(sys.executable, "app.py", MESHWARE__SERVICES__INVENTORY__ENDPOINTS=inventory.address)
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_a_command_that_changes_its_directory_keeps_its_settings(folder):
    ran = python(f"import os; os.chdir('/')\n{SCRIPT}")
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_pythons_that_the_app_starts_are_meshed_too(folder):
    ran = python("""
        import multiprocessing, subprocess, sys
        subprocess.run([sys.executable, "app.py"], check=True)

        if __name__ == "__main__":
            import app
            child = multiprocessing.get_context("spawn").Process(target=print, args=(1,))
            child.start(); child.join()
        """)
    assert ran.stdout.split()[:2] == ["inventory", "inventory"]


def test_nothing_is_imported_before_the_app_wants_it(folder):
    ran = python("import sys; print(*sys.modules)")
    loaded = set(ran.stdout.split())
    assert "meshware.inbound.unedited" in loaded
    assert not loaded & {"requests", "urllib3", "httpx", "httpx2", "pydantic", "click", "meshware.mesh", "asyncio"}


@pytest.mark.parametrize("client", ["requests", "httpx", "httpx2"])
def test_a_client_that_is_imported_brings_no_other(folder, client):
    pytest.importorskip(client)
    ran = python(f"import sys, {client}; print(*sys.modules)")
    assert ran.stderr == ""
    loaded = set(ran.stdout.split())
    assert loaded & {"requests", "httpx", "httpx2"} == {client}
    assert "meshware.outbound.instrument" in loaded
    assert "pydantic" not in loaded


def test_an_own_sitecustomize_is_run_as_ever(folder):
    (folder / "own").mkdir()
    (folder / "own" / "sitecustomize.py").write_text("print('own')")
    program = "import sitecustomize, sys; print(sitecustomize.__file__); import app; print(sys.path)"
    ran = python(program, PYTHONPATH=str(folder / "own"))
    own, file, name, path = ran.stdout.splitlines()[-4:]  # meshware's own Python ran it, too
    assert (own, file, name) == ("own", str(folder / "own" / "sitecustomize.py"), "inventory")
    assert BOOTSTRAP not in path


def test_an_own_sitecustomize_that_fails_is_told_as_ever_and_the_app_is_meshed(folder):
    (folder / "own").mkdir()
    (folder / "own" / "sitecustomize.py").write_text("1 / 0")
    ran = run(sys.executable, "app.py", PYTHONPATH=str(folder / "own"))
    assert ran.stdout == "inventory\n"
    assert "Error in sitecustomize" in ran.stderr


def test_an_app_that_has_meshware_already_keeps_its_own_settings(folder, inventory):
    Path("mesh.toml").write_text('[services.inventory]\nendpoints = ["192.0.2.1:1"]\n')
    ran = python(f"""
        import meshware
        meshware.Mesh.from_settings({{"services": {{"inventory": {{"endpoints": ["{inventory.address}"]}}}}}}).install()
        import app
        """)
    assert (ran.stdout, ran.stderr) == ("inventory\n", "")


def test_settings_that_are_gone_leave_the_app_as_it_was_and_say_so(folder, inventory):
    program = (
        f"import os, requests; os.remove('mesh.toml'); print(requests.get('http://{inventory.address}/').status_code)"
    )
    ran = python(program)
    assert ran.stdout == "200\n"
    assert ran.stderr.count("there is no mesh in process") == 1
    assert "No such file" in ran.stderr


def test_a_python_without_meshware_says_so_and_runs(folder):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "bare"], check=True, timeout=60)
    ran = run("bare/bin/python", "-c", "print('ran')")
    assert ran.stdout == "ran\n"
    assert "meshware run: nothing is meshed by" in ran.stderr


# The command's place


def test_the_command_has_the_same_process_and_its_own_exit_code(folder):
    command = [MESHWARE, "run", "--settings", "mesh.toml", "--", sys.executable, "-c"]
    child = subprocess.Popen([*command, "import os, sys; print(os.getpid()); sys.exit(7)"], stdout=subprocess.PIPE)
    out, _ = child.communicate(timeout=60)
    assert int(out) == child.pid
    assert child.returncode == 7


def test_signals_are_the_commands(folder):
    program = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); "
        "print('up', flush=True); signal.pause()"
    )
    command = [MESHWARE, "run", "--settings", "mesh.toml", "--", sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\n"
        child.terminate()
        assert child.wait(60) == 5


def test_signals_that_python_ignores_are_not_ignored_by_other_commands(folder):
    assert run("sh", "-c", "kill -PIPE $$").returncode == -signal.SIGPIPE


def test_a_command_that_is_nowhere_is_127(folder):
    ran = run("no-such-command-anywhere")
    assert (ran.returncode, ran.stdout) == (127, "")
    assert ran.stderr == "meshware run: no-such-command-anywhere: No such file or directory\n"


def test_a_command_that_cannot_be_executed_is_126(folder):
    ran = run("./mesh.toml")
    assert (ran.returncode, ran.stderr) == (126, "meshware run: ./mesh.toml: Permission denied\n")


# Wrong settings


def test_wrong_settings_are_all_told_and_the_command_is_not_started(folder):
    Path("mesh.toml").write_text("wrong = 1\n[services.inventory]\nendpoints = []\n")
    ran = run("touch", "started", MESHWARE__SERVICES__INVENTORY__TIMOUT="1")
    assert ran.returncode == 2
    assert ran.stdout == ""
    for expected in [
        "3 problem(s)",
        "mesh.toml: wrong: 1: unknown key",
        "mesh.toml: services.inventory.endpoints",
        "MESHWARE__SERVICES__INVENTORY__TIMOUT: services.inventory.timout",
        "did you mean 'timeout'?",
    ]:
        assert expected in ran.stderr
    assert not Path("started").exists()


@pytest.mark.parametrize("settings", ["", "no_such_module", "nothing.toml"])
def test_settings_that_are_nowhere_are_told(folder, settings):
    ran = run("touch", "started", settings=settings)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "1 problem(s)" in ran.stderr
    assert not Path("started").exists()


def test_no_settings_at_all_are_a_wrong_usage(folder):
    ran = CliRunner().invoke(main, ["run", "--", "touch", "started"])
    assert ran.exit_code == 2
    assert "or set MESHWARE_SETTINGS" in ran.stderr


def test_a_variable_that_is_nearly_the_right_one_is_named(folder, monkeypatch):
    monkeypatch.setenv("MESHWARE_SETTING", "mesh.toml")
    ran = CliRunner().invoke(main, ["run", "--", "touch", "started"])
    assert ran.exit_code == 2
    assert "(you have set MESHWARE_SETTING)" in ran.stderr


# In this process, where it can be measured: what would be executed


@pytest.fixture
def executed(folder, monkeypatch):
    """What stands in for `os.execvpe`: the commands and their environments."""
    seen = []
    monkeypatch.setattr(os, "execvpe", lambda *facts: seen.append(facts))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return seen


@pytest.mark.parametrize("before", [None, "", "/own"])
def test_the_command_is_told_what_its_pythons_need(executed, monkeypatch, folder, before):
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    assert CliRunner().invoke(main, ["run", "--settings", "mesh.toml", "--", "touch", "-x"]).exit_code == 0
    ((name, command, environment),) = executed
    assert (name, command) == ("touch", ("touch", "-x"))
    assert environment["MESHWARE_SETTINGS"] == str(folder / "mesh.toml")
    assert environment["PYTHONPATH"] == (f"{BOOTSTRAP}{os.pathsep}/own" if before else BOOTSTRAP)
    assert "requests" in environment["MESHWARE_RUN_CLIENTS"].split(",")


def test_the_settings_of_the_environment_are_told_as_they_were(executed, monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICE", "shop")
    assert CliRunner().invoke(main, ["run", "touch"]).exit_code == 0
    assert "MESHWARE_SETTINGS" not in executed[0][2]


def test_problems_come_with_exit_code_2(executed):
    Path("mesh.toml").write_text("wrong = 1")
    ran = CliRunner().invoke(main, ["run", "--settings", "mesh.toml", "touch"])
    assert (ran.exit_code, executed) == (2, [])
    assert "mesh.toml: wrong" in ran.stderr


@pytest.mark.parametrize(("error", "code"), [(FileNotFoundError(2, "none"), 127), (PermissionError(13, "no"), 126)])
def test_what_cannot_be_executed_says_why(executed, monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, "execvpe", fail)
    ran = CliRunner().invoke(main, ["run", "--settings", "mesh.toml", "touch"])
    assert (ran.exit_code, ran.stderr) == (code, f"meshware run: touch: {error.strerror}\n")
