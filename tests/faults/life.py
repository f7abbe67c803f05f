"""A short life of a mesh behind a WSGI app, with good calls and each kind of bad one: all that calls use is used."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from faults.behaviours import BEHAVIOURS
from faults.breaking_in import Broken
from faults.upstream import Upstream
from werkzeug.test import Client

from meshware.inbound.wsgi import MeshMiddleware
from meshware.mesh import Mesh
from meshware.security.trust import REPORT
from meshware.telemetry.log import EventLog

BY_A_PEER: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}, "headers": {REPORT: "1"}}
GOOD = "/inventory/ok"
SETTINGS = {
    "connect_timeout": 1.0,
    "attempt_timeout": None,
    "ejection": {"base": 0.03, "probe_interval": 0.03},
    "circuit": {"failure_rate": 0.95, "minimum": 1000},
}


class Lines(logging.Handler):
    """What was logged at warning or above, of ourselves."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its words, and the error's."""
        self.lines.append(self.format(record))


class Life:
    """A service of which one endpoint misbehaves for a while, and one of which one endpoint is never there."""

    def __init__(self, client_of: Callable[[Mesh], Any], servers: list[Upstream]) -> None:
        servers[0].answers |= {path: BEHAVIOURS[path] for path in ("status", "short", "hole")}
        all_three, half_there = [each.address for each in servers], [f"127.0.0.1:{_nobodys_port()}", servers[1].address]
        logger, self.log = logging.Logger("meshware-life"), Lines()
        logger.addHandler(self.log)
        services = {"inventory": all_three, "pricing": half_there, "delivery": all_three}
        settings = {
            "trusted_peers": ["127.0.0.1"],
            "services": {name: {**SETTINGS, "endpoints": each} for name, each in services.items()},
        }
        settings["services"]["delivery"]["attempt_timeout"] = 0.1
        self.mesh = Mesh.from_settings(settings, observers=[EventLog(logger)])
        self._client = client_of(self.mesh)
        self._app = Client(MeshMiddleware(self._serve, mesh=self.mesh, instrument=False))
        self.wrong: list[str] = []

    def live(self) -> None:
        """What a caller should never have seen is in `wrong`."""
        self.good(4)
        for path in ("/inventory/status/503", "/inventory/short", "/delivery/hole", "/pricing/ok"):
            self._tried(path, 3)
        time.sleep(0.06)
        self.good(6)

    def end(self) -> None:
        """Close the mesh and the client."""
        self.mesh.close()
        self._client.close()

    def good(self, count: int) -> None:
        """Calls that nothing stands in the way of, a POST among them."""
        for number in range(count):
            self._app.open(GOOD, method="POST" if number == 1 else "GET", **BY_A_PEER)

    def _tried(self, path: str, count: int) -> None:
        for _ in range(count):
            self._app.open(path, **BY_A_PEER)

    def _serve(self, environ: Any, start_response: Any) -> list[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        try:
            answer = self._client.request(method, f"http:/{path}", timeout=0.3 if path.endswith("hole") else 5.0)
            if path == GOOD and answer.status_code != 200:
                self.wrong.append(f"{path}: {answer.status_code}")
        except Exception as error:
            if path == GOOD or broken_by_us(error):
                self.wrong.append(f"{path}: {error!r}")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"served"]


def broken_by_us(error: BaseException | None) -> bool:
    """Whether what we broke shows in an error, or in what it comes from."""
    while error is not None:
        if isinstance(error, Broken | AssertionError | AttributeError | TypeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _nobodys_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
