"""What goes on beside a test: somebody calls all the while, a heart beats; and what memory the process has."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import contextmanager
from pathlib import Path

BEAT, LONG = 0.02, 0.1
"""Seconds between two beats; and by how much one must come late to count."""


class Heart:
    """How long this process stood still: on a machine that others keep busy, that is nobody's lateness."""

    def __enter__(self):
        self.stops = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def stood(self, began, ended):
        """Seconds for which it stood still between these."""
        return sum(max(0.0, min(ended, end) - max(began, start)) for start, end in tuple(self.stops))

    def _beat(self):
        last = time.monotonic()
        while not self._over.wait(BEAT):
            now = time.monotonic()
            if now - last > BEAT + LONG:
                self.stops.append((last + BEAT, now))
            last = now


class Calls:
    """How many were answered 200, and what else became of them, but for those in whose time we mostly stood still."""

    def __init__(self):
        self.answered, self.failed = 0, []


@contextmanager
def calling(get, url, heart):
    """Somebody calls all the while."""
    over, seen = threading.Event(), Calls()

    def call():
        while not over.is_set():
            began = time.monotonic()
            try:
                assert get(url).status_code == 200
                seen.answered += 1
            except Exception as error:
                ended = time.monotonic()
                time.sleep(3 * BEAT)  # the beat that was late is told then
                if heart.stood(began, ended) < (ended - began) / 2:
                    seen.failed.append(repr(error))
            over.wait(0.002)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(10.0)


def resident():
    """Bytes that the process has in memory."""
    gc.collect()
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
