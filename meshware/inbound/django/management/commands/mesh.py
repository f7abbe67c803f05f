"""`manage.py mesh status|check`."""

from __future__ import annotations

import json
import os
import socket
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from meshware.core.errors import SettingsError
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings
from meshware.settings.sources import from_django


class Command(BaseCommand):
    """Check MESHWARE, or try to connect to each endpoint that it names."""

    help = "check: is MESHWARE right? status: which endpoints of each service can be connected to from here?"
    requires_system_checks = ()  # they would say the same, and stop it

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and how to say it."""
        parser.add_argument("action", choices=["status", "check"])
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON object.")

    def handle(self, *_args: Any, action: str, as_json: bool, **_options: Any) -> None:
        """Exit code 1 when the settings are wrong, or a service has no endpoint that can be connected to.

        Endpoints that a discovery finds are none of the settings': such a service is named, and no more.
        """
        try:
            found = load(from_django(settings), environ=os.environ)
        except SettingsError as error:
            if as_json:
                self.stdout.write(json.dumps({"ok": False, "problems": str(error).splitlines()}, indent=2))
            raise CommandError(str(error)) from None
        told = _addresses(found) if action == "check" else _connected(found)
        self.stdout.write(json.dumps({"ok": True, "services": told}, indent=2) if as_json else _lines(told))
        listed = [told[name] for name, service in found.services.items() if not service.discovery]
        if action == "status" and not all(any(each["ok"] for each in states.values()) for states in listed):
            raise CommandError("a service has no endpoint that can be connected to")


def _addresses(found: MeshSettings) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        name: {each.address: {"weight": each.weight} for each in service.endpoints}
        for name, service in found.services.items()
    }


def _connected(found: MeshSettings) -> dict[str, dict[str, dict[str, Any]]]:
    """Each endpoint tried once, all at the same time."""
    with ThreadPoolExecutor(32) as pool:
        tried = {
            name: {
                each.address: pool.submit(_connect, each.address, service.connect_timeout) for each in service.endpoints
            }
            for name, service in found.services.items()
        }
        return {name: {at: each.result() for at, each in states.items()} for name, states in tried.items()}


def _connect(address: str, timeout: float) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    began = time.monotonic()
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except OSError as error:
        return {"ok": False, "error": str(error) or type(error).__name__}
    return {"ok": True, "ms": round(1000 * (time.monotonic() - began), 1)}


def _lines(told: dict[str, dict[str, dict[str, Any]]]) -> str:
    lines = []
    for name, states in told.items():
        lines.append(name)
        for address, facts in states.items():
            lines.append(f"  {address}  " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    return "\n".join(lines)
