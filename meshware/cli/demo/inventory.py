"""A replica of inventory: Django under gunicorn, one worker with threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from gunicorn.app.base import BaseApplication

from meshware.cli.demo.replica import FAILS_IN, SLOTS, Replica, started

THREADS = 64
"""Calls that can wait here for a slot; more wait in the socket's queue."""

KEEP_ALIVE = 30
"""Seconds that an idle connection is kept, so that callers need not look for closed ones."""


class Site:
    """The URLs, service and control told apart by the port that a request came to."""

    def __init__(self, replica: Replica, control_port: int) -> None:
        self._replica = replica
        self._control_port = str(control_port)
        self._slots = threading.Semaphore(SLOTS)
        self.urlpatterns = [
            path("behave", self._controlled(replica.behave)),
            path("arrivals", self._controlled(replica.arrivals)),
            re_path("", self.serve),
        ]

    def serve(self, _request: HttpRequest) -> JsonResponse:
        """The service: a slot, some work, an answer."""
        if not self._replica.arrive():
            time.sleep(FAILS_IN)
            return JsonResponse({"error": "out of order"}, status=503)
        with self._slots:
            time.sleep(self._replica.work)
        return JsonResponse({"from": self._replica.name})

    def _controlled(self, deed: Callable[..., Any]) -> Callable[[HttpRequest], JsonResponse]:
        def view(request: HttpRequest) -> JsonResponse:
            if request.get_port() != self._control_port:
                return self.serve(request)
            return JsonResponse(deed(request.GET), safe=False)

        return view


class Server(BaseApplication):
    """Gunicorn over both sockets. Its worker dies with it, as a crash would have it: at once."""

    def __init__(self, site: Site, fds: list[int]) -> None:
        self._site = site
        self._fds = fds
        self._lifeline = os.pipe()
        super().__init__()

    def load_config(self) -> None:
        """What gunicorn asks for first."""
        chosen = {
            "bind": [f"fd://{fd}" for fd in self._fds],
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": 1,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": lambda _server, _worker: self._hang_on(),
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:  # older gunicorns have no control socket
                self.cfg.set(name, value)

    def load(self) -> Any:
        """What gunicorn serves."""
        settings.configure(
            ALLOWED_HOSTS=["*"],
            APPEND_SLASH=False,
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # says how long an answer is
            ROOT_URLCONF=self._site,
            SECRET_KEY="nothing is signed",
        )
        django.setup()
        return WSGIHandler()

    def _hang_on(self) -> None:
        """In the worker: the pipe ends when the master does."""
        ours, masters = self._lifeline
        os.close(masters)
        threading.Thread(target=lambda: (os.read(ours, 1), os._exit(1)), daemon=True).start()


def main() -> None:
    """Serve until a signal comes."""
    replica, sockets = started()
    site = Site(replica, sockets[1].getsockname()[1])
    Server(site, [each.fileno() for each in sockets]).run()


if __name__ == "__main__":
    main()
