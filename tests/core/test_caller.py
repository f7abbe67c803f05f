"""A caller who leaves before he has his answer: who hears of it, and how often."""

from __future__ import annotations

import threading

from meshware.core.caller import Caller


def test_who_leaves_before_he_has_his_answer_cancels_what_is_under_way():
    caller, heard = Caller(), []
    caller.on_leave(lambda: heard.append("one"))
    caller.on_leave(lambda: heard.append("two"))
    caller.leave()
    caller.leave()
    assert heard == ["one", "two"]
    assert caller.left


def test_a_call_that_is_over_hears_nothing():
    caller, heard = Caller(), []
    undo = caller.on_leave(lambda: heard.append("over"))
    undo()
    undo()
    caller.leave()
    assert heard == []


def test_what_is_called_after_the_app_was_told_runs_undisturbed():
    caller, heard = Caller(), []
    caller.on_leave(lambda: heard.append("under way"))
    caller.leave()
    caller.on_leave(lambda: heard.append("cleaning up"))()
    assert heard == ["under way"]


def test_who_left_between_two_calls_cancels_the_next_one_and_no_other():
    caller, heard = Caller(), []
    caller.leave()
    caller.on_leave(lambda: heard.append("next"))()
    caller.on_leave(lambda: heard.append("the one after"))
    assert heard == ["next"]


def test_an_app_that_saw_it_by_itself_is_not_told_by_its_next_call():
    caller, heard = Caller(), []
    caller.leave(told=True)
    caller.on_leave(lambda: heard.append("next"))
    assert heard == []


def test_nobody_leaves_who_has_his_answer():
    caller, heard = Caller(), []
    caller.on_leave(lambda: heard.append("before"))
    caller.answered()
    caller.leave()
    caller.on_leave(lambda: heard.append("after"))()
    assert heard == []
    assert not caller.left


def test_the_door_is_asked_to_look_once_somebody_wants_to_know():
    class Watched(Caller):
        looked = 0

        def watch(self):
            self.looked += 1

    caller = Watched()
    assert caller.looked == 0
    caller.on_leave(print)
    assert caller.looked == 1
    caller.answered()
    caller.on_leave(print)
    assert caller.looked == 1


def test_each_callback_is_called_once_whichever_threads_meet():
    for _ in range(200):
        caller, heard, start = Caller(), [], threading.Barrier(3)

        def ask(caller=caller, heard=heard, start=start):
            start.wait()
            mine = object()
            caller.on_leave(lambda: heard.append(mine))

        def go(caller=caller, start=start):
            start.wait()
            caller.leave()

        threads = [threading.Thread(target=each) for each in (ask, ask, go)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert 1 <= len(heard) <= 2
        assert len(set(heard)) == len(heard)
