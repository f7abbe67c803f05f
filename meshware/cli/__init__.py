"""The `meshware` command. Each subcommand is imported when it is used, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "check": ("meshware.cli.check:check", "Say every error in the settings, before anything starts."),
    "demo": ("meshware.cli.demo.command:demo", "One incident on real servers: without, decorated, with meshware."),
    "explain": ("meshware.cli.explain:explain", "Where a call would go, and why: routes, split, scores, deadlines."),
    "import": ("meshware.cli.importing:importing", "Make settings of what another mesh is configured by."),
    "plugins": ("meshware.cli.plugins:plugins", "What is installed under each plugin group, and from where."),
    "run": ("meshware.cli.run:run", "Run a command with its clients meshed, without a line in the app."),
    "schema": ("meshware.cli.schema:schema", "What may be written in the settings: a page, or a JSON Schema."),
    "shift": ("meshware.cli.shift:shift", "Where shifts stand; pause, resume, revert or promote one."),
    "simulate": ("meshware.cli.simulate:simulate", "Compare strategies in simulated fleets, beside an oracle."),
}


class _Lazy(click.Group):
    """Knows its commands by their names and short helps."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in sorted(_COMMANDS.items())])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="meshware")
def main() -> None:
    """Service-mesh behaviour for Python web services, inside the process.

    Every command has --help, and --json for programs. Exit codes: 0 all is well, 1 something is wrong with
    what was looked at, 2 the command line is wrong; `import` has 3 where it left something out, `run` those of what
    it runs.
    """
