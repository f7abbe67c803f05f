"""The second tier: Django, asking `stock` by httpx2. Run by tiers/chain.py, which says in TIERS where that is.

Each connect of this process is written to CONNECTS: to whom.
"""

from __future__ import annotations

import json
import logging
import os
import sys

import django
import httpx2
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={},
    INSTALLED_APPS=["meshware.inbound.django"],
    LOGGING_CONFIG=None,
    MESHWARE=json.loads(os.environ["TIERS"]),
    MIDDLEWARE=["meshware.inbound.django.MeshMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
)
django.setup()
logging.getLogger("django.request").setLevel(logging.CRITICAL)

CONNECTS = os.open(os.environ["CONNECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def noted(event, facts):
    if event == "socket.connect" and isinstance(facts[1], tuple):
        os.write(CONNECTS, f"{facts[1][1]}\n".encode())


sys.addaudithook(noted)
client = httpx2.Client()


def order(request):
    """What `stock` says, as it says it."""
    try:
        answer = client.get("http://stock/item")
    except httpx2.TransportError:
        return HttpResponse("stock is not to be had", status=503)
    return HttpResponse(answer.text, status=answer.status_code)


urlpatterns = [path("order", order)]
app = WSGIHandler()
