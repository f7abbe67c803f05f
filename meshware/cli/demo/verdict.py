"""What was asked of a drill, and what was found: in a table, as JSON, and as the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text


class Budget(NamedTuple):
    """One thing that was asked; `found` None: it did not happen."""

    name: str
    limit: float
    found: float | None

    @property
    def kept(self) -> bool:
        """Whether it was so."""
        return self.found is not None and self.found <= self.limit


def conclude(drilled: dict[str, Any], seen: RenderableType, asked: Sequence[Budget], *, as_json: bool) -> None:
    """Print a drill's figures, or what was `seen` of them, and the budgets. Exit(1) where one was missed."""
    if as_json:
        said = [{**each._asdict(), "kept": each.kept} for each in asked]
        click.echo(json.dumps({**drilled, "budgets": said}, indent=2))
    else:
        Console().print(Group(seen, Text(), kept_table(asked)))
    if not all(each.kept for each in asked):
        raise click.exceptions.Exit(1)


def kept_table(asked: Sequence[Budget]) -> Table:
    """What was asked and found."""
    kept = Table(title="budgets")
    for title in ("", "found", "at most", ""):
        kept.add_column(title, justify="right" if title else "left")
    for budget in asked:
        word = Text("kept", style="green") if budget.kept else Text("MISSED", style="bold red")
        kept.add_row(budget.name, "never" if budget.found is None else f"{budget.found:.3g}", f"{budget.limit:g}", word)
    return kept
