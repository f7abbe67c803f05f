"""`meshware schema`: the page that the docs have, and the JSON Schema."""

from __future__ import annotations

import json

from click.testing import CliRunner

from meshware.cli import main
from meshware.settings.reference import json_schema, markdown


def test_the_page_is_the_one_of_the_docs():
    ran = CliRunner().invoke(main, ["schema"])
    assert (ran.exit_code, ran.output) == (0, markdown() + "\n")


def test_the_json_schema_is_for_programs():
    ran = CliRunner().invoke(main, ["schema", "--json"])
    assert (ran.exit_code, json.loads(ran.output)) == (0, json_schema())
