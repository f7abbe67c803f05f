"""The pool: hot-cold lexicographic picks, age, reuse, removal."""

from __future__ import annotations

from meshware_prequal.pool import Probe, ProbePool
from meshware_prequal.strategy import HOT, reuse


class Any:
    """Every endpoint there is."""

    def __contains__(self, endpoint):
        return True


ANY = Any()


def pool(*probes, size=16, age=1.0, uses=100, hot=HOT, at=10.0):
    made = ProbePool(size=size, age=age, uses=uses, hot=hot)
    for endpoint, in_flight, latency in probes:
        made.add(Probe(endpoint, in_flight, latency, at))
    return made


def test_of_the_cold_ones_the_quickest_is_picked():
    assert pool(("a", 1, 0.3), ("b", 1, 0.1), ("c", 1, 0.2)).pick(10.0, ANY) == "b"


def test_a_hot_one_is_avoided_however_quick():
    calm = [(f"calm {number}", 1, 0.3 + number / 100) for number in range(9)]
    assert pool(*calm, ("hot", 50, 0.001)).pick(10.0, ANY) == "calm 0"


def test_when_all_are_hot_the_least_loaded_is_picked():
    made = pool(("a", 9, 0.1), ("b", 5, 0.9), ("c", 7, 0.1))
    for _ in range(100):
        made._seen.append(0)
    assert made.pick(10.0, ANY) == "b"


def test_each_pick_counts_as_one_more_in_flight():
    made = pool(("a", 0, 0.1), ("b", 0, 0.2), hot=0.5)
    assert [made.pick(10.0, ANY) for _ in range(4)] == ["a", "b", "a", "b"]


def test_with_fewer_than_two_probes_nobody_is_picked():
    assert pool().pick(10.0, ANY) is None
    assert pool(("a", 1, 0.1)).pick(10.0, ANY) is None


def test_old_probes_are_dropped():
    made = pool(("a", 1, 0.1), ("b", 1, 0.2))
    assert made.pick(10.9, ANY) == "a"
    assert made.pick(11.0, ANY) is None
    assert len(made) == 0


def test_a_probe_that_was_used_up_is_dropped():
    made = pool(("a", 1, 0.1), ("b", 1, 0.2), ("c", 1, 0.3), uses=2, hot=1.0)
    made._seen.append(9)
    assert [made.pick(10.0, ANY) for _ in range(3)] == ["a", "a", "b"]


def test_the_pool_keeps_the_latest():
    made = pool(*((number, 1, 0.1) for number in range(40)), size=16)
    assert len(made) == 16


def test_only_those_that_the_picker_has_are_picked():
    made = pool(("far", 0, 0.01), ("far too", 0, 0.01), ("near", 3, 0.2), ("near too", 3, 0.1))
    assert made.pick(10.0, {"near", "near too"}) == "near too"
    assert made.pick(10.0, {"near", "unknown"}) is None


def test_each_call_drops_the_worst_and_the_oldest_in_turn():
    made = pool(("oldest", 1, 0.2), ("worst", 1, 0.9), ("good", 1, 0.1), ("fair", 1, 0.3))
    made.shrink()
    assert {each.endpoint for each in made._probes} == {"oldest", "good", "fair"}
    made.shrink()
    assert {each.endpoint for each in made._probes} == {"good", "fair"}
    made.shrink()
    assert len(made) == 2


def test_the_hottest_is_the_worst():
    made = pool(*((number, 1, 0.9) for number in range(9)), ("hot", 50, 0.001))
    made.shrink()
    assert "hot" not in {each.endpoint for each in made._probes}


def test_reuse_is_the_papers():
    assert reuse(3, 16, 100) == 2
    assert reuse(3, 16, 20) == 4
    assert reuse(1, 16, 3) == 4
    assert reuse(10, 16, 1000) == 1


def test_it_says_what_it_holds():
    assert repr(Probe("a", 2, 0.25, 0.0)) == "<Probe a: 2 in flight, 0.250 s>"
