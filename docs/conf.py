"""How the docs are built: `sphinx-build -W -b html docs OUT`. The references are made from the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshware
from meshware.importing import fields
from meshware.settings.reference import markdown
from meshware.testing import Scenario

project = "meshware"
author = "The meshware authors"
copyright = "The meshware authors"
version = release = meshware.__version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_generated", "_results"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"meshware {release}"
html_static_path = ["_static"]
html_show_sphinx = False


def write_reference(app: Any) -> None:
    """What settings.md, simulation.md and istio.md include."""
    pages = Path(app.srcdir) / "_generated"
    pages.mkdir(exist_ok=True)
    (pages / "settings.md").write_text(markdown())
    (pages / "scenario.md").write_text(markdown(Scenario))
    (pages / "istio.md").write_text(fields.markdown())


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_reference)
