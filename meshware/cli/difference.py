"""`meshware check --diff`: what other settings would change, in words and for programs."""

from __future__ import annotations

import json
from typing import Any

import click

from meshware.cli.refused import refused
from meshware.cli.source import chosen
from meshware.core.errors import Problem, SettingsError
from meshware.settings.changes import Change, changes, in_words
from meshware.settings.load import validated
from meshware.settings.schema import MeshSettings


def difference(old: str, new: str, *, as_json: bool) -> None:
    """Print what changes. Raises click's Exit 1, with every problem of both, where one of them is not right."""
    problems: list[Problem] = []
    before, after = (_loaded(each, problems) for each in (old, new))
    if before is None or after is None:
        raise refused(SettingsError(problems), as_json=as_json, also={"changes": []})
    found = list(changes(before, after))
    if as_json:
        click.echo(json.dumps({"ok": True, "problems": [], "changes": [_told(each) for each in found]}, indent=2))
        return
    for line in in_words(found):
        click.echo(line)
    click.echo(f"{len(found)} change(s)" if found else "nothing would change")


def _loaded(source: str, problems: list[Problem]) -> MeshSettings | None:
    try:
        return validated(chosen(source))
    except SettingsError as error:
        problems += error.problems
        return None


def _told(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "kind": change.kind,
        "name": change.what,
        "old": change.old,
        "new": change.new,
    }
