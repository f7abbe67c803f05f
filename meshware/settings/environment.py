"""Settings from environment variables, above those of any source: `MESHWARE__SERVICES__INVENTORY__TIMEOUT=1.5`.

Two underscores stand between keys; case does not matter. In a service's name one underscore stands for whatever
a variable's name cannot hold: `BILLING_8443` is `billing:8443`, `USER_API` is `user-api`. Deeper keys stand above
shallower ones, whatever the order of the variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from meshware.core.errors import Problem
from meshware.files import limits
from meshware.settings import shape
from meshware.settings.grammar import Refused
from meshware.settings.late import model_in
from meshware.settings.origin import Source, dotted, spelled
from meshware.settings.references import nearest
from meshware.settings.schema import MeshSettings, ServiceSettings

PREFIX = "MESHWARE__"
BETWEEN = "__"

Keys = tuple[str, ...]

_OURS = "MESHWARE_"
_SERVICES = "services"
_WHERE_IT_IS = ("endpoints", "discovery")
_UNWRITABLE = re.compile(r"[-.:]")


def overridden(source: Source, environ: Mapping[str, str]) -> Source:
    """The source with what the environment sets above it; what cannot be set is among its problems."""
    variables = [name for name in environ if is_override(name)]
    if not variables or not isinstance(source.settings, Mapping):
        return source
    above = _Above(source, variables)
    for name in sorted(variables, key=lambda each: (each.count(BETWEEN), each)):
        above.set(name, environ[name])
    problems = (*source.problems, *above.problems)
    return replace(source, settings=above.settings, overrides=above.overrides, problems=problems)


def is_override(variable: str) -> bool:
    """Whether a variable is meant for the settings: one with a single underscore after MESHWARE is, if others follow.

    What Kubernetes sets for a service named meshware, such as MESHWARE_SERVICE_HOST, is not.
    """
    name = variable.upper()
    return name.startswith(_OURS) and BETWEEN in name


class _Above:
    """A source's settings, copied where something is set in them."""

    def __init__(self, source: Source, variables: Iterable[str]) -> None:
        self.settings = shape.plain(source.settings)
        self.overrides = dict(source.overrides)
        self.problems: list[Problem] = []
        keys = [_split(each) for each in variables]
        self._new = {each[1] for each in keys if len(each) > 2 and each[0] == _SERVICES and each[2] in _WHERE_IT_IS}

    def set(self, variable: str, raw: str) -> None:
        """Set what one variable says, or remember why not."""
        keys: Keys = ()
        try:
            if not variable.upper().startswith(PREFIX):
                raise Refused(f"a variable that begins with {PREFIX}", PREFIX + variable[len(_OURS) :])
            keys = _split(variable)
            if not all(keys):
                raise Refused(f"a variable named like {PREFIX}SERVICES__INVENTORY__TIMEOUT")
            if len(keys) > 1 and keys[0] == _SERVICES:
                keys = (_SERVICES, *self._service(keys[1:]))
            self._put(keys, _value(raw, _annotation(keys)), variable)
        except Refused as error:
            self.problems.append(Problem(dotted(keys), raw, str(error), error.nearest, variable))

    def _service(self, keys: Keys) -> Keys:
        """Keys whose first is the service's name as the settings spell it; that may have taken several."""
        services = shape.plain(self.settings.get(_SERVICES))
        known = [name for name in services if isinstance(name, str)] if isinstance(services, dict) else []
        for taken in range(len(keys), 0, -1):
            meant = [name for name in known if _writable(name) == BETWEEN.join(keys[:taken])]
            if len(meant) > 1:
                raise Refused(f"one service, but this is {' and '.join(meant)}: set it in the settings themselves")
            if meant:
                return (meant[0], *keys[taken:])
        if len(keys) > 1 and keys[0] not in self._new:
            close = nearest(keys[0], known)
            raise Refused(f"a service of the settings (known: {', '.join(known) or 'none'})", close)
        return keys

    def _put(self, keys: Keys, value: Any, variable: str) -> None:
        section = self.settings
        for depth, key in enumerate(keys[:-1], 1):
            below = shape.plain(section.get(key))
            if not isinstance(below, dict | None):
                raise Refused(f"{dotted(keys[:depth])} as a whole: it is {below!r:.40}, with no keys in it")
            if below is None:  # the section is there for this variable only
                self.overrides[spelled(keys[:depth])] = variable
            section[key] = section = dict(below or {})
        section[keys[-1]] = value
        self.overrides[spelled(keys)] = variable


def _split(variable: str) -> Keys:
    return tuple(variable[len(PREFIX) :].lower().split(BETWEEN))


def _writable(name: str) -> str:
    """A service's name as the name of a variable can hold it."""
    return _UNWRITABLE.sub("_", name.removesuffix("."))


def _annotation(keys: Keys) -> Any:
    """What the models say of a setting; None where they say nothing."""
    model: Any = MeshSettings
    below = keys
    if keys[0] == _SERVICES and len(keys) > 1:
        model, below = ServiceSettings, keys[2:]
    annotation: Any = None
    for key in below:
        field = getattr(model, "model_fields", {}).get(key)
        annotation = None if field is None else field.annotation
        model = model_in(annotation)
    return annotation


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types of `A | Annotated[B, ...]`: A and B."""
    yield annotation
    if get_origin(annotation) in (Annotated, Union, UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)


def _value(raw: str, annotation: Any) -> Any:
    """What a setting of this type is given: text without quotes, a list without brackets, else JSON, else text."""
    kinds = list(_alternatives(annotation))
    begins = raw.lstrip()[:1]
    if str in kinds and begins != '"':
        return raw
    is_list = any(get_origin(each) is tuple for each in kinds)
    text = f"[{raw}]" if is_list and begins == "{" else raw
    value = _plain(text)
    wants_list = is_list and not isinstance(value, list) and begins != "{"
    if wants_list and (begins != "[" or "]:" in raw):  # [::1]:80 is no JSON that went wrong
        return [_plain(each.strip()) for each in raw.split(",") if each.strip()]
    if value is text and begins in ("[", "{", '"'):
        raise Refused(f"JSON, as it begins with {begins}")
    too_much = limits.excess(value)
    if too_much:
        raise Refused(too_much)
    return value


def _plain(raw: str) -> Any:
    """JSON where it is JSON, else the text."""
    try:
        return json.loads(raw, parse_constant=float)
    except ValueError:
        return raw
    except RecursionError:
        raise Refused(limits.TOO_DEEP) from None
