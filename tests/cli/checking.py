"""`meshware check`, called and listened to; and a shop to call it in."""

from __future__ import annotations

import json

from click.testing import CliRunner

from meshware.cli import main

SHOP = """
import functools

from meshware.settings.schema import MeshSettings

MESHWARE = {
    "services": {
        "inventory": {"endpoints": [f"10.0.0.{n}:80" for n in range(1, 6)], "strategy": "round_robin", "timeout": 2.5},
        "pricing": {"endpoints": [{"address": "[::1]:80", "metadata": {"odd": object()}}], "tls": {}},
    }
}
MODEL = MeshSettings.model_validate(MESHWARE)
BAD = {
    "servces": {},
    "services": {
        "inventory": {"endpoints": [], "timeout": -1},
        "pricing": {"endpoints": ["a:1"], "strategy": "round_robbin"},
    },
}
NUMBER = 5
"""

APP = """
from flask import Flask

from meshware.inbound.flask import Meshware
from meshware.inbound.wsgi import MeshMiddleware
from {package}.mesh import BAD, MESHWARE

plain = Flask("plain")
plain.config["MESHWARE"] = MESHWARE
bare = Flask("bare")
app = Flask("app")
Meshware(app, settings=MESHWARE)
wrapped = MeshMiddleware(bare.wsgi_app, MESHWARE)


def create_app():
    made = Flask("made")
    Meshware(made, settings=MESHWARE)
    return made


def create_wrong():
    made = Flask("wrong")
    Meshware(made, settings=BAD)
    return made


def create_none(name):
    return name
"""

BROKEN = """
import os

DATABASE = os.environ["SHOP_DATABASE_THAT_NOBODY_SET"]
"""


def check(*arguments):
    return CliRunner().invoke(main, ["check", *arguments])


def told(*arguments):
    """Exit code and what `--json` says."""
    ran = check(*arguments, "--json")
    return ran.exit_code, json.loads(ran.stdout)
