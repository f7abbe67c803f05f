"""The housekeeper's hands: threads for what may block, such as asking where a service's endpoints are.

At most 4 at once, one job at a time per key, each with a limit. A job cannot be stopped from outside: one
that is over its limit counts as failed and its thread as hung. Such a hand is replaced once, so there are
never more than 8 threads, whatever the jobs do. Each job has a thread of its own: none waits idle.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import inf
from typing import Any

from meshware.core.service import described

MOST, LESSER = 4, 2
"""Hands at work at once, and as many more where so many hang; and of all these those at work for what can wait."""

Done = Callable[[Any, Exception | None, float], None]


@dataclass(eq=False)
class Job:
    """Something to do for a key; `until` is when it counts as hung."""

    key: Hashable
    work: Callable[[], Any]
    limit: float
    done: Done
    lesser: bool = False
    until: float = inf
    hung: bool = False


class Hands:
    """All methods are for one thread, the housekeeper's; `wake` is called by the hands when one is ready.

    `hung` counts the jobs that ran over their limits.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.hung = 0
        self._wake = wake
        self._jobs: dict[Hashable, Job] = {}
        self._queue: deque[Job] = deque()
        self._lesser: deque[Job] = deque()
        self._at_work: list[Job] = []
        self._ready: deque[tuple[Job, Any, Exception | None]] = deque()

    @property
    def ready(self) -> bool:
        """Whether there is a result to collect."""
        return bool(self._ready)

    def give(self, key: Hashable, work: Callable[[], Any], *, limit: float, done: Done, lesser: bool = False) -> bool:
        """Have `work` done; `done(result, error, now)` is called from a later `poll`, once.

        False, and nothing is done, while an earlier job of this key is under way, hung ones included. Of `lesser` jobs,
        such as health checks, no more than two are at work, hung ones included: the others find a hand all the same.
        """
        if key in self._jobs:
            return False
        job = self._jobs[key] = Job(key, work, limit, done, lesser)
        (self._lesser if lesser else self._queue).append(job)
        return True

    def poll(self, now: float) -> None:
        """Collect results, give up what is over its limit, and begin what there is a hand for."""
        while self._ready:
            job, result, error = self._ready.popleft()
            self._at_work.remove(job)
            self._jobs.pop(job.key, None)
            if not job.hung:
                job.done(result, error, now)
        for job in self._at_work:
            if job.until <= now:
                self.hung += 1
                job.hung, job.until = True, inf
                job.done(None, TimeoutError(f"no answer in {job.limit:g} s"), now)
        while (queue := self._next()) and self._free():
            if not self._begin(queue[0], now):
                return  # no thread to be had: tried again at the next poll
            self._at_work.append(queue.popleft())

    def _next(self) -> deque[Job]:
        """Where the next job is; empty when there is none."""
        if self._queue or sum(job.lesser for job in self._at_work) >= LESSER:
            return self._queue
        return self._lesser

    def _free(self) -> bool:
        hung = sum(job.hung for job in self._at_work)
        return len(self._at_work) - hung < MOST and len(self._at_work) < 2 * MOST

    def _begin(self, job: Job, now: float) -> bool:
        job.until = now + job.limit
        try:
            threading.Thread(target=self._do, args=(job,), name="meshware-hand", daemon=True).start()
        except RuntimeError:
            return False
        return True

    def _do(self, job: Job) -> None:
        try:
            result, error = job.work(), None
        except Exception as caught:
            result, error = None, caught
        except BaseException as caught:  # a plugin that would end the thread: its job has failed
            result, error = None, RuntimeError(described(caught))
        self._ready.append((job, result, error))
        self._wake()
