"""A user's own scenario: what is right about it, and everything that is wrong, with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshware.settings.reference import markdown
from meshware.testing.simulation import InputError, Scenario, read_scenario

RIGHT = """
duration = 5
Load = 0.5

[[replicas]]
count = 3

[[replicas]]
count = 2
speed = 0.5

[[faults]]
kind = "slow"
at = 3
replicas = [4]

[settings.retry]
attempts = 1
"""

WRONG = """\
duratoin = 5
load = -1
replicas = []

[[clients]]
count = 3
share = true

[settings]
retry = { attempts = 99 }
strategy = "random"
timout = 3

[[faults]]
kind = "slwo"
at = 2

[[faults]]
kind = "slow"
replicas = [
  1,
  99,
  "x",
]
"""


@pytest.fixture
def written(tmp_path):
    """Writes a file and gives its path."""

    def write(text, name="shop.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def problems(path):
    """Line, field and nearest name of each problem, in the order of the file."""
    with pytest.raises(InputError) as caught:
        read_scenario(path)
    found = [(each.where, each.path, each.nearest) for each in caught.value.problems]
    prefix = f"{path}:"
    assert all(where.startswith(prefix) for where, _, _ in found)
    return sorted((int(where.removeprefix(prefix)), field, nearest) for where, field, nearest in found)


def test_a_file_is_a_scenario_named_after_it(written):
    scenario = read_scenario(written(RIGHT))
    assert (scenario.name, scenario.duration, scenario.load, scenario.capacity) == ("shop", 5.0, 0.5, 16.0)
    assert scenario.faults[0].replicas == (4,)
    assert scenario.settings == {"retry": {"attempts": 1}}


def test_a_name_of_its_own_is_kept(written):
    assert read_scenario(written('name = "mine"')).name == "mine"


def test_every_problem_is_told_at_once_with_its_line_and_field(written):
    assert problems(written(WRONG)) == [
        (1, "duratoin", "duration"),
        (2, "load", None),
        (3, "replicas", None),
        (7, "clients[0].share", None),
        (10, "settings.retry.attempts", None),
        (11, "settings.strategy", None),
        (12, "settings.timout", "timeout"),
        (15, "faults[0].kind", None),
        (18, "faults[1].at", None),
        (24, "faults[1].replicas[2]", None),
    ]


def test_the_message_names_value_and_what_is_expected(written):
    path = written("load = -1\n")
    with pytest.raises(InputError, match="1 problem") as caught:
        read_scenario(path)
    assert f"{path}:1: load: -1: input should be greater than or equal to 0" in str(caught.value)


def test_a_yaml_file_is_one_too(written):
    path = written("duration: 5\nloads:\n  - {at: 1, lod: 3}\n", "shop.yaml")
    assert problems(path) == [(3, "loads[0].load", None), (3, "loads[0].lod", "load")]


def test_what_is_no_toml_is_told_with_its_line(written):
    assert problems(written("load = 1\nduration 5\n")) == [(2, "(file)", None)]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_scenario(tmp_path / "none.toml")


def test_a_list_is_no_scenario(written):
    with pytest.raises(InputError, match="the keys of a scenario"):
        read_scenario(written("- 1\n", "shop.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("begin = 20\n", (1, "begin", None)),
        ("duration = 1e6\n[[replicas]]\ncount = 1000\n", (1, "duration", None)),
        ('[settings]\ntimeout = 2\nstrategy = "random"\n', (3, "settings.strategy", None)),
        ('[settings]\ntimeout = 2\nEndpoints = []\n', (3, "settings.Endpoints", None)),
        ("[[replicas]]\ncount = 2\nweight = 0\n[[replicas]]\nweight = 0.0\n", (3, "replicas[0].weight", None)),
        ('[[faults]]\nkind = "drain"\nat = 1\nreplicas = [9,\n10]\n', (5, "faults[0].replicas[1]", None)),
        ('[[faults]]\nkind = "slow"\nat = 1\npath = "/itms"\n', (4, "faults[0].path", "/items")),
        ('[[faults]]\nkind = "slow"\nat = 1\nlasts = 3\nevery = 2\n', (5, "faults[0].every", None)),
        ('[[faults]]\nkind = "slow"\nat = 1\nlocality = "aws"\n', (4, "faults[0].locality", None)),
        (
            '[[replicas]]\nlocality = "aws/eu"\n[[faults]]\nkind = "slow"\nat = 1\nlocality = "aws/us"\n',
            (6, "faults[0].locality", "aws/eu"),
        ),
        (
            '[[replicas]]\nlocality = "a"\n[[faults]]\nkind = "slow"\nat = 1\nreplicas = [1]\nlocality = "a"\n',
            (7, "faults[0].locality", None),
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_told_where_they_stand(written, text, expected):
    assert problems(written(text)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("load = -1\nbegin = 20\n", [(1, "load", None), (2, "begin", None)]),
        ("rtt = -1\nduration = 1e6\nload = 1000\n", [(1, "rtt", None), (2, "duration", None)]),
        ("rtt = -1\n[[replicas]]\nweight = 0\n", [(1, "rtt", None), (3, "replicas[0].weight", None)]),
        (
            '[[faults]]\nkind = "slwo"\nat = -1\nreplicas = [0, 99]\npath = "/itms"\n',
            [
                (2, "faults[0].kind", None),
                (3, "faults[0].at", None),
                (4, "faults[0].replicas[1]", None),
                (5, "faults[0].path", "/items"),
            ],
        ),
        (
            'faults = [3, { kind = "slow", at = 1, Replicas = [99] }]\n',
            [(1, "faults[0]", None), (1, "faults[1].replicas[0]", None)],
        ),
        (
            '[[faults]]\nkind = "slwo"\nat = 1\n[[faults]]\nkind = "slow"\nat = 1\nlasts = 3\nevery = 2\n',
            [(2, "faults[0].kind", None), (8, "faults[1].every", None)],
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_told_where_others_are_wrong_too(written, text, expected):
    assert problems(written(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duration = -5\nbegin = 20\n", (1, "duration", None)),
        ("duratoin = 50\nbegin = 20\n", (1, "duratoin", "duration")),
        ("duration = 1e6\nload = 0.001\noperations = [{work = true}]\n", (3, "operations[0].work", None)),
        (
            '[[replicas]]\ncuont = 30\n[[faults]]\nkind = "slow"\nat = 1\nreplicas = [20]\n',
            (2, "replicas[0].cuont", "count"),
        ),
        (
            '[[replcas]]\nlocality = "a"\n[[faults]]\nkind = "slow"\nat = 1\nlocality = "a"\n',
            (1, "replcas", "replicas"),
        ),
        (
            '[[operations]]\npaht = "/a"\n[[faults]]\nkind = "slow"\nat = 1\npath = "/a"\n',
            (2, "operations[0].paht", "path"),
        ),
        ('[[faults]]\nkind = "slow"\nat = 1\nlats = 2\nevery = 3\n', (4, "faults[0].lats", "lasts")),
    ],
)  # fmt: skip
def test_nothing_is_held_against_a_part_that_is_wrong_itself(written, text, expected):
    assert problems(written(text)) == [expected]


def test_the_scenario_of_the_docs_can_be_read(written):
    page = (Path(__file__).resolve().parents[3] / "docs" / "simulation.md").read_text()
    scenario = read_scenario(written(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]))
    assert (len(scenario.faults), scenario.settings) == (2, {"retry": {"attempts": 1}})


def test_every_field_stands_on_the_page_that_the_docs_include():
    page = markdown(Scenario)
    assert set(re.findall(r"^## `(.*)`$", page, re.MULTILINE)) == {
        "loads[]", "bursts", "replicas[]", "clients[]", "operations[]", "faults[]",
    }  # fmt: skip
    assert all(f"\n| `{field}` | " in page for field in Scenario.model_fields)
    assert "| `spread` | `fixed` or `exponential` or `lognormal` |" in page
    assert "| `replicas` | list of section | one, of defaults | The fleet. |" in page


def test_what_stands_in_a_list_over_several_lines_is_told_with_its_last(written):
    assert problems(written("loads = [\n  { at = 1, lod = 2 },\n]\nload = 1\n")) == [
        (3, "loads[0].load", None),
        (3, "loads[0].lod", "load"),
    ]
