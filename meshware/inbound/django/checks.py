"""`manage.py check`: each wrong setting as a message of its own, and the middleware where it must be."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from meshware.core.errors import Problem, SettingsError
from meshware.settings.load import load
from meshware.settings.sources import from_django

TAG = "meshware"
MIDDLEWARE = "meshware.inbound.django.MeshMiddleware"


def settings_are_right(**_kwargs: Any) -> list[CheckMessage]:
    """meshware.E001: MESHWARE is missing or no dict; meshware.E002: something in it is wrong."""
    try:
        given = from_django(settings)
    except SettingsError:
        said = f"MESHWARE is {getattr(settings, 'MESHWARE', 'missing')!r}."
        hint = 'Set MESHWARE = {"services": {"inventory": {"endpoints": ["host:port"]}}}.'
        return [Error(said, hint=hint, id="meshware.E001")]
    try:
        load(given, environ=os.environ)
    except SettingsError as error:
        return [_error(each) for each in error.problems]
    return []


def _error(problem: Problem) -> CheckMessage:
    hint = f"Did you mean {problem.nearest!r}?" if problem.nearest else f"Expected: {problem.expected}."
    return Error(f"MESHWARE: {replace(problem, nearest=None)}", hint=hint, id="meshware.E002")


def middleware_is_there_once(**_kwargs: Any) -> list[CheckMessage]:
    """meshware.W001: requests have no context; meshware.W002: they have two, the inner one useless."""
    count = list(settings.MIDDLEWARE).count(MIDDLEWARE)
    if count == 0:
        hint = f"Put {MIDDLEWARE!r} first in MIDDLEWARE."
        return [Warning("MeshMiddleware is not in MIDDLEWARE.", hint=hint, id="meshware.W001")]
    if count > 1:
        return [Warning(f"MeshMiddleware is in MIDDLEWARE {count} times.", hint="Keep the first.", id="meshware.W002")]
    return []
