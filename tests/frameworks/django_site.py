"""A Django site for the tests: configured once for the process, its views in every style."""

from __future__ import annotations

import asyncio

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from meshware.context import current, remaining

MESHWARE = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}, "request_timeout": 5.0}

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={},
        DEBUG=False,
        INSTALLED_APPS=["meshware.inbound.django"],
        LOGGING_CONFIG=None,
        MESHWARE=MESHWARE,
        MESHWARE_INSTRUMENT=False,
        MIDDLEWARE=["meshware.inbound.django.MeshMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests only",
        USE_TZ=True,
    )
    django.setup()

seen = {}
"""What each view saw, by the request's id."""


def saw(request):
    context = current()
    seen.setdefault(request.GET.get("id"), []).append(context)
    return context


def plain(request):
    saw(request)
    return JsonResponse({"id": request.GET.get("id"), "remaining": remaining()})


async def plain_async(request):
    saw(request)
    await asyncio.sleep(0)
    in_thread = await sync_to_async(remaining)()
    return JsonResponse({"id": request.GET.get("id"), "remaining": in_thread})


def stream(request):
    def pieces():
        for number in range(3):
            context = saw(request)
            yield f"{number}:{context.phase.value} "

    saw(request)
    return StreamingHttpResponse(pieces())


async def stream_async(request):
    async def pieces():
        for number in range(3):
            context = saw(request)
            await asyncio.sleep(0)
            yield f"{number}:{context.phase.value} "

    saw(request)
    return StreamingHttpResponse(pieces())


def file(request):
    saw(request)
    return FileResponse(open(__file__, "rb"))


def retried(request):
    context = saw(request)
    context.spend()
    return HttpResponse("no", status=int(request.GET.get("status", 503)))


def broken(request):
    saw(request)
    raise LookupError("the view's own")


def cached(request):
    saw(request)
    return HttpResponse("page")


def closing(request):
    """What runs when the answer has been sent sees the context, and no deadline."""
    answer = HttpResponse("closing")
    answer._resource_closers.append(lambda: seen.setdefault("closed", []).append((current().phase, remaining())))
    return answer


urlpatterns = [
    path("plain", plain),
    path("plain-async", plain_async),
    path("stream", stream),
    path("stream-async", stream_async),
    path("file", file),
    path("retried", retried),
    path("broken", broken),
    path("cached", cached),
    path("closing", closing),
]
