"""A real HTTP server on a free loopback port, for what the tests call by a logical name."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Upstream:
    """Answers every GET with its name, the path and the headers it got. `status` and `delay` may be set."""

    def __init__(self, name: str, *, port: int = 0, body: object = None) -> None:
        self.name = name
        self.status = 200
        self.delay = 0.0
        self.body = body
        self.seen: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """New connections are refused from now on. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def die(self) -> None:
        """Close, and let nobody else listen there: a mesh would take him for this server, back again."""
        self.close()
        kept = socket.socket()
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(self._server.server_address)
        kept.detach()  # for as long as this process lives

    def _handler(self):
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                upstream.seen.append((self.path, headers))
                time.sleep(upstream.delay)
                answer = {"name": upstream.name, "path": self.path} if upstream.body is None else upstream.body
                body = json.dumps(answer).encode()
                self.send_response(upstream.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except OSError:  # the caller's deadline cut the connection: what some tests are about
                    self.close_connection = True

            def log_message(self, *args):
                """Nothing: the test's own output is what matters."""

        return Handler
