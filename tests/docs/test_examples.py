"""The Python of the docs' pages runs as it stands, against real servers."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meshware.plugins import strategies
from meshware.settings.reference import markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEMPLATE = DOCS.parent / "plugins" / "template" / "README.md"


class Items(BaseHTTPRequestHandler):
    """Answers every GET with an empty list."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_facts):
        pass


@pytest.fixture
def inventory():
    """Two servers; their addresses, by those that the pages name."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Items) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {f"127.0.0.1:{8001 + n}": f"127.0.0.1:{server.server_port}" for n, server in enumerate(servers)}
    for server in servers:
        server.shutdown()
        server.server_close()


def program(page):
    """All Python blocks of a page, one after the other."""
    return "\n\n".join(BLOCK.findall(page.read_text()))


@pytest.mark.parametrize("page", [page for page in PAGES if program(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_one_after_the_other(page, inventory):
    source = program(page)
    for named, real in inventory.items():
        source = source.replace(named, real)
    ran = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_there_are_examples_to_run():
    assert {page.name for page in PAGES if program(page)} >= {
        "clients.md",
        "plugins.md",
        "quickstart.md",
        "settings.md",
        "testing.md",
        "tutorial.md",
    }


def test_the_templates_settings_are_a_dict():
    (source,) = BLOCK.findall(TEMPLATE.read_text())
    names = {}
    exec(source, names)
    assert "inventory" in names["MESHWARE"]["services"]


def test_the_settings_page_includes_the_reference_and_names_every_strategy():
    page = (DOCS / "settings.md").read_text()
    assert "{include} _generated/settings.md" in page
    assert {name for name in strategies() if f"| `{name}` |" in page} >= {"peak_ewma", "least_request", "random"}
    assert "| `timeout` |" in markdown()


def test_every_link_between_pages_leads_somewhere():
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_docs_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", tmp_path / "trees"]
    ran = subprocess.run([*command, DOCS, tmp_path / "html"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "services.&lt;name&gt;.retry.budget" in (tmp_path / "html" / "settings.html").read_text()
