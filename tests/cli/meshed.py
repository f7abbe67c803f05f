"""The command as a process, and an app that nobody edits."""

from __future__ import annotations

import sys
from pathlib import Path

MESHWARE = str(Path(sys.executable).with_name("meshware"))

SCRIPT = "import requests\nprint(requests.get('http://inventory/items').json()['name'])\n"
