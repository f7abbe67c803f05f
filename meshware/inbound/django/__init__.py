"""The door in for Django, sync and async: an app with checks and a command, and a middleware.

INSTALLED_APPS += ["meshware.inbound.django"]
MIDDLEWARE = ["meshware.inbound.django.MeshMiddleware", ...]
MESHWARE = {...}
"""

from __future__ import annotations

from meshware.core.errors import MissingExtra

try:
    import django as _django  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "django":
        raise
    raise MissingExtra("django", "django") from error

from meshware.inbound.django.middleware import MeshMiddleware

__all__ = ["MeshMiddleware"]
