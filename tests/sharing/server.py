"""One worker with a mesh as users have it: threads that call by `requests`, and the housekeeper, in real time."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import requests
from sharing.obeying import obey

from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

PAUSE = 0.05


class Server:
    def __init__(
        self, *, directory: str, endpoints: list[str], threads: int = 2, parked: int = 0, **settings: Any
    ) -> None:
        service = {"endpoints": endpoints, "timeout": 3600.0, "attempt_timeout": None, "retry": {"attempts": 1}}
        services = {"inventory": service, **settings.pop("services", {})}
        self.mesh = Mesh.from_settings(
            {"service": "shop", "board": {"directory": directory}, "services": services, **settings}
        )
        self.good = 0
        self.failed: list[str] = []
        self._ending = False
        self._join()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(threads)]
        for each in self._threads:
            each.start()
        for _ in range(parked):
            threading.Thread(target=self._park, daemon=True).start()

    def _join(self) -> None:
        """By a first call: what comes later is counted."""
        self._session().get("http://inventory/items").raise_for_status()
        while not self.mesh.board().get("in_flight"):
            time.sleep(0.001)

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", MeshAdapter(self.mesh))
        return session

    def _call(self) -> None:
        session = self._session()
        while not self._ending:
            try:
                session.get("http://inventory/items").raise_for_status()
                self.good += 1
            except Exception as error:
                self.failed.append(repr(error))
            time.sleep(PAUSE)

    def _park(self) -> None:
        self._session().get("http://inventory/park")

    def call(self, count: int) -> list[int]:
        """So many calls, one after another; the statuses of their answers."""
        session = self._session()
        return [session.get("http://inventory/items").status_code for _ in range(count)]

    def shift(self) -> dict[str, Any]:
        (shift,) = self.mesh.shifts()
        return shift

    def board(self) -> dict[str, Any]:
        return self.mesh.board()

    def calls(self) -> dict[str, Any]:
        return {"good": self.good, "failed": self.failed, "descriptors": len(os.listdir("/proc/self/fd"))}

    def counts(self) -> Any:
        return {name: each._asdict() for name, each in self.mesh.counts().items()}

    def finish(self) -> int:
        """No more calls; how many there were."""
        self._ending = True
        for each in self._threads:
            each.join()
        time.sleep(2 * PAUSE)  # until the housekeeper has swept once more
        return self.good

    def close(self) -> None:
        self.mesh.close()


if __name__ == "__main__":
    obey(Server)
