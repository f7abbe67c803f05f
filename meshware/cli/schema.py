"""`meshware schema`: what may be written in the settings, made from the models that read them."""

from __future__ import annotations

import json

import click

from meshware.settings.reference import json_schema, markdown


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema (2020-12).")
def schema(as_json: bool) -> None:
    """Print every setting with its type, its default and its meaning, section by section, in Markdown.

    With --json it is the JSON Schema, for editors and other tools. What it refuses, meshware refuses; what only
    a look at the world can tell (whether a file is there, a strategy installed) is for `meshware check`.

    \b
    Examples:
      meshware schema | less
      meshware schema --json > mesh.schema.json

    \b
    In the first line of a YAML file, for editors with a YAML language server:
      # yaml-language-server: $schema=mesh.schema.json

    Exit codes: 0.
    """
    click.echo(json.dumps(json_schema(), indent=2) if as_json else markdown())
