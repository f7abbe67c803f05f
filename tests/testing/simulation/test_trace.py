"""Recorded traces: what they say is what arrives, what they leave out is drawn, what is wrong is named."""

from __future__ import annotations

import pytest

from meshware.testing.simulation import InputError, Scenario, Simulation, read_trace

SHOP = Scenario.model_validate(
    {
        "begin": 0.0,
        "duration": 2.0,
        "clients": [{"count": 2}],
        "operations": [{"path": "/items", "share": 3, "work": 0.01}, {"path": "/report", "work": 1, "spread": "fixed"}],
    }
)


@pytest.fixture
def trace(tmp_path):
    """Reads a trace with this text."""

    def read(text, scenario=SHOP):
        (tmp_path / "trace.csv").write_text(text)
        return read_trace(tmp_path / "trace.csv", scenario, 1)

    return read


@pytest.fixture
def refused(trace, tmp_path):
    """The problems of a trace: line, column, nearest."""

    def read(text, scenario=SHOP):
        with pytest.raises(InputError) as caught:
            trace(text, scenario)
        prefix = f"{tmp_path / 'trace.csv'}:"
        return [(int(each.where.removeprefix(prefix)), each.path, each.nearest) for each in caught.value.problems]

    return read


def test_what_a_trace_says_is_what_arrives(trace):
    found = trace("at,work,operation,client\n0.5,0.25,/report,1\n1,0,/items,0\n1,.5,/items,0\n")
    assert [each[:4] for each in found] == [
        (0.5, 1, "/report", 0.25), (1.0, 0, "/items", 0.0), (1.0, 0, "/items", 0.5),
    ]  # fmt: skip


def test_what_a_trace_leaves_out_is_drawn_from_the_scenario(trace):
    found = trace("at\n" + "\n".join(str(number / 1000) for number in range(4000)))
    heavy = [each for each in found if each.operation == "/report"]
    assert 0.2 < len(heavy) / len(found) < 0.3
    assert {each.work for each in heavy} == {1.0}
    assert 0.45 < sum(each.client for each in found) / len(found) < 0.55
    light = [each.work for each in found if each.operation == "/items"]
    assert 0.009 < sum(light) / len(light) < 0.011


def test_one_column_more_changes_nothing_else(trace):
    rows = [number / 100 for number in range(200)]
    bare = trace("at\n" + "\n".join(map(str, rows)))
    with_clients = trace("at,client\n" + "\n".join(f"{at},1" for at in rows))
    assert [each._replace(client=1) for each in bare] == with_clients


def test_an_empty_cell_is_drawn_and_an_empty_line_is_nothing(trace):
    found = trace("\ufeffat, path ,work\n0.5,,\n\n1.5,/report,\n")
    assert [(each.at, each.operation, each.work) for each in found][1:] == [(1.5, "/report", 1.0)]
    assert found[0].work > 0


def test_operations_of_one_path_are_drawn_by_their_shares(trace):
    scenario = Scenario.model_validate(
        {"begin": 0.0, "operations": [{"work": 1, "spread": "fixed"}, {"work": 9, "share": 3, "spread": "fixed"}]}
    )
    found = trace("at,path\n" + "1,/items\n" * 2000, scenario)
    assert 0.7 < sum(each.work == 9 for each in found) / len(found) < 0.8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, "at", None)]),
        ("work\n1\n", [(1, "at", None)]),
        ("at,wrok\nx,1\n", [(1, "wrok", "work")]),
        ("at,at\n1,1\n", [(1, "at", None)]),
        ("at,wrok,wrok\n1,1,1\n", [(1, "wrok", "work")]),
        ("at,path,operation\n1,/items,/items\n", [(1, "path", None)]),
        ("at\n", [(1, "at", None)]),
        ("at\nsoon\n1\n", [(2, "at", None)]),
        ("at\nnan\n-1\ninf\n", [(2, "at", None), (3, "at", None), (4, "at", None)]),
        ("at\n1\n0.5\n0.7\n", [(3, "at", None)]),
        ("at,work\n1,-2\n2,\n3,fast\n", [(2, "work", None), (4, "work", None)]),
        ("at,client\n1,2\n2,-1\n3,one\n", [(2, "client", None), (3, "client", None), (4, "client", None)]),
        ("at,path\n1,/itms\n", [(2, "path", "/items")]),
        ("at,path\n1\n2,/items,3\n", [(2, "(row)", None), (3, "(row)", None)]),
        ('at,path\n1,"/it"ems\n', [(1, "(row)", None)]),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(refused, text, expected):
    assert refused(text) == expected


def test_twenty_problems_are_enough(refused):
    assert len(refused("at\n" + "x\n" * 1000)) == 20


def test_a_trace_that_ends_before_anything_counts_is_refused(refused):
    late = SHOP.model_copy(update={"begin": 1.5})
    assert refused("at\n0.5\n1\n", late) == [(3, "at", None)]


@pytest.mark.parametrize(("data", "reason"), [(None, "No such file"), (b"at\n\xff\n", "not UTF-8")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, data, reason):
    path = tmp_path / "trace.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        read_trace(path, SHOP, 1)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("number", [1, 2, 5000])
def test_the_first_line_that_is_not_utf8_is_told(tmp_path, number, end):
    lines = [b"at,path"] + [b"%d,/items" % each for each in range(6000)]
    lines[number - 1] += b"\xfc\xe4"
    path = tmp_path / "trace.csv"
    path.write_bytes(end.join(lines))
    with pytest.raises(InputError) as caught:
        read_trace(path, SHOP, 1)
    (problem,) = caught.value.problems
    assert (problem.where, problem.value) == (f"{path}:{number}", b"\xfc\xe4")


def test_what_is_wrong_before_a_line_that_is_not_utf8_is_told_too(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(b"at\nsoon\n\xff\nlate\n")
    with pytest.raises(InputError) as caught:
        read_trace(path, SHOP, 1)
    assert [each.where for each in caught.value.problems] == [f"{path}:2", f"{path}:3"]


def test_a_trace_longer_than_its_scenario_is_run_to_its_end(trace):
    arrivals = trace("at,work,path\n" + "\n".join(f"{number / 10},0.01,/items" for number in range(50)))
    simulation = Simulation(SHOP, strategy="random", arrivals=arrivals)
    tally = simulation.run()
    assert (len(tally.times), tally.lost, simulation.scenario.duration) == (50, 0, 4.9)
