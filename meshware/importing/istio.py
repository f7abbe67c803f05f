"""From Istio's and the Gateway API's documents to settings of ours, with all that could not be taken over.

The services have the profile `istio`. A host with rules answers 404 to calls that none of them is for, as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from meshware.core.errors import Problem, SettingsError
from meshware.files.contents import Unreadable, contents
from meshware.files.document import parse_several
from meshware.files.location import Location
from meshware.files.yaml_text import write_yaml
from meshware.importing.fields import FIELDS
from meshware.importing.hosts import Host, Hosts, read_entry
from meshware.importing.http_route import by_precedence, read_route
from meshware.importing.place import Document, Left, Place, Report, tell_unknown
from meshware.importing.policies import read_rule
from meshware.importing.rules import Made, Rule, routes
from meshware.importing.virtual_service import read_rules
from meshware.settings.load import load
from meshware.settings.references import nearest

GROUPS = {"HTTPRoute": "gateway.networking.k8s.io"}
ISTIO = "networking.istio.io"


@dataclass(frozen=True, slots=True)
class Imported:
    """Settings as plain data, and what of the documents is not in them."""

    files: tuple[str, ...]
    settings: dict[str, Any]
    left: tuple[Left, ...]

    def yaml(self) -> str:
        """As a file for a mesh, that says at its beginning what is not in it."""
        head = [f"Made by `meshware import istio` of {', '.join(self.files)}."]
        if self.left:
            head += ["Not taken over:", *(f"- {each}" for each in self.left)]
        comments = "".join(f"# {line}\n" for each in head for line in each.splitlines())
        return f"{comments}\n{write_yaml(self.settings)}"


def import_istio(files: Sequence[str], *, contents: Callable[[str], bytes] = contents) -> Imported:
    """What the files of these names say. Raises SettingsError with all that is wrong with them.

    `contents` reads one, or raises Unreadable.
    """
    report = Report()
    specs = [each for name in files for each in _specs(name, contents, report)]
    if not specs and not report.problems:
        report.problems.append(Problem("", ", ".join(files), f"documents: {', '.join(FIELDS)}"))
    hosts, found = Hosts(), _Found()
    for spec in specs:
        tell_unknown(spec)
    for kind, read in (("ServiceEntry", read_entry), ("DestinationRule", read_rule)):
        for spec in (each for each in specs if each.document.kind == kind):
            read(spec, hosts)
    for spec in specs:
        found.read(spec, hosts)
    hosts.settle()
    made, services = found.routes(), hosts.services()
    if report.problems:
        raise SettingsError(report.problems)
    settings: dict[str, Any] = {"defaults": {"profile": "istio"}, "services": services}
    if made:
        settings["routes"] = [route for route, _ in made]
    _Refused(settings, made, hosts).leave()
    return Imported(tuple(files), settings, tuple(report.left))


class _Found:
    """The rules of each host's calls, by port (0: all)."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[Host, dict[int, list[Rule]]]] = {}

    def read(self, spec: Place, hosts: Hosts) -> None:
        """What a VirtualService or an HTTPRoute says."""
        if spec.document.kind == "VirtualService":
            found, rules = read_rules(spec, hosts)
            for host in found:
                if self._of(host).setdefault(0, rules) is not rules:
                    spec["hosts"].left(f"{host.name} has an earlier VirtualService, and calls go by one only")
        elif spec.document.kind == "HTTPRoute":
            parents, rules = read_route(spec, hosts)
            for host, port in parents:
                of_port = self._of(host)
                of_port[port] = by_precedence([*of_port.get(port, ()), *rules])

    def _of(self, host: Host) -> dict[int, list[Rule]]:
        return self._rules.setdefault(host.full, (host, {}))[1]

    def routes(self) -> list[Made]:
        """All of them, host by host, port by port."""
        found: list[Made] = []
        for host, by_port in self._rules.values():
            for port in host.ports:
                rules = by_port.get(port, by_port.get(0))
                if rules is not None:
                    found += routes(host, port, rules)
        return _named_once(found)


def _named_once(made: list[Made]) -> list[Made]:
    """Names that stand twice, of a host with several ports, are told apart."""
    seen: set[str] = set()
    for route, _ in made:
        name = route.get("name")
        if name is None:
            continue
        number, unique = 1, name
        while unique in seen:
            number += 1
            unique = f"{name[:60]}-{number}"
        seen.add(unique)
        route["name"] = unique
    return made


# Documents


def _specs(name: str, contents: Callable[[str], bytes], report: Report) -> list[Place]:
    """The `spec` of each document of a file whose kind is known; the others are problems."""
    try:
        parsed = parse_several(name, contents(name))
    except Unreadable as error:
        report.problems.append(error.problem)
        return []
    found = []
    for at, each in _documents(parsed.data):
        document = Document(name, at, parsed.lines, "", "", "default", report)
        place = Place(document, (), each)
        if not isinstance(each, dict):
            place.refuse("a document with `kind`, `metadata` and `spec`")
            continue
        spec = _spec(place, each)
        if spec is not None:
            found.append(spec)
    return found


def _documents(parsed: list[Any]) -> Iterator[tuple[Location, Any]]:
    """Those that are not empty; each of a `List`, as kubectl writes it."""
    for number, each in enumerate(parsed):
        items = each.get("items") if isinstance(each, dict) and each.get("kind") == "List" else None
        if isinstance(items, list):
            yield from (((number, "items", place), one) for place, one in enumerate(items))
        elif each is not None:
            yield (number,), each


def _spec(place: Place, raw: dict[str, Any]) -> Place | None:
    kind, group = place["kind"].text(), place["apiVersion"].text().partition("/")[0]
    if kind not in FIELDS or group != GROUPS.get(kind, ISTIO):
        close = nearest(kind, FIELDS)
        known = ", ".join(f"{each} ({GROUPS.get(each, ISTIO)})" for each in FIELDS)
        at = place["kind"] if kind not in FIELDS else place["apiVersion"]
        where = place.document.where(at.path)
        expected = f"one of {known}"
        place.document.report.problems.append(Problem(".".join(map(str, at.path)), at.value, expected, close, where))
        return None
    name, namespace = place["metadata.name"].text(), place["metadata.namespace"].text("default")
    there = place.document
    document = Document(there.file, there.at, there.lines, kind, name, namespace, there.report)
    spec = Place(document, ("spec",), raw.get("spec"))
    if not isinstance(spec.value, dict):
        spec.refuse("a section")
        return None
    return spec


# What our settings refuse

_ROUTE = re.compile(r"routes\[(\d+)\](?:\.(\w+))?")
_APART = {"rewrite", "request_headers", "response_headers", "retry", "faults", "timeout", "name"}
"""What can be left out of a route without its being for other calls, or leading elsewhere."""


class _Refused:
    """Leaves out what our settings refuse, key by key, route by route, section by section, until they take the rest."""

    def __init__(self, settings: dict[str, Any], made: list[Made], hosts: Hosts) -> None:
        self._settings, self._made, self._hosts = settings, made, hosts

    def leave(self) -> None:
        """Raises SettingsError where nothing more can be left out."""
        while True:
            try:
                load(self._settings)
                return
            except SettingsError as error:
                whole: set[int] = set()
                left = [self._left(each, whole) for each in error.problems]
                if not any(left):
                    raise
                self._made = [each for number, each in enumerate(self._made) if number not in whole]
                self._settings["routes"] = [route for route, _ in self._made]

    def _left(self, problem: Problem, whole: set[int]) -> bool:
        found = _ROUTE.match(problem.path)
        if found is None:
            return self._section(problem)
        number, key = int(found[1]), found[2]
        route, place = self._made[number]
        if key not in _APART:
            whole.add(number)
            if "name" in route:  # the one without is ours, for calls that no rule is for
                place.left(f"its route is left out as a whole: {problem.expected}")
            return True
        if key not in route:
            return False
        del route[key]
        place.left(f"{problem.path.partition('.')[2]} of its route: {problem.expected}")
        return True

    def _section(self, problem: Problem) -> bool:
        for name, service in self._settings["services"].items():
            rest = problem.path.removeprefix(f"services.{name}.")
            key = re.split(r"[.\[]", rest)[0]
            if rest != problem.path and key in service and key != "endpoints":
                del service[key]
                self._hosts.origin[name].left(f"{rest} of service {name}: {problem.expected}")
                return True
        return False
