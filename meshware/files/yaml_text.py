"""YAML read event by event, so that nothing is built that is not wanted.

PyYAML's own composer follows aliases and tags first and lets its caller see what became of them. Here each
alias costs what stands behind it, a key may stand once, nothing is tagged but plain values, and the path
and the line of each key are known. Dates stay text. Merge keys (`<<`) work as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from meshware.core.errors import MissingExtra
from meshware.files import limits
from meshware.files.location import Location, spelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_TAG = "tag:yaml.org,2002:"
_TEXT, _MERGE = _TAG + "str", _TAG + "merge"
_PLAIN = {_TAG + kind for kind in ("null", "bool", "int", "float", "str")}

_LONGEST = 64
"""Characters of a number: `1:1:1...` would cost the square of its length."""


class NotYaml(ValueError):
    """What was read up to a place where it cannot go on."""

    def __init__(self, expected: str, location: Location, line: int | None) -> None:
        super().__init__(expected)
        self.expected, self.location, self.line = expected, location, line


def read_yaml(text: str, *, nodes: int = limits.NODES) -> tuple[Any, dict[Location, int]]:
    """The one document in a text, and the line of each of its values; of at most so many `nodes`.

    Raises NotYaml; MissingExtra without PyYAML.
    """
    return _read(text, nodes, _Reader.document)


def read_several(text: str, *, nodes: int = limits.NODES) -> tuple[list[Any], dict[Location, int]]:
    """All documents in a text, in a list, and the lines of their values, as `read_yaml`."""
    return _read(text, nodes, _Reader.documents)


def write_yaml(data: Any) -> str:
    """Plain data as one document, without anchors. Raises MissingExtra without PyYAML."""
    yaml = _yaml()
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})
    return str(yaml.dump(data, Dumper=dumper, sort_keys=False, width=120, allow_unicode=True))


def _yaml() -> ModuleType:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtra("PyYAML", "yaml") from error
    return yaml


def _read(text: str, nodes: int, read: Callable[[_Reader], Any]) -> tuple[Any, dict[Location, int]]:
    yaml, reader = _yaml(), None
    try:
        reader = _Reader(yaml, text, nodes)
        return read(reader), reader.lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        location = () if reader is None else reader.location
        too_deep = "nesting depth" in str(reason)  # libyaml 0.2.6 looks ahead, and has a limit of its own
        expected = limits.TOO_DEEP if too_deep else f"YAML: {reason}"
        raise NotYaml(expected, location, None if mark is None else mark.line + 1) from None


class _Reader:
    """Builds plain data of a parser's events, and counts what it builds."""

    def __init__(self, yaml: ModuleType, text: str, most: int) -> None:
        self.lines: dict[Location, int] = {}
        self.location: Location = ()
        self._yaml = yaml
        self._parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self._line = 1
        self._nodes, self._most = 0, most
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        """What stands behind a name, and how many nodes; None while it is being read."""

    def document(self) -> Any:
        self._next()  # the stream begins
        if isinstance(self._next(), self._yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), ())
        self._next()  # the document ends
        if not isinstance(self._next(), self._yaml.StreamEndEvent):
            self._refuse("one document, and no second")
        return value

    def documents(self) -> list[Any]:
        found: list[Any] = []
        self._next()  # the stream begins
        while not isinstance(self._next(), self._yaml.StreamEndEvent):
            self._anchors.clear()  # a document's own
            found.append(self._value(self._next(), (len(found),)))
            self._next()  # the document ends
        return found

    def _next(self) -> Any:
        event = self._parser.get_event()
        self._line = event.start_mark.line + 1
        return event

    def _value(self, event: Any, location: Location) -> Any:
        self.location = location
        self.lines.setdefault(spelled(location), self._line)
        before = self._nodes
        self._count(1)
        if isinstance(event, self._yaml.AliasEvent):
            return self._alias(event.anchor)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        plain = isinstance(event, self._yaml.ScalarEvent)
        value = self._scalar(event) if plain else self._collection(event, location)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._most:
            self._refuse(limits.too_many(self._most))

    def _alias(self, anchor: str) -> Any:
        if anchor not in self._anchors:
            self._refuse(f"an anchor named {anchor!r} before its alias")
        found = self._anchors[anchor]
        if found is None:
            self._refuse(f"an alias for something else than what it stands in ({anchor!r})")
        value, nodes = found
        self._count(nodes)
        return value

    def _collection(self, event: Any, location: Location) -> Any:
        if len(location) >= limits.DEPTH:
            self._refuse(limits.TOO_DEEP)
        is_mapping = isinstance(event, self._yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_mapping else "seq")):
            self._refuse(f"no tag {event.tag!r}: plain values, lists and sections only")
        return self._mapping(location) if is_mapping else self._list(location)

    def _list(self, location: Location) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), self._yaml.SequenceEndEvent):
            found.append(self._value(event, (*location, len(found))))
        return found

    def _mapping(self, location: Location) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        merged: list[Any] = []
        while not isinstance(event := self._next(), self._yaml.MappingEndEvent):
            if not isinstance(event, self._yaml.ScalarEvent):
                self._refuse("text as a key")
            if self._tag(event) == _MERGE:
                merged += self._merge(location)
                continue
            key = self._scalar(event)
            self.location = below = (*location, str(key))
            if key in found:
                self._refuse("each key once")
            self.lines[spelled(below)] = self._line  # a section's is its key's
            found[key] = self._value(self._next(), below)
        for each in merged:
            found = each | found
        return found

    def _merge(self, location: Location) -> list[dict[Any, Any]]:
        """What `<<` stands for: a section or a list of them, of which the first counts most."""
        value = self._value(self._next(), (*location, "<<"))
        sections = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in sections):
            self.location = (*location, "<<")
            self._refuse("a section to merge, or a list of sections")
        self._count(sum(len(each) for each in sections))
        return sections

    def _tag(self, event: Any) -> str:
        if event.tag not in (None, "!"):
            return str(event.tag)
        if len(event.value) > _LONGEST:
            return _TEXT
        return str(self._parser.resolve(self._yaml.ScalarNode, event.value, event.implicit))

    def _scalar(self, event: Any) -> Any:
        tag = self._tag(event)
        if tag == _TEXT:
            return event.value
        if tag not in _PLAIN:
            if event.tag in (None, "!"):  # such as a date
                return event.value
            self._refuse(f"no tag {tag!r}: plain values, lists and sections only")
        if len(event.value) > _LONGEST:
            self._refuse(f"at most {_LONGEST} characters")
        try:
            return self._parser.yaml_constructors[tag](self._parser, self._yaml.ScalarNode(tag, event.value))
        except (ValueError, LookupError):
            self._refuse(f"{tag.removeprefix(_TAG)}, as its tag says")

    def _refuse(self, expected: str) -> NoReturn:
        raise NotYaml(expected, self.location, self._line)
