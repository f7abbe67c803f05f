"""The first tier: Flask, asking `orders` by requests. Run by tiers/chain.py, which says in TIERS where that is."""

from __future__ import annotations

import json
import os

import requests
from flask import Flask

from meshware.inbound.flask import Meshware

app = Flask(__name__)
app.config["MESHWARE"] = json.loads(os.environ["TIERS"])
Meshware(app)


@app.get("/")
def page():
    """What `orders` says, as it says it."""
    try:
        answer = requests.get("http://orders/order")
    except requests.RequestException:
        return "orders are not to be had", 503
    return answer.text, answer.status_code
