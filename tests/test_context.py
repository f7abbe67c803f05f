"""What an inbound request lends to the calls made for it: deadline, allowance, and a view for each caller."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import meshware
from meshware.context import ALLOWANCE, LONGEST, Phase, RequestContext, current, enter, leave
from meshware.core.caller import Caller
from meshware.core.deadline import Deadline
from meshware.settings import grammar


@pytest.fixture
def context():
    """A request's context in force around the test."""
    made = RequestContext(Deadline.after(5.0, 0.0))
    token = enter(made)
    yield made
    leave(token)


# Phases


def test_the_deadline_holds_until_the_answer_has_gone_out():
    context = RequestContext(Deadline.after(5.0, 0.0))
    assert context.deadline_for(1.0).at == 5.0
    context.responded()
    assert context.phase is Phase.RESPONDED
    assert context.deadline_for(1.0) is None


def test_background_work_has_an_allowance_of_its_own():
    context = RequestContext()
    while context.spend():
        pass
    context.responded()
    assert [context.spend() for _ in range(ALLOWANCE + 1)] == [True] * ALLOWANCE + [False]


def test_background_work_has_it_too_when_nobody_saw_the_answer_go_out():
    context = RequestContext()
    while context.spend():
        pass
    context.done()
    assert [context.spend() for _ in range(ALLOWANCE + 1)] == [True] * ALLOWANCE + [False]


def test_the_end_of_a_part_renews_nothing():
    with meshware.request_context() as whole:
        while whole.spend():
            pass
        with meshware.request_context() as part:
            part.responded()
        assert not whole.spend()


def test_a_context_that_is_done_is_never_revived():
    context = RequestContext(Deadline.after(5.0, 0.0))
    context.done()
    while context.spend():
        pass
    context.responded()
    assert context.phase is Phase.DONE
    assert not context.spend()
    assert context.deadline_for(1.0) is None


def test_responding_twice_gives_one_allowance():
    context = RequestContext()
    context.responded()
    while context.spend():
        pass
    context.responded()
    assert not context.spend()


def test_a_context_says_how_far_it_has_come():
    assert repr(RequestContext()) == "<RequestContext active no deadline>"
    assert repr(RequestContext(Deadline.after(5.0, 0.0))) == "<RequestContext active <Deadline 5.000 s>>"


# The allowance


def test_the_allowance_is_exact_under_threads():
    for _ in range(20):
        context = RequestContext(allowance=50)
        start = threading.Barrier(8)

        def spend(context=context, start=start):
            start.wait()
            return sum(context.spend() for _ in range(20))

        with ThreadPoolExecutor(8) as pool:
            spent = sum(each.result() for each in [pool.submit(spend) for _ in range(8)])
        assert spent == 50


def test_what_was_given_back_may_be_spent_again_and_was_no_retry():
    context = RequestContext()
    assert context.spend()
    assert context.retried
    context.give_back()
    assert not context.retried
    assert sum(context.spend() for _ in range(10)) == ALLOWANCE


def test_giving_back_after_the_answer_makes_no_allowance_larger():
    context = RequestContext()
    context.spend()
    context.responded()
    context.give_back()
    assert sum(context.spend() for _ in range(10)) == ALLOWANCE


def test_without_a_request_nothing_is_counted():
    with meshware.operation("sync"):
        context = current()
        assert all(context.spend() for _ in range(100))
        context.give_back()
        assert context.retried


# request_context


def test_a_job_has_a_deadline_and_ends_with_its_block():
    with meshware.request_context(deadline=60) as context:
        assert current() is context
        assert 59 < meshware.remaining() <= 60
        assert context.phase is Phase.ACTIVE
    assert context.phase is Phase.DONE
    assert current() is None
    assert meshware.remaining() is None


def test_a_job_without_a_deadline_has_none():
    with meshware.request_context():
        assert meshware.remaining() is None


def test_a_job_ends_when_it_fails():
    with pytest.raises(KeyError), meshware.request_context() as context:
        raise KeyError
    assert context.phase is Phase.DONE
    assert current() is None


def test_an_inner_job_never_outlives_the_outer_one():
    with meshware.request_context(deadline=1):
        with meshware.request_context(deadline=60):
            assert meshware.remaining() <= 1
        with meshware.request_context():
            assert 0 < meshware.remaining() <= 1
        with meshware.request_context(deadline=0.1):
            assert meshware.remaining() <= 0.1
        assert meshware.remaining() > 0.1


def test_an_inner_job_spends_the_allowance_of_the_outer_one():
    with meshware.request_context() as outer:
        with meshware.request_context() as inner:
            assert sum(inner.spend() for _ in range(10)) == ALLOWANCE
        assert not outer.spend()
        assert outer.retried
        assert outer.phase is Phase.ACTIVE


def test_a_job_begun_after_the_answer_keeps_its_own_deadline():
    with meshware.request_context(deadline=1) as request:
        request.responded()
        with meshware.request_context(deadline=60):
            assert meshware.remaining() > 50


def test_an_inner_job_has_the_mesh_of_the_outer_one_unless_it_names_its_own():
    with meshware.request_context(mesh="one"):
        with meshware.request_context() as inner:
            assert inner.mesh == "one"
        with meshware.request_context(mesh="other") as inner:
            assert inner.mesh == "other"


def test_a_deadline_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not nan"), meshware.request_context(deadline=float("nan")):
        pass


def test_an_infinite_deadline_is_none():
    with meshware.request_context(deadline=float("inf")):
        assert meshware.remaining() is None
    with meshware.request_context(deadline=5), meshware.request_context(deadline=float("inf")):
        assert meshware.remaining() <= 5


@pytest.mark.parametrize("deadline", [86_401, 1e10, 1e300, pytest.param(10**400, id="10**400")])
def test_a_deadline_of_more_than_a_day_is_a_day(deadline):
    with meshware.request_context(deadline=deadline):
        assert 86_390 < meshware.remaining() <= 86_400


def test_the_longest_deadline_is_that_of_the_settings():
    assert grammar.LONGEST == LONGEST


def test_a_deadline_that_has_passed_leaves_nothing():
    with meshware.request_context(deadline=-1):
        assert meshware.remaining() == 0.0


# Views: operation and no_retry


def test_the_operation_is_named_inside_its_block_only(context):
    with meshware.operation("checkout"):
        assert current().operation == "checkout"
        with meshware.operation("stock"):
            assert current().operation == "stock"
        assert current().operation == "checkout"
    assert current() is context
    assert context.operation is None


def test_no_retry_reaches_into_what_is_nested(context):
    with meshware.no_retry():
        assert not current().retry
        with meshware.operation("checkout"), meshware.request_context() as inner:
            assert not inner.retry
            assert inner.operation == "checkout"
    assert current().retry


def test_a_view_is_the_same_request(context):
    with meshware.no_retry():
        view = current()
        assert view.spend()
        context.responded()
        assert view.phase is Phase.RESPONDED
        assert view.deadline_for(1.0) is None
    assert context.retried


def test_no_retry_in_one_thread_says_nothing_in_another(context):
    inside, seen = threading.Barrier(2), []

    def elsewhere():
        inside.wait(10)
        seen.append(current().retry)
        inside.wait(10)

    other = threading.Thread(target=meshware.propagate(elsewhere))
    other.start()
    with meshware.no_retry():
        inside.wait(10)
        inside.wait(10)
    other.join()
    assert seen == [True]


def test_no_retry_holds_to_the_end_of_its_block_whichever_task_ends_first(context):
    async def guarded(begun, go_on):
        with meshware.no_retry():
            begun.set()
            await go_on.wait()
            return current().retry

    async def both():
        begun, first, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
        one = asyncio.create_task(guarded(begun, first))
        await begun.wait()
        other = asyncio.create_task(guarded(asyncio.Event(), second))
        await asyncio.sleep(0)
        first.set()
        ended_first = await one
        second.set()
        return ended_first, await other, current().retry

    assert asyncio.run(both()) == (False, False, True)


def test_blocks_without_a_request_leave_nothing_behind():
    with meshware.operation("sync"), meshware.no_retry():
        assert (current().operation, current().retry) == ("sync", False)
    assert current() is None


def test_blocks_are_left_when_they_fail():
    with pytest.raises(KeyError), meshware.no_retry(), meshware.operation("sync"):
        raise KeyError
    assert current() is None


# Threads


def test_a_thread_pool_has_no_context_unless_it_is_propagated(context):
    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(current).result() is None
        assert pool.submit(meshware.propagate(current)).result() is context


def test_a_propagated_function_may_run_in_many_threads_at_once(context):
    together = threading.Barrier(3)

    def run(number, *, sign):
        together.wait(10)
        return current() is context, sign * number

    with ThreadPoolExecutor(3) as pool:
        propagated = meshware.propagate(run)
        results = [pool.submit(propagated, number, sign=-1) for number in range(3)]
        assert [each.result() for each in results] == [(True, 0), (True, -1), (True, -2)]


def test_what_a_propagated_function_puts_in_force_stays_with_it(context):
    def run():
        enter(RequestContext())

    meshware.propagate(run)()
    assert current() is context


# A caller that leaves


def test_a_part_of_a_request_and_a_view_of_it_are_cancelled_with_it():
    caller, heard = Caller(), []
    token = enter(RequestContext(caller=caller))
    with meshware.request_context(), meshware.no_retry():
        current().on_cancel(lambda: heard.append("inner"))
        caller.leave()
    leave(token)
    assert heard == ["inner"]


def test_where_nobody_can_leave_nobody_is_told():
    with meshware.request_context() as context:
        context.on_cancel(lambda: pytest.fail("nobody was there"))()
