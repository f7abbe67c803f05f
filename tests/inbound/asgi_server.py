"""The server's side of ASGI, in process: what the app is told, and what it sends."""

from __future__ import annotations

import asyncio


class Exchange:
    """One request as a server sees it. `tell` what comes in; what goes out is `sent`."""

    def __init__(self, app, *, kind="http", headers=(), method="GET", client=("127.0.0.1", 50000), body=True):
        self.scope = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": client,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        }
        self.app = app
        self.sent = []
        self.reads = self.given = 0
        self.most_readers = 0
        self._readers = 0
        self._incoming = asyncio.Queue()
        if body and kind == "http":
            self.tell("http.request", body=b"", more_body=False)

    def tell(self, kind, **facts):
        self._incoming.put_nowait({"type": kind, **facts})

    def leave(self):
        self.tell("http.disconnect")

    async def run(self):
        await self.app(self.scope, self._receive, self._send)
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])

    @property
    def body(self):
        return b"".join(each.get("body", b"") for each in self.sent)

    async def _receive(self):
        self.reads += 1
        self._readers += 1
        self.most_readers = max(self.most_readers, self._readers)
        try:
            message = await self._incoming.get()
            self.given += 1
            return message
        finally:
            self._readers -= 1

    async def _send(self, message):
        await asyncio.sleep(0)
        self.sent.append(message)


def served(app, **options):
    """One request to its end, on a loop of its own."""

    async def run():
        return await Exchange(app, **options).run()

    return asyncio.run(run())


async def answer(send, *bodies, status=200):
    """An app's answer, piece by piece."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
