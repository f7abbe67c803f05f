"""Predicates that the cases name: by import path, and by a name."""

from __future__ import annotations

import meshware


def is_pro(context, request):
    return context is not None and context.attributes.get("plan") == "pro"


@meshware.predicate("cases-long-path")
def long_path(context, request):
    return len(request.path) > 10


def broken(context, request):
    raise RuntimeError("what a predicate throws")
