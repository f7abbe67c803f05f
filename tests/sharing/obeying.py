"""A program that does what it is told on stdin, a line of JSON each, and answers on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def obey(make: Callable[..., Any]) -> None:
    """The first line are the options, every further one a method's name and its arguments; until there are no more."""
    obeying = make(**json.loads(sys.stdin.readline()))
    print(json.dumps(os.getpid()), flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(obeying, name)(**arguments)), flush=True)
