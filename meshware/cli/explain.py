"""`meshware explain`: what would become of a call under some settings, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from meshware.cli.refused import refused
from meshware.cli.source import chosen
from meshware.core.errors import SettingsError
from meshware.core.telling import Pick
from meshware.explain.explanation import Explanation, Limit, Told
from meshware.mesh import Mesh
from meshware.settings.load import validated


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("--settings", "source", metavar="SOURCE", help="As `meshware check` takes it; else MESHWARE_SETTINGS.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Of the call; may be repeated.")
@click.option("--context", "context", multiple=True, metavar="NAME=VALUE", help="What the app says by annotate().")
@click.option("--identity", help="Who made the inbound request.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds that the client is given.")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds left of the inbound request.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    method: str,
    url: str,
    source: str | None,
    headers: Sequence[str],
    context: Sequence[str],
    identity: str | None,
    timeout: float | None,
    deadline: float | None,
    as_json: bool,
) -> None:
    """Say where a call of METHOD to URL would go, and why.

    It tells each route that is looked at and what speaks against it, the draw of a split, who is looked at for an
    endpoint with the terms of each score, and which deadline counts. Nothing is sent. It is the settings' answer, for a
    mesh that has learned nothing yet; a running one has `mesh.explain(...)`, and `mesh.explained(request_id)` for calls
    that were made. A service whose endpoints are discovered has none here.

    \b
    Examples:
      meshware explain GET http://inventory/items --settings mesh.toml
      meshware explain GET http://inventory/items -H 'x-beta: 1' --context user=42 --json

    Exit codes: 0 it would be sent or answered, 1 it would be refused, or the settings are not right, 2 wrong usage.
    """
    given = _pairs(headers, ":", "--header"), _pairs(context, "=", "--context")
    try:
        mesh = Mesh(validated(chosen(source)))
    except SettingsError as error:
        raise refused(error, as_json=as_json, also={}) from None
    try:
        told = mesh.explain(
            method,
            url,
            headers=given[0],
            context=given[1] or None,
            identity=identity,
            timeout=timeout,
            deadline=deadline,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps({"ok": told.refused is None, **told.plain()}, indent=2))
    else:
        Console().print(_tree(told), highlight=False)
    if told.refused is not None:
        raise click.exceptions.Exit(1)


def _pairs(given: Sequence[str], sign: str, option: str) -> dict[str, str]:
    pairs = [each.partition(sign) for each in given]
    for name, found, _ in pairs:
        if not found or not name.strip():
            raise click.BadParameter(f"a name, {sign!r} and a value, not {name!r}", param_hint=option)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _tree(told: Explanation) -> Tree:
    tree = Tree(escape(f"{told.method} {told.asked}{told.path}"))
    routes = tree.add("routes" if told.routes else "no routes")
    for each in told.routes:
        against = "" if each.unmet is None else f": {each.unmet} is {each.seen}, wanted {each.wanted}"
        routes.add(escape(f"{'no ' if against else 'yes'} {each.route} (of {each.service}){against}"))
    if told.split is not None:
        shares = ", ".join(f"{name} {100 * share:.4g} %" for name, share in told.split.shares.items())
        by = "by lot" if told.split.key is None else f"by {told.split.key!r}"
        routes.add(escape(f"split {shares}: at {told.split.place:.4f} {by}, so {told.split.service}"))
    service = tree.add(escape(f"{told.service}{told.target}"))
    for line in _standing(told):
        service.add(escape(line))
    for attempt in told.attempts:
        _add_attempt(tree, attempt)
    if told.refused is not None:
        tree.add(escape(f"refused: {told.refused}"))
    return tree


def _standing(told: Explanation) -> Iterator[str]:
    if told.reply is not None:
        yield f"answered by the route with {told.reply}"
    if told.deadline is not None:
        yield f"deadline {_limit(told.deadline)}"
    if told.above:
        yield f"above the service's: {', '.join(f'{name} ({what})' for name, what in told.above.items())}"
    found = told.standing
    if found is None:
        return
    limited = "" if found.limit is None else f", {found.in_flight} of {found.limit:.0f} in flight"
    yield f"circuit {found.circuit}, {found.tokens:.1f} tokens for retries{limited}"
    pace = "not known yet" if found.p95 is None else f"p95 {found.p95:.4g} s"
    yield f"operation {found.operation}: {pace}"
    yield from (f"{address}: {state}" for address, state in found.barred.items())
    yield from (line for said, line in ((found.guard, "the fleet guard holds"), (found.panic, "panic")) if said)


def _limit(limit: Limit) -> str:
    others = ", ".join(f"{by} {seconds:.4g}" for by, seconds in limit.said.items() if by != limit.by)
    return f"{limit.seconds:.4g} s by {limit.by}" + (f" (beside {others})" if others else "")


def _add_attempt(tree: Tree, told: Told) -> None:
    branch = tree.add(escape(f"{told.endpoint or 'an endpoint that cannot be foretold'}, by {told.by}"))
    for pick in told.picks:
        facts = [f"{name} {value}" for name, value in pick.facts.items()]
        failed = [] if pick.failed is None else [pick.failed]
        if facts or failed:
            branch.add(escape("; ".join(facts + failed)))
        if pick.candidates:
            branch.add(_candidates(pick))
    branch.add(f"timeout {_limit(told.timeout)}")
    branch.add(f"connect {_limit(told.connect)}")
    branch.add("no hedge" if told.hedge_after is None else f"hedge after {told.hedge_after:.4g} s")


def _candidates(pick: Pick) -> Table:
    names: dict[str, Any] = {name: None for each in pick.candidates.values() for name in each.terms}
    table = Table(box=None, pad_edge=False)
    table.add_column("candidate")
    for name in ("score", *names):
        table.add_column(escape(name), justify="right")
    for each in pick.candidates.values():
        taken = "bold" if each.address == pick.endpoint else None
        figures = [f"{each.terms[name]:.4g}" if name in each.terms else "" for name in names]
        table.add_row(escape(each.address), f"{each.score:.4g}", *figures, style=taken)
    return table
