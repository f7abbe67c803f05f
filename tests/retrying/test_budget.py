"""The budget: retries are paid from what successes earn, to the thousandth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from meshware.retrying.budget import BudgetOptions, RetryBudget


def budget(**options):
    return RetryBudget(BudgetOptions(**options))


def taken(made, now=0.0):
    count = 0
    while made.withdraw(now):
        count += 1
    return count


def test_it_starts_with_two():
    assert taken(budget()) == 2


def test_five_successes_earn_one():
    made = budget()
    taken(made)
    for number in range(100):
        made.request(0.0)
        made.deposit(0.0)
        assert made.affordable() == (number >= 4)
    assert taken(made) == 20


def test_it_holds_a_fifth_of_the_calls_of_the_last_ten_seconds_and_no_more():
    made = budget()
    for _ in range(100):
        made.request(0.0)
    for _ in range(1000):
        made.deposit(0.0)
    assert made.tokens == 20.0
    assert taken(made, now=9.9) == 20
    made = budget()
    for _ in range(100):
        made.request(0.0)
        made.deposit(0.0)
    assert taken(made, now=30.0) == 2


def test_in_a_total_outage_only_a_trickle_is_left():
    made = budget()
    sent = 0
    for second in range(100):
        for _ in range(50):
            made.request(float(second))
            sent += made.withdraw(float(second))
    assert sent == 2


def test_what_was_not_sent_is_given_back():
    made = budget()
    assert made.withdraw(0.0)
    made.give_back(0.0)
    assert made.tokens == 2.0


def test_its_figures_are_settings():
    made = budget(ratio=0.5, minimum=0.0)
    assert taken(made) == 0
    for _ in range(10):
        made.request(0.0)
        made.deposit(0.0)
    assert taken(made) == 5


@given(some.lists(some.tuples(some.sampled_from(["request", "deposit", "withdraw"]), some.floats(0, 30)), max_size=200))
def test_it_never_owes_and_never_holds_more_than_it_may(steps):
    made = budget()
    for step, now in sorted(steps, key=lambda each: each[1]):
        getattr(made, step)(now)
        assert 0 <= made.tokens <= max(2.0, 0.2 * len(steps))


def test_a_clock_that_stands_or_steps_back_a_little_breaks_nothing():
    made = budget()
    made.request(10.0)
    made.request(9.9)
    made.deposit(9.8)
    assert made.withdraw(9.7)


def test_a_budget_is_what_all_workers_of_the_host_have():
    budget = RetryBudget(BudgetOptions())
    budget.others(-1.5, 0)
    assert not budget.affordable()
    assert not budget.withdraw(0.0)
    budget.others(1.0, 0)
    assert budget.affordable()
    assert budget.withdraw(0.0)
    assert budget.tokens < 2


def test_a_worker_may_owe_what_others_have_earned():
    budget = RetryBudget(BudgetOptions())
    budget.others(3.0, 1000)
    assert [budget.withdraw(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert budget.tokens == -3.0


def test_who_joins_others_brings_only_what_is_missing():
    budget = RetryBudget(BudgetOptions())
    budget.join(1.5)
    assert budget.tokens == 0.5
    budget.join(10.0)
    assert budget.tokens == 0.0


def test_the_capacity_follows_the_calls_of_all():
    budget = RetryBudget(BudgetOptions())
    budget.others(0.0, 100)
    for _ in range(200):
        budget.deposit(0.0)
    assert budget.tokens == 20.0
    assert budget.calls == 0
