"""The storefront: one Flask view over two services, in three variants that differ in `get` only.

Run by gunicorn as `storefront:create_app('with')`. The addresses come in an environment variable, as a
deployment would hand them over; nothing here knows of the incident.

A request has SERVER_TIMEOUT seconds in all. `with` gives it to meshware as the request's deadline; the
others compute each call's timeout from what is left of it. gunicorn's own worker timeout is another thing
(it ends workers that hang) and stays at its default.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import pybreaker
import requests
import tenacity
from flask import Flask, g

SERVER_TIMEOUT = 2.5
"""Seconds that one storefront request may take."""

Services = Mapping[str, Sequence[str]]
Get = Callable[[str, str], Any]


def create_app(variant: str) -> Flask:
    """The WSGI app of one variant."""
    services: Services = json.loads(os.environ["MESHWARE_DEMO_SERVICES"])
    app = Flask("storefront")
    get = VARIANTS[variant](app, services)

    @app.get("/")
    def page() -> dict[str, Any]:
        return {"stock": get("inventory", "/items"), "price": get("pricing", "/prices")}

    @app.get("/ready")
    def ready() -> dict[str, Any]:
        return {"pid": os.getpid()}

    @app.errorhandler(requests.RequestException)
    @app.errorhandler(pybreaker.CircuitBreakerError)
    def unavailable(error: Exception) -> tuple[dict[str, str], int]:
        return {"error": repr(error)}, 504 if isinstance(error, requests.Timeout) else 502

    return app


def answer(response: requests.Response) -> Any:
    """What the service says; HTTPError for a status of 400 or more."""
    response.raise_for_status()
    return response.json()


def begin() -> None:
    """Note when this request must be over."""
    g.until = time.monotonic() + SERVER_TIMEOUT


def left() -> float:
    """Seconds left of this request's time."""
    seconds: float = g.until - time.monotonic()
    if seconds <= 0:
        raise requests.Timeout(f"the request's {SERVER_TIMEOUT} s are over")
    return seconds


# without: the next address, and what is left of the time


def without(app: Flask, services: Services) -> Get:
    """Hand-written round robin."""
    app.before_request(begin)
    turns = {service: cycle(addresses) for service, addresses in services.items()}

    def get(service: str, path: str) -> Any:
        return answer(requests.get(f"http://{next(turns[service])}{path}", timeout=left()))

    return get


# decorated: as a good team writes it

CONNECT, READ = 0.5, 1.0
"""Seconds."""


def decorated(app: Flask, services: Services) -> Get:
    """Round robin past open circuits, keep-alive, timeouts, one retry elsewhere, a breaker per endpoint."""
    app.before_request(begin)
    turns = {service: cycle(addresses) for service, addresses in services.items()}
    breakers = {
        address: pybreaker.CircuitBreaker(fail_max=5, reset_timeout=10, throw_new_error_on_trip=False)
        for addresses in services.values()
        for address in addresses
    }
    mine = threading.local()

    def session() -> requests.Session:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
        kept: requests.Session = mine.session
        return kept

    def send(address: str, path: str) -> Any:
        remaining = left()
        limits = min(CONNECT, remaining), min(READ, remaining)
        with breakers[address].calling():  # not .call(), which holds the breaker's lock over the request
            return answer(session().get(f"http://{address}{path}", timeout=limits))

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(2),
        wait=tenacity.wait_random(0, 0.05),
        retry=tenacity.retry_if_exception_type((requests.RequestException, pybreaker.CircuitBreakerError)),
        reraise=True,
    )
    def get(service: str, path: str) -> Any:
        refused: pybreaker.CircuitBreakerError | None = None
        for _ in services[service]:
            try:
                return send(next(turns[service]), path)
            except pybreaker.CircuitBreakerError as error:
                refused = error  # an open circuit costs no try: the next replica
        raise refused or LookupError(service)

    return get


# with: meshware and its defaults


def with_meshware(app: Flask, services: Services) -> Get:
    """Plain calls to logical names."""
    from meshware.inbound.flask import Meshware

    app.config["MESHWARE"] = {
        "request_timeout": SERVER_TIMEOUT,
        "services": {name: {"endpoints": list(each)} for name, each in services.items()},
    }
    Meshware(app)

    def get(service: str, path: str) -> Any:
        return answer(requests.get(f"http://{service}{path}"))

    return get


VARIANTS: dict[str, Callable[[Flask, Services], Get]] = {
    "without": without,
    "decorated": decorated,
    "with": with_meshware,
}
