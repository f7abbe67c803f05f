"""`meshware simulate` as a user meets it: tables, JSON, pictures, and what it says of mistakes."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from meshware.cli import main
from meshware.testing.simulation import names
from meshware.testing.simulation.library import TEN

SMALL = """
about = "Three replicas, one of them slow."
begin = 0.5
duration = 2.0
load = 0.5

[[replicas]]
count = 3
slots = 2

[[faults]]
kind = "slow"
at = 1.0
lasts = 0.5
replicas = [0]
"""


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """The current directory has small.toml and trace.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "trace.csv").write_text("at,work\n" + "".join(f"{number / 100},0.01\n" for number in range(120)))
    (tmp_path / "late.csv").write_text("at\n0.1\n1.5\n")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["simulate", *arguments])


def told(*arguments):
    """What `--json` says."""
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def refused(*arguments):
    """What is said on stderr, where nothing else is said."""
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_a_table_shows_each_contender_and_the_oracle():
    ran = run(
        "./small.toml", "--strategy", "adaptive", "--strategy", '{"least_request": {"choices": 3}}', "--seed", "7"
    )
    assert ran.exit_code == 0
    assert "small: Three replicas, one of them slow." in ran.stdout
    assert "seed 7" in ran.stdout
    assert all(heading in ran.stdout for heading in ("p50 ms", "p99 ms", "p99.9 ms", "x oracle", "lost %", "refused %"))
    rows = [line.split()[0] for line in ran.stdout.splitlines()[3:] if line.strip()]
    assert rows[:2] == ["oracle", "adaptive"]
    assert "least_request" in ran.stdout
    assert '{"choices": 3}' in ran.stdout.replace("\n", " ")
    assert ran.stderr == ""


def test_json_has_the_same_figures():
    (scenario,) = told("small.toml", "--strategy", "random")["scenarios"]
    assert scenario["scenario"] == "small"
    assert scenario["requests"] > 300
    oracle, random = scenario["contenders"]["oracle"], scenario["contenders"]["random"]
    assert oracle["over_oracle"] == 1.0
    assert random["over_oracle"] == random["p99_ms"] / oracle["p99_ms"] > 1.0
    assert oracle["p50_ms"] < oracle["p99_ms"] <= oracle["p999_ms"]
    assert random["smallest_share_percent"] <= 100 / 3 <= random["largest_share_percent"]
    assert random["lost_percent"] == random["refused_percent"] == 0.0


def test_the_same_seed_says_the_same_and_another_something_else():
    arguments = ("small.toml", "--strategy", "adaptive", "--seed")
    assert told(*arguments, "3") == told(*arguments, "3")
    assert told(*arguments, "3")["scenarios"] != told(*arguments, "4")["scenarios"]


def test_adaptive_is_run_where_no_strategy_is_named_and_none_runs_twice():
    (scenario,) = told("small.toml")["scenarios"]
    assert list(scenario["contenders"]) == ["oracle", "adaptive"]
    (scenario,) = told("small.toml", *["--strategy", "random", "--strategy", "oracle"] * 2)["scenarios"]
    assert list(scenario["contenders"]) == ["oracle", "random"]


def test_a_strategy_may_be_a_toml_inline_table():
    (scenario,) = told("small.toml", "--strategy", "{least_request = {choices = 3}}")["scenarios"]
    assert list(scenario["contenders"]) == ["oracle", 'least_request {"choices": 3}']


def test_a_trace_is_what_arrives_for_as_long_as_it_goes_on():
    (scenario,) = told("small.toml", "--trace", "trace.csv")["scenarios"]
    assert scenario["requests"] == 120
    (scenario,) = told("small.toml", "--trace", "trace.csv", "--duration", "0.6")["scenarios"]
    assert scenario["requests"] == 60


def test_a_trace_without_a_scenario_meets_the_homogeneous_fleet(small):
    (small / "trace.csv").write_text("at\n2.5\n3\n")
    (scenario,) = told("--trace", "trace.csv")["scenarios"]
    assert (scenario["scenario"], scenario["requests"]) == ("homogeneous", 2)


def test_a_duration_makes_it_shorter():
    long, short = told("small.toml"), told("small.toml", "--duration", "1")
    assert short["scenarios"][0]["requests"] < 0.7 * long["scenarios"][0]["requests"]


def test_a_drawn_scenario_says_its_seed():
    ran = run("drawn:8", "--duration", "4.5", "--strategy", "oracle")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("drawn-8: Drawn by seed 8: ")


def test_several_scenarios_end_with_their_mean(small):
    (small / "other.toml").write_text(SMALL + "\n[settings.retry]\nattempts = 1\n")
    ran = run("small.toml", "other.toml")
    assert ran.exit_code == 0
    assert "all 2" in ran.stdout
    assert "mean x oracle" in ran.stdout
    assert "other: Three replicas" in ran.stdout


def test_without_a_scenario_it_is_the_ten(monkeypatch):
    seen = []
    monkeypatch.setattr("meshware.cli.simulate._results", lambda rounds, *_, **__: seen.extend(rounds) or [])
    assert run("--json").exit_code == 0
    assert [each.scenario.name for each in seen] == list(TEN)


def test_the_list_says_what_there_is():
    assert list(told("--list")) == names()
    ran = run("--list")
    assert ran.exit_code == 0
    assert "One replica of ten works ten times slower for 6 s." in ran.stdout


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_picture_is_written(small, suffix, begins):
    pytest.importorskip("matplotlib")
    assert run("small.toml", "--strategy", "oracle", "--picture", f"out.{suffix}").exit_code == 0
    assert (small / f"out.{suffix}").read_bytes().startswith(begins)


def test_of_several_scenarios_each_has_a_picture_with_its_name(small):
    pytest.importorskip("matplotlib")
    (small / "other.toml").write_text('name = "a/b"\n' + SMALL.replace('"slow"', '"crash"'))  # with lost calls
    assert run("small.toml", "other.toml", "--strategy", "oracle", "--picture", "out.png", "--json").exit_code == 0
    assert {each.name for each in small.glob("*.png")} == {"out-small.png", "out-a_b.png"}


def test_a_trace_of_one_request_has_a_table_and_a_picture_too(small):
    pytest.importorskip("matplotlib")
    (small / "trace.csv").write_text("at\n0\n")
    (small / "bare.toml").write_text("begin = 0\n")
    ran = run("bare.toml", "--trace", "trace.csv", "--strategy", "oracle", "--picture", "out.png")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("bare\nseed 1, 1 requests, 10 replicas\n")


def test_a_picture_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ran = run("small.toml", "--picture", "out.png")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert 'matplotlib is not installed: pip install "meshware[simulate]"' in ran.stderr


def test_a_picture_that_cannot_be_written_is_told(small):
    pytest.importorskip("matplotlib")
    (small / "out.png").mkdir()
    ran = run("small.toml", "--picture", "out.png")
    assert ran.exit_code == 1
    assert "no picture" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["slow10"], "did you mean 'slow10x'?"),
        (["small.toml", "--strategy", "adaptve"], "did you mean 'adaptive'?"),
        (["small.toml", "--strategy", '{"least_request": {"choises": 3}}'], "did you mean 'choices'?"),
        (["small.toml", "--strategy", "{least_request = 3"], "JSON or a TOML inline table"),
        (["small.toml", "--strategy", '{"combined": {"load": -1}}'], "at least 0, not -1"),
        (["small.toml", "--duration", "0.2"], "begin: 0.5: less than duration, 0.2 s"),
        (["small.toml", "--duration", "nan"], "duration: nan"),
        (["small.toml", "--trace", "late.csv", "--duration", "0.9"], "--duration: 0.9: requests from begin, 0.5 s"),
        (["none.toml"], "none.toml"),
        (["small.toml", "--trace", "none.csv"], "none.csv"),
        (["small.toml", "--seed", "-1"], "-1"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_before_anything_runs(arguments, says):
    assert says in refused(*arguments)


@pytest.mark.parametrize(("file", "says"), [("out.jpeg", ".png, .svg, .pdf"), ("none/out.png", "that is there")])
def test_a_picture_that_could_not_be_written_is_refused_at_the_start(file, says):
    pytest.importorskip("matplotlib")
    assert says in refused("small.toml", "--picture", file)


def test_an_unknown_strategy_is_one_line():
    assert refused("small.toml", "--strategy", "adaptve").count("\n") == 1


def test_every_problem_of_a_file_is_a_line_of_its_own(small):
    (small / "wrong.toml").write_text("load = -1\nduratoin = 3\n")
    first = "wrong.toml:1: load: -1: input should be greater than or equal to 0"
    assert refused("wrong.toml").splitlines()[0].startswith(first)
    assert "wrong.toml:2: duratoin: 3: unknown key" in refused("wrong.toml")


def test_a_fleet_without_any_weight_is_a_line_too(small):
    (small / "wrong.toml").write_text("[[replicas]]\nweight = 0\n")
    assert refused("wrong.toml") == "wrong.toml:2: replicas[0].weight: 0.0: more than 0, of some replicas at least\n"


def test_what_does_not_fit_is_told_beside_what_is_wrong(small):
    (small / "wrong.toml").write_text('load = -1\n[settings]\nstrategy = "random"\n')
    assert [line.split(": ")[:2] for line in refused("wrong.toml").splitlines()] == [
        ["wrong.toml:1", "load"],
        ["wrong.toml:3", "settings.strategy"],
    ]


def test_a_trace_with_mistakes_names_line_and_column(small):
    (small / "trace.csv").write_text("at,client\n1,99\nsoon,0\n")
    lines = refused("small.toml", "--trace", "trace.csv").splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["trace.csv:2", "client"], ["trace.csv:3", "at"]]
