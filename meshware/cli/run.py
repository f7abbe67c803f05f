"""`meshware run`: a command whose Python is meshed, though nobody edits the app."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from meshware import plugins
from meshware.cli.source import VARIABLE, here_is_importable, needs_overrides
from meshware.core.errors import SettingsError
from meshware.settings.files import is_file
from meshware.settings.load import load

BOOTSTRAP = str(Path(__file__).with_name("bootstrap"))
"""The directory of the sitecustomize.py that each Python of the command runs."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell says of such a command."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--settings", metavar="SOURCE", help="A file or a module; MESHWARE_SETTINGS when not given.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(settings: str | None, command: tuple[str, ...]) -> None:
    """Run COMMAND with the clients of its Python meshed: no line of the app is changed.

    SOURCE is a .toml, .yaml or .yml file, or a module with a dict named MESHWARE; MESHWARE__... variables stand
    above it. The settings are checked first. Then the command takes the place of this process: same pid,
    its own signals and exit code.

    In each Python that the command starts, a client is instrumented when the app imports it, and the mesh is made
    at the first call. Worker processes are meshed too, forked or not. Requests that come in are not touched: a
    call has its service's timeout, but requests share no deadline and no retry allowance with their calls. For
    that, and for Python started with -I, -E or -S, put a middleware into the app. An app that has meshware
    already keeps its own settings.

    \b
    Examples:
      meshware run --settings mesh.toml -- gunicorn shop.wsgi --workers 4
      meshware run --settings shop.mesh -- python -m shop.jobs
      MESHWARE_SETTINGS=mesh.yaml meshware run -- uvicorn shop.asgi:app
      meshware check mesh.toml --json        what it would run with, for programs

    Exit codes: the command's own; 2 the settings are wrong (each problem is printed) or the usage is, 126 and 127
    the command cannot be executed or found. The command has then not been started.
    """
    source = settings if settings is not None else os.environ.get(VARIABLE) or None
    if source is None:
        needs_overrides()
    here_is_importable()
    try:
        load({} if source is None else source, environ=os.environ)
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(2) from None
    _become(command, _environment(source))


def _environment(source: str | None) -> dict[str, str]:
    """What the command's Pythons are told."""
    path = os.environ.get("PYTHONPATH")
    told = {
        "PYTHONPATH": f"{BOOTSTRAP}{os.pathsep}{path}" if path else BOOTSTRAP,
        "MESHWARE_RUN_CLIENTS": ",".join(sorted(plugins.names(plugins.CLIENTS))),
        "MESHWARE_RUN_DIRECTORY": os.getcwd(),
        "MESHWARE_RUN_PID": str(os.getpid()),
    }
    if source is not None:
        told[VARIABLE] = os.path.abspath(source) if is_file(source) else source
    return {**os.environ, **told}


def _become(command: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    for each in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(each, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        click.echo(f"meshware run: {command[0]}: {error.strerror}", err=True)
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        raise click.exceptions.Exit(code) from None
